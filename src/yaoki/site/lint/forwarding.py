"""Virtual services and their forwarding methods: whether requests reach the servers and answers find their way back."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.lb.service import Encapsulation, Forward, PlaneWish
from yaoki.lb.validity import mixture
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, families_of, server_path
from yaoki.site.model import Machine, Server, Service, Vip
from yaoki.site.source_map import Path


def _duplicate_listener(view: View) -> Iterable[Finding]:
    held: dict[tuple[str, str, int], str] = {}
    for service in view.site.services:
        first = held.setdefault((service.vip, service.protocol.value, service.port), service.name)
        if first != service.name:
            what = f"{service.name} and {first} both listen on {service.protocol.value}/{service.port} of {service.vip}"
            cure = "give one of them another port or VIP"
            yield Finding(("services", service.name, "listen"), what, cure, ("services", first, "listen"))


def _direct_off_link(view: View) -> Iterable[Finding]:
    for service, server in _servers(view, Forward.DIRECT):
        vip = view.site.vip(service.vip)
        host = view.site.machine(server.host)
        interface = host.on_network(vip.network)
        place = server_path(service, server)
        if interface is None:
            what = f"{host.name} is not on {vip.network}, so direct return cannot reach it by its MAC address"
            cure = f"forward by tunnel, nat or fullnat, or plug {host.name} into {vip.network}"
            yield Finding(place, what, cure, ("hosts", host.name, "interfaces"))
            continue
        for family in families_of(vip):
            address = view.address_of(service, server, family)
            if address is not None and interface.address(family) is None:
                what = f"the address {address} of {host.name} is not on {vip.network}, as direct return needs"
                cure = f"give {host.name} an IPv{family.value} address on {vip.network}"
                other = ("hosts", host.name, "interfaces", interface.name, "addresses")
                yield Finding(place, what, cure, other)


def _mixed_forwarding(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        reason = mixture(view.forward_of(service, server) for server in service.recipients)
        if reason is not None:
            odd = next((server for server in service.recipients if server.forward is not None), service.servers[0])
            cure = "forward all servers of it in one way, or make two services"
            yield Finding(server_path(service, odd, "forward"), reason, cure, ("services", service.name, "forward"))


def _direct_port(view: View) -> Iterable[Finding]:
    for service, server in (*_servers(view, Forward.DIRECT), *_servers(view, Forward.TUNNEL)):
        if server.port is not None and server.port != service.port:
            way = view.forward_of(service, server)
            reason = "only the MAC address changes" if way is Forward.DIRECT else "the packet goes as it is"
            what = f"direct return cannot rewrite port {service.port} to {server.port}: {reason}"
            cure = f"let {server.host} listen on {service.port}, or forward by nat or fullnat"
            yield Finding(server_path(service, server, "port"), what, cure, ("services", service.name, "listen"))


def _bpf_not_direct(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        ways = {view.forward_of(service, server) for server in service.servers}
        on_bpf = service.plane is not None and service.plane.is_bpf
        if on_bpf and not any(way.returns_directly for way in ways):
            what = f"BPF forwards by direct or tunnel only, and {service.name} is forwarded by {service.forward}"
            cure = "remove plane, or forward by direct or tunnel"
            yield Finding(("services", service.name, "plane"), what, cure, ("services", service.name, "forward"))


def _tunnel_not_bpf(view: View) -> Iterable[Finding]:
    told: set[str] = set()
    for service, server in _servers(view, Forward.TUNNEL):
        wish = service.plane or view.site.plane
        if wish is PlaneWish.NFTABLES and service.name not in told:
            told.add(service.name)
            what = f"nftables has no tunnels, and {server.host} of {service.name} is behind one"
            own = service.plane is not None
            place: Path = ("services", service.name, "plane") if own else server_path(service, server)
            cure = "remove plane" if own else "write plane: bpf at the service"
            yield Finding(place, what, cure, ("services", service.name, "forward") if own else ("balancer", "plane"))


def _encapsulation_unused(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        ways = {view.forward_of(service, server) for server in service.recipients}
        port = ("services", service.name, "encapsulation-port")
        if service.encapsulation is not None and Forward.TUNNEL not in ways:
            what = f"no server of {service.name} is behind a tunnel, so nothing is encapsulated"
            yield Finding(("services", service.name, "encapsulation"), what, "forward: tunnel, or remove it")
        elif service.encapsulation_port is not None and service.tunnel.encapsulation is not Encapsulation.GUE:
            what = "only gue has a port"
            yield Finding(port, what, "write encapsulation: gue, or remove it")


def _nat_gateway(view: View) -> Iterable[Finding]:
    for service, server in _servers(view, Forward.NAT):
        vip = view.site.vip(service.vip)
        host = view.site.machine(server.host)
        network = _shared_network(view, host, vip)
        gateway = view.gateway_of(host, network)
        routed = not view.is_on_link(service, server)
        if gateway is None or not _leads_back(view, gateway, vip, routed=routed):
            said = f"its gateway is {gateway}" if gateway is not None else "it has no gateway"
            what = f"answers of {host.name} do not come back through the balancer, as nat needs: {said}"
            cure = f"write gateway: {_vip_on(view, network, vip)} at {host.name}, or forward by fullnat or direct"
            other: Path = ("hosts", host.name, "gateway") if host.gateway else ("networks", network, "gateway")
            yield Finding(server_path(service, server), what, cure, other if gateway else ("hosts", host.name))


def _shared_network(view: View, host: Machine, vip: Vip) -> str:
    """The network on which a server hears the balancer: the VIP's own if it is there, else the first they share, else
    its own first."""
    near = view.near_networks[vip.name]
    if host.on_network(vip.network) is not None:
        return vip.network
    shared = (interface.network for interface in host.interfaces if interface.network in near)
    return next(shared, host.interfaces[0].network)


def _leads_back(view: View, gateway: str, vip: Vip, *, routed: bool = False) -> bool:
    """Whether packets to a gateway arrive at the owner of a VIP; `routed`: perhaps by way of further gateways."""
    members = {member.node for member in vip.members}
    asked: set[str] = set()
    waiting = [gateway]
    while waiting:
        name = waiting.pop()
        if view.site.has_vip(name):
            if {member.node for member in view.site.vip(name).members} == members:
                return True
        elif members == {name}:
            return True
        elif routed and name not in asked:
            asked.add(name)
            machine = view.site.machine(name)
            ways = (view.gateway_of(machine, interface.network) for interface in machine.interfaces)
            waiting += [way for way in ways if way is not None and way != name]
    return False


def _vip_on(view: View, network: str, vip: Vip) -> str:
    candidates = (vip, *(other for other in view.site.vips if _leads_back(view, other.name, vip)))
    return next((found.name for found in candidates if found.network == network), f"a VIP on {network}")


def _nat_vips_part(view: View) -> Iterable[Finding]:
    told: set[tuple[str, str]] = set()
    for service, server in _servers(view, Forward.NAT):
        vip = view.site.vip(service.vip)
        host = view.site.machine(server.host)
        gateway = view.gateway_of(host, _shared_network(view, host, vip))
        if gateway is None or gateway == vip.name or not view.site.has_vip(gateway) or (vip.name, gateway) in told:
            continue
        inner = view.site.vip(gateway)
        if _leads_back(view, gateway, vip) and _order(inner) != _order(vip):
            told.add((vip.name, gateway))
            what = f"{vip.name} and the servers' gateway {gateway} prefer different nodes, but nat needs both on one"
            cure = "give the members of both VIPs the same order of priorities"
            yield Finding(("vips", vip.name, "members"), what, cure, ("vips", gateway, "members"))


def _order(vip: Vip) -> tuple[str, ...]:
    return tuple(member.node for member in sorted(vip.members, key=lambda member: -member.priority))


def _nat_on_link_clients(view: View) -> Iterable[Finding]:
    told: set[tuple[str, str]] = set()
    for service, server in _servers(view, Forward.NAT):
        host = view.site.machine(server.host)
        for interface in host.interfaces:
            client = view.clients_on.get(interface.network)
            if client is not None and client.name != host.name and (service.name, client.name) not in told:
                told.add((service.name, client.name))
                what = (
                    f"{host.name} answers {client.name} directly, past the balancer, since both are on"
                    f" {interface.network}: under nat that client gets answers from an address it never asked"
                )
                cure = "forward by fullnat or direct, or keep such clients off the service"
                yield Finding(server_path(service, server), what, cure, ("hosts", client.name))
                break


def _server_family(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        for family in families_of(view.site.vip(service.vip)):
            lacking = [s for s in service.recipients if view.address_of(service, s, family) is None]
            if not lacking:
                continue
            through = any(view.forward_of(service, server) is Forward.TUNNEL for server in lacking)
            own = ": in tunnels, too, a packet goes inside one of its own family" if through else ""
            if all(server in lacking for server in service.servers):
                what = f"no server of {service.name} has an IPv{family.value} address, but its VIP has one{own}"
                cure = f"give the servers IPv{family.value} addresses, or use a VIP without"
                yield Finding(("services", service.name, "servers"), what, cure, ("vips", service.vip, "addresses"))
            else:
                server = lacking[0]
                what = f"{server.host} has no IPv{family.value} address, so it serves only one family of {service.name}"
                cure = f"give it an IPv{family.value} address"
                yield Finding(server_path(service, server), what + own, cure, ("hosts", server.host, "interfaces"))


def _servers(view: View, forward: Forward) -> Iterable[tuple[Service, Server]]:
    for service in view.site.services:
        for server in service.recipients:
            if view.forward_of(service, server) is forward:
                yield service, server


RULES = (
    Rule(
        "duplicate-listener",
        Severity.ERROR,
        "two services listen on one port of one VIP",
        _duplicate_listener,
        firm=True,
        partial=True,
    ),
    Rule(
        "direct-off-link",
        Severity.ERROR,
        "a server under direct return is not on the VIP's network",
        _direct_off_link,
        firm=True,
        partial=True,
    ),
    Rule(
        "mixed-forwarding",
        Severity.ERROR,
        "servers of one service are forwarded to in ways that no plane can join",
        _mixed_forwarding,
        firm=True,
        partial=True,
    ),
    Rule(
        "direct-port",
        Severity.ERROR,
        "a server under direct return has another port than its service",
        _direct_port,
        firm=True,
        partial=True,
    ),
    Rule(
        "bpf-not-direct",
        Severity.ERROR,
        "a service whose servers do not answer clients straight names the plane on BPF",
        _bpf_not_direct,
        partial=True,
    ),
    Rule(
        "tunnel-needs-bpf",
        Severity.ERROR,
        "a service with a server behind a tunnel names the plane on nftables",
        _tunnel_not_bpf,
        firm=True,
        partial=True,
    ),
    Rule(
        "encapsulation-unused",
        Severity.WARNING,
        "an encapsulation, or its port, that nothing goes inside",
        _encapsulation_unused,
        partial=True,
    ),
    Rule(
        "nat-gateway",
        Severity.ERROR,
        "a server under nat does not send its answers back through the balancer",
        _nat_gateway,
    ),
    Rule(
        "nat-vips-part",
        Severity.WARNING,
        "a service's VIP and its servers' gateway VIP may be owned by different nodes",
        _nat_vips_part,
    ),
    Rule(
        "nat-on-link-clients",
        Severity.WARNING,
        "a client is on the network of a server under nat, whose answer goes past the balancer",
        _nat_on_link_clients,
        partial=True,
    ),
    Rule(
        "server-family",
        Severity.WARNING,
        "a VIP has an address of a family in which a server has none",
        _server_family,
        partial=True,
    ),
)
