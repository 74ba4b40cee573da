"""The states and inputs of a leased router, besides those that it shares with a virtual router."""

from dataclasses import dataclass

from yaoki.core.instant import Instant
from yaoki.vrrp.events import Reason
from yaoki.vrrp.router_state import Active, Initialize, Input


@dataclass(frozen=True, slots=True)
class Standby:
    """Not the owner. The lease is wanted, unless `held_out` or before `waits_until`.

    An owner of lower priority is bid against at `bid_at`; None: no such owner was heard. `lower_heard` is when one was
    heard last, `store_heard` when the store last told of another's lease. `joining` until an owner is heard after a
    start. One that is held out and hears nobody until `silent_at` says so, once.
    """

    waits_until: Instant | None = None
    bid_at: Instant | None = None
    lower_heard: Instant | None = None
    store_heard: Instant | None = None
    joining: bool = False
    held_out: bool = False
    silent_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Bidding:
    """Advertising without owning: the owner, of lower priority, shall give its lease up. In vain at `until`."""

    until: Instant
    advertise_at: Instant


LeasedState = Initialize | Standby | Bidding | Active


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's whole state. `yielded_at`: when it last gave the lease up to a bid, as long as nobody was seen to
    have taken it; `renewed_at`: when the lease was last given to it, or renewed."""

    state: LeasedState
    yielded_at: Instant | None = None
    renewed_at: Instant | None = None


# --- inputs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseHeld:
    """The lease is ours, under this epoch. Said again with each renewal, and after a Startup while it is."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Startup of one that goes on: the lease is ours under this epoch, the kernel holds the addresses from before, and
    their gate is open."""

    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseGone:
    """The lease is not ours any more: be silent at once."""

    reason: Reason = Reason.LEASE_RAN_OUT


@dataclass(frozen=True, slots=True)
class LeaseElsewhere:
    """The store tells that another node holds the lease: so it answers us, and would tell us if that ended."""


@dataclass(frozen=True, slots=True)
class GiveWay:
    """The other family's router of this VIP has given way to a bid, and both move together; or something else keeps
    both from owning here."""

    reason: Reason = Reason.OTHER_FAMILY


LeasedInput = Input | LeaseHeld | Resume | LeaseGone | LeaseElsewhere | GiveWay
