"""Source hash: the source address decides, by a Maglev table, so that little moves when a server comes or goes.

Both balancers of a site make the same table of the same servers: a flow that moves to the other balancer keeps its
server without any state being copied.
"""

from yaoki.lb.schedulers.slots import Pick, Slots, name_of
from yaoki.lb.service import VirtualService
from yaoki.pool.maglev import Share, maglev, size_for


def source_hash(service: VirtualService) -> Slots:
    """A Maglev table by the servers' places and weights. Its size counts all servers, dead ones too."""
    ordered = tuple(sorted(service.eligible, key=name_of))
    shares = [Share(name_of(server), server.weight) for server in ordered]
    return Slots(Pick.BY_SOURCE, tuple(ordered[index] for index in maglev(shares, size_for(len(service.servers)))))
