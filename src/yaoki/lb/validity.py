"""What the planes cannot do: said before anything is applied, by the linter or by the plane itself.

Invariant: a service without objections can be carried out as it is written.
"""

from collections.abc import Iterable
from itertools import groupby

from yaoki.lb.service import Forward, RealServer, VirtualService

MOST_FLOWS = 1_000_000
"""The greatest limit of a server."""


def mixture(methods: Iterable[Forward]) -> str | None:
    """Why servers of one service cannot have these forwarding methods; None if they can.

    `direct` and `tunnel` are decided as a packet arrives, before the kernel's address translation sees it, so the two
    kinds cannot share one service's turns; `nat` and `fullnat` can, and `direct` and `tunnel`.
    """
    found = set(methods)
    if len({method.returns_directly for method in found}) < 2:
        return None
    names = " and ".join(sorted(found))
    return f"servers of one service cannot be of the methods {names}: direct and tunnel go with each other only"


def objections(service: VirtualService) -> tuple[str, ...]:
    """Everything about a service that cannot be carried out; empty if it can."""
    found = []
    reason = mixture(server.forward for server in service.servers)
    if reason is not None:
        found.append(reason)
    if len({(int(server.address), server.port) for server in service.servers}) < len(service.servers):
        places = sorted(f"{server.address} port {server.port}" for server in service.servers)
        found += [f"{place} is there twice" for place, same in groupby(places) if len(list(same)) > 1]
    persistence = service.persistence
    if persistence is not None and not 0 <= persistence.prefix_length <= service.key.family.bits:
        found.append(f"a source mask of {persistence.prefix_length} bits does not fit {service.key.family.name}")
    if persistence is not None and persistence.timeout.total_seconds() < 1:
        found.append("persistence of less than a second")
    if service.idle_timeout is not None and service.idle_timeout.total_seconds() < 1:
        found.append("an idle time-out of less than a second")
    for server in service.servers:
        found += _of_server(service, server)
    return tuple(found)


def _of_server(service: VirtualService, server: RealServer) -> Iterable[str]:
    if server.address.version != service.key.address.version:
        yield f"{server.name} has an address of another family ({server.address}) than the service"
    if server.forward.returns_directly and server.port != service.key.port:
        yield f"{server.name}: direct return cannot rewrite port {service.key.port} to {server.port}"
    if server.forward is Forward.TUNNEL and server.tunnel is None:
        yield f"{server.name}: it is not said what its packets go inside"
    if server.forward is Forward.FULLNAT and server.source is None:
        yield f"{server.name}: fullnat needs a source address of this node in place of the client's"
    if server.limit is not None and not 0 < server.limit <= MOST_FLOWS:
        yield f"{server.name}: a limit of {server.limit} flows is outside 1..{MOST_FLOWS}"
