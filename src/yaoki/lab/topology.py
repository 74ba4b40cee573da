"""How a site is laid out in network namespaces: a plan made of values, computed from the Site and nothing else.

Every machine becomes one namespace `yk-SITE-MACHINE`; every network becomes one bridge in `yk-SITE-sw`, the switch.
An interface of a machine is a veth pair whose other end is a port of its network's bridge. Invariants: equal sites
give equal plans; names of ports and bridges are short (15 octets are the kernel's limit) and their alias is the
long name; a MAC address is that of one interface of the site only and begins with LAB_OUI.
"""

from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_interface

from yaoki.core.address import Family, IPAddress, IPInterface, IPNetwork, MacAddress
from yaoki.core.error import UsageError
from yaoki.lb.service import Forward, Tunnel
from yaoki.site.model import Machine, Network, Service, Site, Vip

LAB_OUI = b"\x02\x59\x6b"
"""Locally administered; the rest of a MAC address is two octets of machine and one of interface."""

_SWITCH = "sw"

_EVERYWHERE = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    # Link-local addresses are usable at once; nothing here can be a duplicate.
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    # Root may open ICMP datagram sockets: the control probe is an echo request.
    "net.ipv4.ping_group_range": "0 0",
}
_ROUTER = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
_HOLDS_VIP = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
_CLIENT = {"net.ipv4.ip_local_port_range": "10000 65000"}
_BRIDGES = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.bridge.bridge-nf-call-iptables": "0",
    "net.bridge.bridge-nf-call-ip6tables": "0",
    "net.bridge.bridge-nf-call-arptables": "0",
}


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a cable: the machine's interface and the switch port that it is plugged into."""

    machine: str
    interface: str
    mac: MacAddress
    addresses: tuple[IPInterface, ...]
    switch_port: str
    bridge: str
    network: str


@dataclass(frozen=True, slots=True)
class Route:
    """A way to `destination` (a default route has prefix length 0) over a neighbour."""

    destination: IPNetwork
    via: IPAddress


@dataclass(frozen=True, slots=True)
class Namespace:
    """One machine: what its namespace is made of. `loopback` are the VIPs that a server of `direct` answers for."""

    name: str
    machine: str
    ports: tuple[Port, ...]
    loopback: tuple[IPInterface, ...]
    routes: tuple[Route, ...]
    sysctls: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bridge:
    """One network. `observer` is the machine-side end of the bridge's extra port, kept for the ARP/ND observer."""

    name: str
    network: str
    observer: str
    observer_port: str


@dataclass(frozen=True, slots=True)
class LabPlan:
    """The whole lab."""

    site: str
    switch: str
    switch_sysctls: tuple[tuple[str, str], ...]
    bridges: tuple[Bridge, ...]
    namespaces: tuple[Namespace, ...]

    @property
    def all_namespaces(self) -> tuple[str, ...]:
        """The names of all namespaces, the switch's first."""
        return (self.switch, *(namespace.name for namespace in self.namespaces))

    def namespace(self, machine: str) -> Namespace:
        """The namespace of a machine of the site."""
        return next(n for n in self.namespaces if n.machine == machine)

    def bridge(self, network: str) -> Bridge:
        """The bridge of a network of the site."""
        return next(b for b in self.bridges if b.network == network)

    def port(self, machine: str, interface: str) -> Port:
        """The port of a machine's interface."""
        return next(p for p in self.namespace(machine).ports if p.interface == interface)

    def ports_on(self, network: str) -> tuple[Port, ...]:
        """All ports of one network."""
        return tuple(p for n in self.namespaces for p in n.ports if p.network == network)

    def machine_of(self, mac: MacAddress) -> str | None:
        """Whose interface has this MAC address, or None for a stranger's."""
        return next((p.machine for n in self.namespaces for p in n.ports if p.mac == mac), None)


def plan_lab(site: Site) -> LabPlan:
    """Lay the site out. Raises UsageError for a machine whose name the lab needs itself."""
    if any(machine.name == _SWITCH for machine in site.machines):
        raise UsageError(f'the lab needs the name "{_SWITCH}" for its switch; give the machine another name')
    bridges = tuple(Bridge(f"br{i}", n.name, f"o{i}", f"q{i}") for i, n in enumerate(site.networks))
    namespaces = []
    count = 0
    for number, machine in enumerate(site.machines):
        ports = _ports(machine, number, count, bridges)
        count += len(ports)
        namespaces.append(
            Namespace(
                name=namespace_name(site.name, machine.name),
                machine=machine.name,
                ports=ports,
                loopback=_loopback(site, machine),
                routes=_routes(site, machine),
                sysctls=_sysctls(site, machine),
            )
        )
    switch = namespace_name(site.name, _SWITCH)
    return LabPlan(site.name, switch, tuple(_BRIDGES.items()), bridges, tuple(namespaces))


