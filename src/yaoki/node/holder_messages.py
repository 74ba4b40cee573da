"""What the holder of leases (the speaker) and the LeaseKeeper say to each other.

As everywhere, a side that has just (re)connected is brought up to date by a repetition of everything.
"""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.election.events import LossReason

# --- from the holder --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseWish:
    """One lease that is wanted; `claim` and `patience` as in yaoki.election.lease_state.Want."""

    key: str
    claim: int
    patience: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class HoldLeases:
    """The complete list of what the holder wants, good until `until`; to be repeated well before. For a lease that is
    not listed the holder is silent already, so it is released."""

    wishes: tuple[LeaseWish, ...]
    until: Instant


HolderOrder = HoldLeases

# --- to the holder ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseValid:
    """To the holder: the lease is held, under this fencing token, and may be relied on until `valid_until`. Comes with
    every renewal. To be heeded only if `claim` is that of the present wish (yaoki.election.lease_holder)."""

    key: str
    claim: int
    epoch: int
    valid_until: Instant
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class LeaseOver:
    """To the holder: be silent at once, whatever was valid until when."""

    key: str
    epoch: int
    reason: LossReason
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """To the holder, of a lease that it wants: the store was just heard to say that `owner` holds it."""

    key: str
    owner: str


HolderReport = LeaseValid | LeaseOver | LeaseSeen

# --- from the holder's driver -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeeperBack:
    """The link to the keeper is up: it knows nothing of what is wanted."""


@dataclass(frozen=True, slots=True)
class LeasesInherited:
    """The holder whose place this one takes held these when it fell silent. Told once, before any order: what was held
    by them is gone on with where the kernel still has it, addresses and open gates."""

    leases: tuple[LeaseValid, ...]
