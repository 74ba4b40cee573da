"""Prefixes and addresses: what overlaps, what is given twice, what lies where it cannot be used."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from yaoki.core.address import IPAddress, IPNetwork
from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, section_of
from yaoki.site.source_map import Path


def _overlapping_prefixes(view: View) -> Iterable[Finding]:
    prefixes: list[tuple[IPNetwork, Path]] = [
        (prefix, ("networks", network.name, "prefixes", index))
        for network in view.site.networks
        for index, prefix in enumerate(network.prefixes)
    ]
    # In this order, a prefix directly follows those that hold it, so one open prefix is enough to find each clash.
    prefixes.sort(key=lambda item: (item[0].version, int(item[0].network_address), item[0].prefixlen))
    held: tuple[IPNetwork, Path] | None = None
    for prefix, path in prefixes:
        if held is not None and held[0].version == prefix.version and prefix.network_address in held[0]:
            what = f"the prefix {prefix} overlaps {held[0]} of the network {held[1][1]}"
            yield Finding(path, what, "give each network prefixes of its own", held[1])
        else:
            held = (prefix, path)


def _addresses(view: View) -> Iterator[tuple[IPAddress, str, Path]]:
    """Every address of the site with its network and its place, in the order of the file."""
    for machine in view.site.machines:
        for interface in machine.interfaces:
            for index, address in enumerate(interface.addresses):
                place = (section_of(machine), machine.name, "interfaces", interface.name, "addresses", index)
                yield address.ip, interface.network, place
    for vip in view.site.vips:
        for index, address in enumerate(vip.addresses):
            yield address.ip, vip.network, ("vips", vip.name, "addresses", index)


def _duplicate_addresses(view: View) -> Iterable[Finding]:
    held: dict[tuple[IPAddress, str], Path] = {}
    for address, network, path in _addresses(view):
        # A link-local address means something else on each network; any other is one address in the whole site.
        key = (address, network if address.is_link_local else "")
        if key in held:
            first = held[key]
            what = f"{address} is the address of {path[1]} and of {first[1]}"
            yield Finding(path, what, "give one of them another address", first)
        else:
            held[key] = path


def _unusable_addresses(view: View) -> Iterable[Finding]:
    for address, network, path in _addresses(view):
        for prefix in view.site.network(network).prefixes:
            if address not in prefix or prefix.num_addresses <= 2:
                continue
            if address == prefix.network_address:
                kind = "network address" if isinstance(prefix, IPv4Network) else "subnet-router anycast address"
                yield Finding(path, f"{address} is the {kind} of {prefix}", "choose another address")
            elif isinstance(prefix, IPv4Network) and address == prefix.broadcast_address:
                yield Finding(path, f"{address} is the broadcast address of {prefix}", "choose another address")


def _unusable_prefixes(view: View) -> Iterable[Finding]:
    for network in view.site.networks:
        for index, prefix in enumerate(network.prefixes):
            kinds = {
                "multicast": prefix.is_multicast,
                "loopback": prefix.is_loopback,
                "link-local": prefix.is_link_local,
                "unspecified": prefix.network_address.is_unspecified,
            }
            for kind, found in kinds.items():
                if found:
                    what = f"{prefix} is a prefix of {kind} addresses"
                    yield Finding(("networks", network.name, "prefixes", index), what, "use unicast prefixes")


def _vip_outside_network(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        network = view.site.network(vip.network)
        for index, address in enumerate(vip.addresses):
            if (address.ip.is_link_local and address.version == 6) or any(
                address.ip in prefix for prefix in network.prefixes
            ):
                continue
            what = f"the VIP address {address.ip} is in no prefix of its network {network.name}"
            cure = f"choose an address of {' or '.join(map(str, network.prefixes))}"
            other = ("networks", network.name, "prefixes")
            yield Finding(("vips", vip.name, "addresses", index), what, cure, other)


def _gateway_off_network(view: View) -> Iterable[Finding]:
    for network in view.site.networks:
        if network.gateway is not None and network.name not in _networks_of_gateway(view, network.gateway):
            what = f"the gateway {network.gateway} is not on the network {network.name}"
            other = _place_of_gateway(view, network.gateway)
            cure = f"give {network.gateway} an address on {network.name}, or name another gateway"
            yield Finding(("networks", network.name, "gateway"), what, cure, other)
    for machine in view.site.machines:
        gateway = machine.gateway
        if gateway is not None and not view.networks_of[machine.name] & _networks_of_gateway(view, gateway):
            what = f"{machine.name} is on no network of its gateway {gateway}"
            place = (section_of(machine), machine.name, "gateway")
            yield Finding(place, what, "name a gateway on one of its networks", _place_of_gateway(view, gateway))


def _gateway_does_not_forward(view: View) -> Iterable[Finding]:
    asked: dict[str, Path] = {}
    for network in view.site.networks:
        if network.gateway is not None:
            asked.setdefault(network.gateway, ("networks", network.name, "gateway"))
    for machine in view.site.machines:
        if machine.gateway is not None:
            asked.setdefault(machine.gateway, (section_of(machine), machine.name, "gateway"))
    for host in view.site.hosts:
        if host.name in asked and not host.forwards:
            what = f"{host.name} is a gateway but does not forward"
            yield Finding(asked[host.name], what, f"write forwards: true at {host.name}", ("hosts", host.name))


def _networks_of_gateway(view: View, name: str) -> frozenset[str]:
    if view.site.has_vip(name):
        return frozenset({view.site.vip(name).network})
    return view.networks_of[name]


def _place_of_gateway(view: View, name: str) -> Path:
    if view.site.has_vip(name):
        return ("vips", name, "network")
    return (section_of(view.site.machine(name)), name)


RULES = (
    Rule(
        "overlapping-prefixes",
        Severity.ERROR,
        "two networks, or one network twice, hold the same addresses",
        _overlapping_prefixes,
        firm=True,
        partial=True,
    ),
    Rule(
        "duplicate-address",
        Severity.ERROR,
        "two interfaces or VIPs have one address",
        _duplicate_addresses,
        firm=True,
        partial=True,
    ),
    Rule(
        "unusable-address",
        Severity.ERROR,
        "an address is the network, broadcast or anycast address of its prefix",
        _unusable_addresses,
        firm=True,
        partial=True,
    ),
    Rule(
        "unusable-prefix",
        Severity.ERROR,
        "a prefix holds no unicast addresses that hosts could have",
        _unusable_prefixes,
        firm=True,
        partial=True,
    ),
    Rule(
        "vip-outside-network",
        Severity.ERROR,
        "a VIP's address is in no prefix of its network, so its neighbours would not ask for it",
        _vip_outside_network,
        firm=True,
        partial=True,
    ),
    Rule(
        "gateway-off-network",
        Severity.ERROR,
        "a gateway is not on the network that it shall lead out of",
        _gateway_off_network,
        firm=True,
    ),
    Rule(
        "gateway-does-not-forward",
        Severity.WARNING,
        "a host is named as a gateway but is not said to forward",
        _gateway_does_not_forward,
    ),
)
