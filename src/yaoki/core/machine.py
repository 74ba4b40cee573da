"""The one shape of everything that decides.

A machine is given an input and the time, and answers with effects; it never acts by itself. Effects are values, queued
by the driver and run in order after `handle` has returned, never re-entrantly.

Invariants every machine keeps: equal histories of (now, input) give equal effects and equal state; an early or repeated
TimerFired is harmless; an input made by a peer never raises.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from yaoki.core.instant import Deadline, Instant

InputT_contra = TypeVar("InputT_contra", contravariant=True)
EffectT = TypeVar("EffectT")


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The deadline that the machine asked for may have come. The machine itself compares it with `now`."""


class Machine(Protocol[InputT_contra, EffectT]):
    """A pure state machine; see the module's invariants."""

    def handle(self, now: Instant, input_: InputT_contra, /) -> list[EffectT]:
        """Take one input at `now`; return what is to be done, in order. `now` never goes back."""
        ...

    def deadline(self) -> Deadline | None:
        """When TimerFired is wanted next; None for never. Derived from the state, so there is nothing to cancel."""
        ...