def namespace_name(site: str, machine: str) -> str:
    """The name of a machine's namespace."""
    return f"yk-{site}-{machine}"


def served_directly(site: Site, machine: str) -> tuple[tuple[Service, Vip], ...]:
    """The services that a host serves by direct server return, each with its VIP."""
    return tuple(
        (service, site.vip(service.vip))
        for service in site.services
        for server in service.recipients
        if server.host == machine and (server.forward or service.forward).returns_directly
    )


def tunnels_to(site: Site, machine: str) -> tuple[Tunnel, ...]:
    """What packets to a host go inside, where it serves behind tunnels."""
    return tuple(
        service.tunnel
        for service, _ in served_directly(site, machine)
        for server in service.recipients
        if server.host == machine and (server.forward or service.forward) is Forward.TUNNEL
    )


def _ports(machine: Machine, number: int, first: int, bridges: tuple[Bridge, ...]) -> tuple[Port, ...]:
    by_network = {bridge.network: bridge.name for bridge in bridges}
    return tuple(
        Port(
            machine=machine.name,
            interface=interface.name,
            mac=MacAddress(LAB_OUI + (number + 1).to_bytes(2, "big") + bytes([index])),
            addresses=interface.addresses,
            switch_port=f"p{first + index}",
            bridge=by_network[interface.network],
            network=interface.network,
        )
        for index, interface in enumerate(machine.interfaces)
    )


def _loopback(site: Site, machine: Machine) -> tuple[IPInterface, ...]:
    if machine.is_node:
        return ()
    vips = dict.fromkeys(vip for _, vip in served_directly(site, machine.name))
    return tuple(ip_interface(a.ip) for vip in vips for a in vip.addresses)


def _sysctls(site: Site, machine: Machine) -> tuple[tuple[str, str], ...]:
    wanted = dict(_EVERYWHERE)
    if machine.forwards:
        wanted |= _ROUTER
    if _loopback(site, machine):
        wanted |= _HOLDS_VIP
    if "client" in machine.plays:
        wanted |= _CLIENT
    return tuple(wanted.items())


def _routes(site: Site, machine: Machine) -> tuple[Route, ...]:
    routes = []
    for family, everything in ((Family.IPV4, IPv4Network("0.0.0.0/0")), (Family.IPV6, IPv6Network("::/0"))):
        via = _default_gateway(site, machine, family)
        if via is not None:
            routes.append(Route(everything, via))
    if machine.forwards:
        routes += _routes_of_router(site, machine)
    return tuple(routes)


def _default_gateway(site: Site, machine: Machine, family: Family) -> IPAddress | None:
    """The first interface whose gateway is somebody else decides, as on a host with one default route."""
    for interface in machine.interfaces:
        name = machine.gateway or site.network(interface.network).gateway
        if name is None or name == machine.name:
            continue
        address = gateway_address(site, name, interface.network, family)
        if address is not None:
            return address
    return None


def gateway_address(site: Site, name: str, network: str, family: Family) -> IPAddress | None:
    """The address by which a host or VIP is reached on a network; None if it has none of that family there."""
    if site.has_vip(name):
        vip = site.vip(name)
        if vip.network != network:
            return None
        return next((a.ip for a in vip.addresses if Family.of(a) is family), None)
    interface = site.machine(name).on_network(network)
    return None if interface is None else interface.address(family)


def _routes_of_router(site: Site, router: Machine) -> list[Route]:
    """To every network that the router is not on, by the fewest routers."""
    found: list[Route] = []
    near = {interface.network for interface in router.interfaces}
    for network in site.networks:
        if network.name in near:
            continue
        hop = next_hop(site, router, network)
        if hop is None:
            continue
        over, neighbour = hop
        interface = neighbour.on_network(over)
        assert interface is not None, "a next hop is on the network that leads to it"
        for prefix in network.prefixes:
            via = interface.address(Family.of(prefix))
            if via is not None:
                found.append(Route(prefix, via))
    return found


def next_hop(site: Site, start: Machine, goal: Network) -> tuple[str, Machine] | None:
    """The first router on the shortest way from a router to a network, and the network that leads to it.

    Breadth first, in the order of the file; None if there is no way or `start` is on the network itself.
    """
    queue: deque[tuple[str, tuple[str, Machine] | None]] = deque((i.network, None) for i in start.interfaces)
    seen = {network for network, _ in queue}
    while queue:
        network, first = queue.popleft()
        if network == goal.name:
            return first
        for router in site.machines:
            if not router.forwards or router.name == start.name or router.on_network(network) is None:
                continue
            for interface in router.interfaces:
                if interface.network not in seen:
                    seen.add(interface.network)
                    queue.append((interface.network, first or (network, router)))
    return None
