"""Services as `ipvsadm -R` reads them; servers without any check, as IPVS makes none."""

from ipaddress import ip_network

from yaoki.lb.service import Encapsulation, Forward, Protocol
from yaoki.site.foreign.exporting import Export, Lost, counts_ports, say_lost, scheduler_of, servers_of, services_of
from yaoki.site.model import Site
from yaoki.site.node_plan import ServerPlan, ServicePlan

_FLAGS = {Forward.NAT: "-m", Forward.DIRECT: "-g", Forward.TUNNEL: "-i"}


def export_ipvsadm(site: Site) -> Export:
    """The lines of the table."""
    lost: list[Lost] = []
    services = services_of(site, lost)
    say_lost(site, lost)
    return Export("".join(line + "\n" for service in services for line in _lines(service)), tuple(lost))


def _lines(service: ServicePlan) -> list[str]:
    place = f"-{'t' if service.key.protocol is Protocol.TCP else 'u'} {_place(service.key.address, service.key.port)}"
    flags = " -b mh-port" if counts_ports(service) else ""
    lines = [f"-A {place} -s {scheduler_of(service)}{_persistence(service)}{flags}"]
    for server in servers_of(service):
        limit = "" if server.limit is None else f" -x {server.limit}"
        where = f"-a {place} -r {_place(server.address, server.port)}"
        lines.append(f"{where} {_FLAGS[server.forward]}{_tunnel(server)} -w {server.weight}{limit}")
    return lines


def _tunnel(server: ServerPlan) -> str:
    """IPVS writes variant 0 of GUE, and the end of a tunnel on Linux takes both."""
    if server.tunnel is None or server.tunnel.encapsulation is Encapsulation.IPIP:
        return ""
    return f" --tun-type gue --tun-port {server.tunnel.port} --tun-nocsum"


def _place(address: object, port: int) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def _persistence(service: ServicePlan) -> str:
    kept = service.persistence
    if kept is None:
        return ""
    mask = ""
    if service.key.address.version == 4 and kept.prefix_length != 32:
        mask = f" -M {ip_network(f'0.0.0.0/{kept.prefix_length}').netmask}"
    elif service.key.address.version == 6 and kept.prefix_length != 128:
        mask = f" -M {kept.prefix_length}"
    return f" -p {-(-kept.timeout.total_seconds() // 1):.0f}{mask}"
