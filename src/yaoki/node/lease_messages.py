"""What the LeaseKeeper and the Brain say to each other, and what the keeper's driver does for it.

The keeper has two links, so that the Brain's death costs no lease. To the Brain: told what leases there are, it reports
their states and its events. To the holder (yaoki.node.holder_messages): told what is wanted, it says what may be relied
on. As everywhere, a side that has just (re)connected is brought up to date by a repetition of everything.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.lease_params import LeaseParams
from yaoki.election.store import KeyState, StoreRequest, StoreResult, StoreSpec
from yaoki.node.holder_messages import HolderOrder, HolderReport
from yaoki.node.messages import Published

# --- from the Brain ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureLeases:
    """The complete list of leases, and where they are kept. A lease that is held and no longer listed is kept until its
    holder gives it up. All nodes of a site must name the same store: two stores make two owners.
    """

    store: StoreSpec
    leases: tuple[LeaseParams, ...]


@dataclass(frozen=True, slots=True)
class RepeatLeaseStatus:
    """Somebody has just (re)connected: send the status of every lease again."""


@dataclass(frozen=True, slots=True)
class EndLeases:
    """Take no lease any more, release those that their holder gives up, and then end. A lease whose holder goes on
    wanting it is renewed meanwhile: whoever ends the keeper has told the holder first."""


KeeperOrder = ConfigureLeases | RepeatLeaseStatus | EndLeases

# --- from the driver --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreSaid:
    """The answer to an AskStore."""

    request: StoreRequest
    result: StoreResult


@dataclass(frozen=True, slots=True)
class KeySeen:
    """A watched key was written."""

    key: str
    state: KeyState


@dataclass(frozen=True, slots=True)
class HolderBack:
    """The link to the holder is up: it knows nothing of what it holds."""


@dataclass(frozen=True, slots=True)
class HolderGone:
    """The link to the holder is down, which it is at once when the holder's process dies: its wishes are over, and what
    it holds runs out, unless it is back before that."""


KeeperInput = KeeperOrder | HolderOrder | StoreSaid | KeySeen | HolderBack | HolderGone | TimerFired

# --- what the keeper wants done ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenStore:
    """Use this store from now on, in the place of any other."""

    store: StoreSpec


@dataclass(frozen=True, slots=True)
class WatchKeys:
    """Report writes of these keys, and of no others. While a lease is held it is written far more often than each
    `silence`; longer silence means that the watch itself is to be doubted."""

    keys: tuple[str, ...]
    silence: timedelta


@dataclass(frozen=True, slots=True)
class AskStore:
    """Carry out a request; a StoreSaid must follow within `limit`, whatever happens."""

    request: StoreRequest
    limit: timedelta


class LeaseState(StrEnum):
    """States of a lease as reported: `unknown` until the store was read; `standby` not ours and not wanted; `waiting`
    not ours and wanted; `held`; `releasing` given up and telling the store."""

    UNKNOWN = "unknown"
    STANDBY = "standby"
    WAITING = "waiting"
    HELD = "held"
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """To the Brain, on each change: one lease as seen here. `owner` is the node that holds it by the store's word
    (empty for none or unknown), `epoch` its fencing token (0 if unknown), `valid_until` what may be relied on if it is
    ours.
    """

    key: str
    state: LeaseState
    since: Instant
    owner: str = ""
    epoch: int = 0
    valid_until: Instant | None = None
    because: EventId | None = None


KeeperReport = LeaseStatus | Published
KeeperEffect = OpenStore | WatchKeys | AskStore | HolderReport | KeeperReport
