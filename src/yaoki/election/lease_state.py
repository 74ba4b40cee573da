"""The lease machine's states, inputs and effects. Each state holds only what it needs; see yaoki.election.lease."""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.event import Emit
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.events import LossReason
from yaoki.election.lease_record import Record, read_record
from yaoki.election.store import KeyState, ReadKey, StoreResult, SwapKey

# --- inputs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Want:
    """The holder wants the lease, or still wants it. The wish counts until `until`, so a holder that died or hangs
    lets its lease run out. `patience` is waited on top of what safety asks, so that a better placed node goes first.
    `claim` is a number that the holder raises each time it begins to want; it comes back with what is granted.
    """

    until: Instant
    patience: timedelta = timedelta(0)
    claim: int = 1


@dataclass(frozen=True, slots=True)
class NotWant:
    """The holder does not want the lease and is silent already."""


@dataclass(frozen=True, slots=True)
class StoreAnswered:
    """The store's answer to the request of this number, or the driver's word that there will be none."""

    request: int
    result: StoreResult


@dataclass(frozen=True, slots=True)
class RevisionSeen:
    """The store's watch reports a write of the key. May be late, come twice, or never come."""

    state: KeyState


LeaseInput = Want | NotWant | StoreAnswered | RevisionSeen | TimerFired

# --- effects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease is held and good until `valid_until`, an instant of this node's monotonic clock. Comes again, with the
    same epoch and a later instant, with every renewal. A holder does not heed what was granted to an earlier `claim`:
    it has given that up since, and the store may know already."""

    epoch: int
    valid_until: Instant
    claim: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease is no longer held; `valid_until` of the last Granted no longer counts."""

    epoch: int
    reason: LossReason


LeaseEffect = ReadKey | SwapKey | Granted | Lost | Emit

# --- states -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """The one request under way: when it was handed out for sending, and when it is given up. `duration` is what a swap
    promises in its record."""

    number: int
    sent: Instant
    given_up_at: Instant
    duration: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the key: the newest revision, what it says, and since when no newer one was seen."""

    revision: int
    record: Record
    since: Instant

    @classmethod
    def of(cls, state: KeyState, now: Instant) -> "Seen":
        """What was learnt just now. Not when the question was sent: the owner may have renewed after that."""
        return cls(state.revision, read_record(state.value), now)


@dataclass(frozen=True, slots=True)
class Unread:
    """Nothing is known of the key yet."""

    retry_at: Instant
    request: Request | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Watching:
    """Not ours. No request under way; none before `retry_at`."""

    seen: Seen
    retry_at: Instant
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Confirming:
    """`seen` is old enough to challenge: reading whether it still is the newest. This is the snapshot."""

    seen: Seen
    request: Request
    failures: int


@dataclass(frozen=True, slots=True)
class Taking:
    """Swapping against the snapshot. `epoch` is 0 for a new one, else that of a lease which was ours before."""

    seen: Seen
    request: Request
    epoch: int
    failures: int


@dataclass(frozen=True, slots=True)
class Holding:
    """Ours until `valid_until`; `revision` is that of our last known write."""

    epoch: int
    revision: int
    valid_until: Instant
    renew_at: Instant
    request: Request | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Releasing:
    """Given up, and telling the store. No request under way before `retry_at`."""

    epoch: int
    revision: int
    retry_at: Instant
    request: Request | None = None
    attempts: int = 0


Phase = Unread | Watching | Confirming | Taking | Holding | Releasing


@dataclass(frozen=True, slots=True)
class Wish:
    """The holder's last Want. `lapsed` once it was found to have run out."""

    until: Instant
    patience: timedelta
    claim: int
    lapsed: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's whole state. `requests` counts those sent."""

    phase: Phase
    wish: Wish | None = None
    requests: int = 0
