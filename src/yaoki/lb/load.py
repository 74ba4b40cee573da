"""Slots by the flows that servers have, for a plane that cannot ask at each new flow how many there are. Pure.

The plane counts now and then, and gets turns under which the servers would be even at the next count: each new flow
lifts the lowest first, like water. So the turns depend on how many flows are to come until then, which is taken to be
what came since the last count.

What this is worth: where flows last longer than the time between two counts, it follows least connection closely; where
they are shorter, the count says little and the turns come near to those of weighted round robin, which are even enough
there. A server that has reached its limit gets no turn until a count finds it below; what comes within one such time
may go beyond the limit.

Invariants: who is full or not eligible has no turn; the fewer flows for its weight a server has, the more turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from yaoki.core.address import IPAddress
from yaoki.lb.schedulers import Pick, Slots, slots_of
from yaoki.lb.schedulers.weighted_round_robin import RESOLUTION, interleaved
from yaoki.lb.service import Duty, RealServer, Scheduler, VirtualService
from yaoki.pool.apportion import apportion
from yaoki.pool.maglev import Fill, fill

ServerPlace = tuple[IPAddress, int]
"""A server's address and port."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was counted of one service: the flows of each server, and how many new ones are to be expected until the
    next count."""

    flows: Mapping[ServerPlace, int] = field(default_factory=dict)
    expected: int = 0

    def of(self, server: RealServer) -> int:
        """The flows of a server."""
        return self.flows.get((server.address, server.port), 0)


NOTHING_KNOWN = Load()


def weight_of(service: VirtualService, server: RealServer) -> int:
    """The weight by which a server's flows count; above 0 where it is eligible."""
    return 1 if service.scheduler is Scheduler.LEAST_CONNECTION else server.weight


def open_servers(service: VirtualService, load: Load) -> tuple[RealServer, ...]:
    """The eligible servers that have not reached their limits."""
    eligible = service.eligible
    if not service.is_limited:
        return eligible
    return tuple(each for each in eligible if each.limit is None or load.of(each) < each.limit)


def slots_under(service: VirtualService, load: Load, filling: Fill = fill) -> Slots | None:
    """Slots that are handed out in turn or by source; None if no server takes a new flow."""
    servers = open_servers(service, load)
    if service.is_limited and len(servers) < len(service.eligible):
        kept = {(each.address, each.port) for each in servers}
        service = replace(service, servers=tuple(_unless_full(each, kept) for each in service.servers))
    if not service.scheduler.counts_flows or not servers:
        return slots_of(service, filling)
    flows = [load.of(each) for each in servers]
    weights = [weight_of(service, each) for each in servers]
    shares = [(share, each) for share, each in zip(_poured(flows, weights, load.expected), servers, strict=True)]
    taking = [(share, each) for share, each in shares if share > 0]
    turns = apportion([share for share, _ in taking], max(RESOLUTION, len(taking)))
    return Slots(Pick.IN_TURN, tuple(each for _, each in taking), tuple(interleaved(turns)))


def _unless_full(server: RealServer, kept: set[ServerPlace]) -> RealServer:
    if not server.eligible or (server.address, server.port) in kept:
        return server
    return replace(server, duty=Duty.DRAIN, weight=0)


_FINE = 1 << 20
"""Shares are whole numbers of so many parts."""


def _poured(flows: Sequence[int], weights: Sequence[int], expected: int) -> list[int]:
    """How much each gets of what is to come, so that all who get any end at the same level, flows / weight. At least
    one for each of them is to come: a pool at rest is filled by weight."""
    coming = expected + len(flows)
    order = sorted(range(len(flows)), key=lambda index: (flows[index] / weights[index], index))
    level, filled, weight = 0.0, 0, 0
    for place, index in enumerate(order):
        filled, weight = filled + flows[index], weight + weights[index]
        level = (filled + coming) / weight
        following = order[place + 1] if place + 1 < len(order) else None
        if following is None or level <= flows[following] / weights[following]:
            break
    return [
        max(0, round((level * weight - count) * _FINE / coming)) for count, weight in zip(flows, weights, strict=True)
    ]
