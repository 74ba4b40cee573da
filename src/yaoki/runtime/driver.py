"""Drives one machine on asyncio: inputs in, effects out in order, the deadline on the loop's timer.

Invariants: `perform` is never called while the machine is handling an input, and effects of an earlier input are done
before a later input is handled, even if performing gives new inputs. `now` never goes back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from yaoki.core.error import LocalError
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import Machine, TimerFired

InputT = TypeVar("InputT")
EffectT = TypeVar("EffectT")

MAX_TIMERS_IN_THE_PAST = 1_000
"""Timers in a row that are due at once: a machine that does not move its deadline would turn for ever."""
MAX_QUEUED_INPUTS = 100_000
"""Inputs waiting while effects are performed; more means that performing feeds on itself."""


def monotonic_now() -> Instant:
    """CLOCK_MONOTONIC, which all processes of one machine share."""
    return Instant(time.monotonic_ns() // 1000)


class Driver(Generic[InputT, EffectT]):
    """Owns the machine's time. `perform` carries one effect out, or starts doing so; it must not block."""

    def __init__(
        self,
        machine: Machine[InputT | TimerFired, EffectT],
        perform: Callable[[EffectT], None],
        *,
        now: Callable[[], Instant] = monotonic_now,
    ) -> None:
        self._machine = machine
        self._perform = perform
        self._now = now
        self._inputs: deque[InputT | TimerFired] = deque()
        self._busy = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for: Deadline | None = None
        self._past = 0

    def give(self, input_: InputT | TimerFired) -> None:
        """Hand one input to the machine and perform what follows, or queue it if that is under way."""
        if self._closed:
            return
        if len(self._inputs) >= MAX_QUEUED_INPUTS:
            raise LocalError(f"more than {MAX_QUEUED_INPUTS} inputs wait for a machine")
        self._inputs.append(input_)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inputs:
                for effect in self._machine.handle(self._now(), self._inputs.popleft()):
                    self._perform(effect)
        finally:
            self._busy = False
        self._set_timer()

    def close(self) -> None:
        """Take no more inputs and fire no more timers."""
        self._closed = True
        self._inputs.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        deadline = None if self._closed else self._machine.deadline()
        if deadline == self._timer_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_for = None, deadline
        if deadline is not None:
            # loop.time() is the same clock, but a float; asking it again avoids mixing two roundings.
            delay = max(0, deadline.at.us - self._now().us) / 1_000_000
            self._past = self._past + 1 if delay == 0 else 0
            if self._past > MAX_TIMERS_IN_THE_PAST:
                raise LocalError(f"a machine asks for the past again and again: {deadline.reason}")
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_for = None, None
        self.give(TimerFired())
