"""Slow start: a member that begins to serve gets its weight in steps, so that a cold cache meets a rising load.

The ramp is a staircase of STEPS equal treads over `slow_start`: 1/11 of the weight at once, all of it at the end.
Invariants: never 0 (which would drain) for a weight above 0; never above the weight; never falls as time passes; at
most STEPS changes, so a ramp costs a bounded number of data-plane transactions.
"""

from datetime import timedelta

from yaoki.core.instant import Instant

STEPS = 10

_MICROSECOND = timedelta(microseconds=1)


def ramped(weight: int, slow_start: timedelta, *, begun: Instant, now: Instant) -> int:
    """The weight that a member has at `now` if it began to serve at `begun`."""
    if weight == 0 or slow_start <= timedelta(0):
        return weight
    return max(1, weight * (_treads(slow_start, begun, now) + 1) // (STEPS + 1))


def next_step(slow_start: timedelta, *, begun: Instant, now: Instant) -> Instant | None:
    """When the weight is to be computed again; None once the ramp is over."""
    if slow_start <= timedelta(0):
        return None
    tread = _treads(slow_start, begun, now) + 1
    if tread > STEPS:
        return None
    return Instant(begun.us - (-(slow_start // _MICROSECOND) * tread // STEPS))


def _treads(slow_start: timedelta, begun: Instant, now: Instant) -> int:
    """Whole treads climbed so far, 0..STEPS."""
    return min(STEPS, max(0, now.us - begun.us) * STEPS // (slow_start // _MICROSECOND))
