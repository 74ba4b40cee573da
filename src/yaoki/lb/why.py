"""Which server a flow has or would get, and why; as far as that can be told before the flow comes.

Pure. What only the kernel knows (the flow is there already, its source is remembered) is given; with that unknown the
answer stands for a flow and a source that nobody has seen.
"""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.address import IPAddress
from yaoki.lb.kernel_hash import source_slot
from yaoki.lb.schedulers import Pick, slots_of
from yaoki.lb.service import RealServer, VirtualService


class Ground(StrEnum):
    """Why a flow goes where it goes."""

    FLOW = "flow"
    """The flow is there already, and its server is not dead."""
    PERSISTENCE = "persistence"
    """Its source was there not long ago."""
    ONLY_SERVER = "only-server"
    SOURCE_HASH = "source-hash"
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
    server that takes new flows; `slot` is the slot of the source's hash, of `slots`."""

    ground: Ground
    server: RealServer | None = None
    shares: tuple[tuple[RealServer, float], ...] = ()
    slot: int | None = None
    slots: int = 0


def why(
    service: VirtualService, flow: Flow, *, held: RealServer | None = None, remembered: RealServer | None = None
) -> Placing:
    """`held`: the server that the flow has now; `remembered`: the one that its source is remembered with."""
    slots = slots_of(service)
    shares = () if slots is None else tuple((server, slots.share(server)) for server in service.eligible)
    if held is not None:
        return Placing(Ground.FLOW, held, shares)
    if slots is None:
        return Placing(Ground.REFUSED)
    if service.persistence is not None and remembered is not None and remembered.eligible:
        return Placing(Ground.PERSISTENCE, remembered, shares)
    if len(service.eligible) == 1:
        return Placing(Ground.ONLY_SERVER, service.eligible[0], shares)
    if slots.pick is Pick.BY_SOURCE:
        slot = source_slot(flow.source, len(slots))
        return Placing(Ground.SOURCE_HASH, slots.servers[slot], shares, slot, len(slots))
    return Placing(Ground.IN_TURN, None, shares)
