"""The table behind the schedulers that hash: every node with the same servers makes the same one."""

from yaoki.lb.schedulers.slots import name_of
from yaoki.lb.service import RealServer, VirtualService
from yaoki.pool.maglev import Fill, Share, maglev, size_for


def maglev_table(service: VirtualService, filling: Fill) -> tuple[tuple[RealServer, ...], tuple[int, ...]]:
    """The servers in the table's order, and for each slot the index of its server among them, by places and weights.
    The table's size counts all servers, dead ones too."""
    ordered = tuple(sorted(service.eligible, key=name_of))
    shares = [Share(name_of(server), server.weight) for server in ordered]
    return ordered, maglev(shares, size_for(len(service.servers)), filling)
