"""What is written under a lease's key, and its wire form.

`Held` carries the duration on which its owner relies, so that a challenger with another configuration waits long
enough. The epoch is the store's revision of the write by which the owner came to hold the lease: it only ever grows, so
whoever is given it can refuse what an earlier owner still says (fencing token). The write that starts an epoch cannot
know its own revision, and carries 0.

Invariant: `read_record(write_record(x)) == x`; anything else under the key is Unreadable, never an exception.
"""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.codec import Codec, Undecodable
from yaoki.election.lease_params import LONGEST_DURATION, SHORTEST_DURATION


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims leases: a node, and the boot of its machine. After a reboot it is another claimant: what it was told
    before counts on a clock that no longer runs."""

    node: str
    boot: str


@dataclass(frozen=True, slots=True)
class Held:
    """`owner` relies on the lease for `duration` from before it sent this. `epoch` 0: the revision of this write."""

    owner: Claimant
    epoch: int
    duration: timedelta

    def __post_init__(self) -> None:
        if not SHORTEST_DURATION <= self.duration <= LONGEST_DURATION:
            raise ValueError(f"duration {self.duration} is outside {SHORTEST_DURATION} to {LONGEST_DURATION}")
        if self.epoch < 0:
            raise ValueError("an epoch is not negative")


@dataclass(frozen=True, slots=True)
class Released:
    """The owner of `epoch` gave the lease up after it had fallen silent: the next may take it at once."""

    by: Claimant
    epoch: int


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is there: nobody ever held the lease, or somebody deleted the key."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Somebody wrote what we do not understand; `why` says what is wrong with it."""

    why: str


Record = Held | Released | Absent | Unreadable

_CODEC = Codec()


def write_record(record: Held | Released) -> bytes:
    """The value to store."""
    return _CODEC.encode(record)


def read_record(value: bytes | None) -> Record:
    """What a stored value says; None stands for a key that does not exist."""
    if value is None:
        return Absent()
    try:
        record = _CODEC.decode(value, Held | Released)
    except Undecodable as error:
        return Unreadable(error.why)
    assert isinstance(record, Held | Released)
    return record
