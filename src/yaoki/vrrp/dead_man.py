"""How long a silent speaker's addresses may go on answering: the arithmetic of the dead-man gate.

The gate is opened anew with each advertisement, before it is sent. The others take over Active_Down_Interval after they
received the last one (RFC 9568 6.1: three intervals and the skew), so a gate that shuts within three intervals has shut
before anybody else answers, and the outage is the rest of the Active_Down_Interval.

The kernel keeps a time-out in whole ticks and begins to count at the last tick: of a limit of n ticks between n - 1 and
n pass. Two intervals and a tick must fit in, or one late advertisement would shut the gate.
"""

from datetime import timedelta

INTERVALS = 3
LEAST_INTERVALS = 2

UNPUNCTUAL_FLOOR = timedelta(milliseconds=50)
"""The shortest interval for a speaker that may have to wait for the processor: without a real-time scheduler it was up
to 12 ms late on a busy machine, of the 150 ms that three such intervals give."""

_STEP = timedelta(milliseconds=10)
"""Intervals are whole centiseconds."""


def dead_man_limit(interval: timedelta, tick: timedelta) -> timedelta:
    """The longest whole number of ticks within three intervals."""
    return INTERVALS * interval // tick * tick


def holds(interval: timedelta, tick: timedelta) -> bool:
    """Whether a kernel of this tick can keep a gate for this interval."""
    return dead_man_limit(interval, tick) - tick >= LEAST_INTERVALS * interval + tick


def interval_floor(tick: timedelta, *, punctual: bool) -> timedelta:
    """The shortest interval that is safe on a machine."""
    floor = _STEP if punctual else UNPUNCTUAL_FLOOR
    while not holds(floor, tick):
        floor += _STEP
    return floor


def address_lifetime(interval: timedelta) -> timedelta:
    """The second net: how long an address lasts that nobody renews. Whole seconds, as the kernel counts, and longer
    than the gate, which it must not forestall."""
    second = timedelta(seconds=1)
    return -(-INTERVALS * interval // second) * second + second
