"""Which server a flow has or would get, and why; as far as that can be told before the flow comes.

Pure. What only the kernel knows (the flow is there already, its source is remembered) is given; with that unknown the
answer stands for a flow and a source that nobody has seen.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from yaoki.core.address import IPAddress
from yaoki.lb.kernel_hash import flow_slot, source_slot
from yaoki.lb.load import NOTHING_KNOWN, Load, open_servers, slots_under
from yaoki.lb.schedulers import SCHEDULERS, Pick
from yaoki.lb.service import RealServer, VirtualService


class Ground(StrEnum):
    """Why a flow goes where it goes."""

    FLOW = "flow"
    """The flow is there already, and its server is not dead."""
    PERSISTENCE = "persistence"
    """Its source was there not long ago."""
    ONLY_SERVER = "only-server"
    SOURCE_HASH = "source-hash"
    FLOW_HASH = "flow-hash"
    FEWEST_FLOWS = "fewest-flows"
    """The server with the fewest flows for its weight gets it, as of the time when it comes."""
    LESS_OF_TWO = "less-of-two"
    """The same, of two that are drawn by weight."""
    FULL = "full"
    """Every server that takes new flows has as many as it may have."""
    IN_TURN = "in-turn"
    """The next in turn gets it; which one that is, only the kernel's counter knows."""
    REFUSED = "refused"
    """No server takes new flows."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow to a virtual service, by its client's end."""

    source: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Placing:
    """`server` is None when nobody gets the flow, or when it cannot be told who. `shares` are the chances of each
    server that takes new flows, `flows` what those have by now, where it depends on that; `slot` is the slot of the
    source's hash, of `slots`."""

    ground: Ground
    server: RealServer | None = None
    shares: tuple[tuple[RealServer, float], ...] = ()
    slot: int | None = None
    slots: int = 0
    flows: tuple[tuple[RealServer, int], ...] = ()


def why(
    service: VirtualService,
    flow: Flow,
    *,
    held: RealServer | None = None,
    remembered: RealServer | None = None,
    load: Load = NOTHING_KNOWN,
) -> Placing:
    """`held`: the server that the flow has now; `remembered`: the one that its source is remembered with; `load`: the
    flows that servers have, for a service that counts them."""
    placing = _why(service, flow, held, remembered, load)
    if not service.counts_flows:
        return placing
    return replace(placing, flows=tuple((server, load.of(server)) for server in service.eligible))


def _why(
    service: VirtualService, flow: Flow, held: RealServer | None, remembered: RealServer | None, load: Load
) -> Placing:
    takers, slots = open_servers(service, load), slots_under(service, load)
    known = slots is not None and not service.scheduler.counts_flows
    shares = tuple((server, slots.share(server)) for server in takers) if slots is not None and known else ()
    if held is not None:
        return Placing(Ground.FLOW, held, shares)
    if slots is None:
        return Placing(Ground.FULL if service.eligible else Ground.REFUSED)
    if service.persistence is not None and remembered in takers:
        return Placing(Ground.PERSISTENCE, remembered, shares)
    if len(takers) == 1:
        return Placing(Ground.ONLY_SERVER, takers[0], shares)
    match SCHEDULERS[service.scheduler](service).pick:
        case Pick.LEAST:
            return Placing(Ground.FEWEST_FLOWS)
        case Pick.LESS_OF_TWO:
            return Placing(Ground.LESS_OF_TWO)
        case Pick.BY_SOURCE:
            slot = source_slot(flow.source, len(slots))
            return Placing(Ground.SOURCE_HASH, slots.servers[slot], shares, slot, len(slots))
        case Pick.BY_FLOW:
            slot = flow_slot(flow.source, flow.port, len(slots))
            return Placing(Ground.FLOW_HASH, slots.servers[slot], shares, slot, len(slots))
        case Pick.IN_TURN:
            return Placing(Ground.IN_TURN, None, shares)
