"""Parameters of one lease, and the two formulas on which its safety and its liveness rest, as exact numbers.

Safety: an owner trusts its lease for `duration` on its own clock, counted from before the renewal was sent. A
challenger counts `wait_out(duration)` on its own clock, from after the renewal was stored. As no clock errs by more
than MAX_CLOCK_ERROR_PERCENT, the second ends later than the first, whatever the network did in between.

Liveness: `duration` outlasts the store's own write gap (`least_duration`), else each election of a store leader
would cost every address that has a lease.
"""

from dataclasses import dataclass
from datetime import timedelta

MAX_CLOCK_ERROR_PERCENT = 1
"""How much too fast or too slow a monotonic clock may run. NTP steers by at most 0.05 %, bad crystals err by 0.02 %."""

SHORTEST_DURATION = timedelta(milliseconds=100)
LONGEST_DURATION = timedelta(seconds=60)
DEFAULT_DURATION = timedelta(milliseconds=1500)
"""`least_duration` of a store that elects within half a second."""

# Implementation. A request that a store without a leader took waits in vain even when there is one again, so it is
# given up soon: a tenth of the duration, but well above what a busy machine takes (9 ms at the 99th percentile).
_RENEWALS_PER_DURATION = 6
_LONGEST_REQUEST = timedelta(milliseconds=200)
_SHORTEST_REQUEST = timedelta(milliseconds=50)
_REQUESTS_PER_DURATION = 10
_FEWEST_REQUESTS_PER_DURATION = 5
_FIRST_RETRIES_PER_DURATION = 64
_RETRY_DOUBLINGS = 4
_PATIENCES_PER_DURATION = 25

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class LeaseParams:
    """One lease: its key in the store, how long a renewal is good for, how often it is renewed, and after what time a
    request to the store is given up. Raises ValueError where a single lost request could cost the lease."""

    key: str
    duration: timedelta
    renew_every: timedelta
    request_limit: timedelta

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a lease needs a key")
        if not SHORTEST_DURATION <= self.duration <= LONGEST_DURATION:
            raise ValueError(f"duration {self.duration} is outside {SHORTEST_DURATION} to {LONGEST_DURATION}")
        if not timedelta(0) < self.renew_every or not 3 * self.renew_every < self.duration:
            raise ValueError(f"renewal every {self.renew_every} is not below a third of the duration {self.duration}")
        if not timedelta(0) < self.request_limit <= self.duration / 3:
            raise ValueError(f"request limit {self.request_limit} is not within a third of the duration")

    @classmethod
    def usual(cls, key: str, duration: timedelta) -> "LeaseParams":
        """The usual pace for a duration: renewed six times within it."""
        limit = max(_SHORTEST_REQUEST, duration // _REQUESTS_PER_DURATION)
        limit = min(limit, _LONGEST_REQUEST, duration // _FEWEST_REQUESTS_PER_DURATION)
        return cls(key, duration, duration // _RENEWALS_PER_DURATION, limit)

    def retry_after(self, failures: int) -> timedelta:
        """How long to wait after so many failed requests in a row: doubling, up to a quarter of the duration. An owner,
        whose time is short, waits as after the first each time."""
        doublings = min(max(failures - 1, 0), _RETRY_DOUBLINGS)
        return self.duration * (1 << doublings) // _FIRST_RETRIES_PER_DURATION


def wait_out(duration: timedelta) -> timedelta:
    """How long a challenger waits without a new revision: 1.0203 times the duration. It is (1 + e) / (1 - e), because
    the owner's clock may be slow while the challenger's is fast."""
    slow, fast = 100 - MAX_CLOCK_ERROR_PERCENT, 100 + MAX_CLOCK_ERROR_PERCENT
    return timedelta(microseconds=-(-(duration // _MICROSECOND) * fast // slow))


def patience(duration: timedelta, priority: int) -> timedelta:
    """How long a node of this priority (1..255) lets better ones go first: up to a 25th of the duration, as VRRP's
    Skew_Time (RFC 9568 6.1) does it."""
    return duration * (256 - priority) / (256 * _PATIENCES_PER_DURATION)


def longest_takeover(duration: timedelta) -> timedelta:
    """From the death of an owner to its successor's taking over, at worst, while the store answers: 1.1 times the
    duration, that is the waiting, the longest patience, and what remains for the store, the network and the kernel."""
    return duration * 11 / 10


def least_duration(store_election_timeout: timedelta) -> timedelta:
    """The shortest duration that a change of the store's leader does not cost. Raft waits one to two election timeouts
    before it votes; the rest is the vote, the renewal that was just due, and the one attempt that it cost. A vote that
    is split is repeated after as long again: seldom, and then the lease is lost.
    """
    return 2 * store_election_timeout + timedelta(milliseconds=500)
