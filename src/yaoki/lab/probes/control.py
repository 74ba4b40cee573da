"""The control probe's way: from each client to a host that the fault does not touch, farthest first. Pure.

Its loss means that the machine under the lab was disturbed, or that the fault reached further than was thought: the run
is void. Where everything is touched the client asks itself, which still shows a machine that stood still.
"""

from yaoki.core.address import Family
from yaoki.lab import element
from yaoki.lab.element import Element
from yaoki.lab.fault import DrainServer, Fault, RemoveServer, ServerTrouble
from yaoki.lab.probes.targets import ProbeKind, Target, clients
from yaoki.lab.survival import dead_elements, way
from yaoki.site.model import Interface, Machine, Site

PERIOD_US = 2_000


def control_targets(site: Site, fault: Fault) -> tuple[Target, ...]:
    """One target per client and family."""
    dead = dead_elements(site, fault)
    if isinstance(fault, ServerTrouble | DrainServer | RemoveServer):
        dead |= {element.host(fault.host)}
    found = []
    for client in clients(site):
        for family in Family:
            if any(interface.address(family) for interface in client.interfaces):
                host, interface = _farthest(site, client, family, dead)
                address = interface.address(family)
                assert address is not None, "chosen because it has one"
                found.append(
                    Target(
                        ProbeKind.CONTROL, client.name, address, 0, PERIOD_US, servers=(host.name,), server=host.name
                    )
                )
    return tuple(found)


def _farthest(site: Site, client: Machine, family: Family, dead: frozenset[Element]) -> tuple[Machine, Interface]:
    candidates: list[tuple[int, Machine, Interface]] = []
    for host in site.hosts:
        for interface in host.interfaces:
            if interface.address(family) is None or "client" in host.plays:
                continue
            parts = _round_trip(site, client, host, interface)
            if parts is not None and not parts & dead:
                candidates.append((len(parts), host, interface))
    if candidates:
        _, host, interface = max(candidates, key=lambda candidate: candidate[0])
        return host, interface
    return client, next(i for i in client.interfaces if i.address(family) is not None)


def _round_trip(site: Site, client: Machine, host: Machine, interface: Interface) -> frozenset[Element] | None:
    """The parts on the way there and back; None if there is no way, or it leads over a VIP or a node."""
    there = way(site, client, interface.network) | way(site, host, interface.network)
    home = client.interfaces[0].network
    back = way(site, host, home) | way(site, client, home)
    parts = there | back
    arrives = element.network(interface.network) in there and element.network(home) in way(site, host, home)
    over_nodes = any(part.kind is element.ElementKind.NODE for part in parts)
    return parts if arrives and not over_nodes else None
