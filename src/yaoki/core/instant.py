"""Time as engines see it: a point on a monotonic clock, and the point at which a machine wants to be called again.

Invariant: no code here reads a clock. Drivers make Instants; engines add and compare them.
Deliberately absent: wall time. It appears only where an event is shown to a person.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self, overload

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Instant:
    """A point on one driver's monotonic clock, in whole microseconds since that clock's zero.

    Instants of two drivers (two nodes, two processes on different machines) must not be compared.
    """

    us: int

    @classmethod
    def of_seconds(cls, seconds: float) -> Self:
        """The instant `seconds` after the clock's zero, rounded to the nearest microsecond."""
        return cls(round(seconds * 1_000_000))

    @property
    def seconds(self) -> float:
        """Seconds since the clock's zero, for a driver's timers and for display."""
        return self.us / 1_000_000

    def __add__(self, duration: timedelta) -> "Instant":
        return Instant(self.us + duration // _MICROSECOND)

    @overload
    def __sub__(self, other: "Instant") -> timedelta: ...
    @overload
    def __sub__(self, other: timedelta) -> "Instant": ...
    def __sub__(self, other: "Instant | timedelta") -> "Instant | timedelta":
        if isinstance(other, Instant):
            return timedelta(microseconds=self.us - other.us)
        return Instant(self.us - other // _MICROSECOND)

    def __lt__(self, other: "Instant") -> bool:
        return self.us < other.us

    def __le__(self, other: "Instant") -> bool:
        return self.us <= other.us

    def __gt__(self, other: "Instant") -> bool:
        return self.us > other.us

    def __ge__(self, other: "Instant") -> bool:
        return self.us >= other.us


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a machine wants its next TimerFired, and which timer that is (the field's own name, for traces)."""

    at: Instant
    reason: str


def earliest(*deadlines: Deadline | None) -> Deadline | None:
    """The first of several deadlines; None if there is none. Of two at one instant the first given wins."""
    first: Deadline | None = None
    for deadline in deadlines:
        if deadline is not None and (first is None or deadline.at < first.at):
            first = deadline
    return first
