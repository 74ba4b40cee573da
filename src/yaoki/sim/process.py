"""One simulated operating-system process that drives one assembly, as the runtime's drivers do.

It hands its machine inputs and the time, queues the effects to a sink in their order and calls again at the deadline, a
little late as every timer is. It can be stopped and continued (SIGSTOP), slowed and killed.

Invariants: nothing reaches a machine while its process is stopped or dead; a sink never calls back into the process
before `handle` has returned.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, Protocol, TypeVar

from yaoki.core.error import LocalError
from yaoki.core.machine import Machine, TimerFired
from yaoki.sim.chance import Chance
from yaoki.sim.clock import NodeClock
from yaoki.sim.timeline import Timeline
from yaoki.sim.trace import Record

MAX_WAITING = 100_000

# An input with more effects than this is told of.
MANY_EFFECTS = 16

# How late an unhurried machine wakes a process, in microseconds.
LATENESS_US = 200

InputT = TypeVar("InputT")
EffectT = TypeVar("EffectT")

_TIMER_FIRED = TimerFired()


class Observer(Protocol):
    """Whoever looks over a process's shoulder: the trace and the invariants."""

    @property
    def keep(self) -> Callable[[Record], None]:
        """Takes a record of the trace: time, process, input, effects."""
        ...

    def many_effects(self, process: str, count: int, /) -> None:
        """A machine wants more than MANY_EFFECTS things done at once."""
        ...

    def started(self, process: str, /) -> None:
        """A process begins with a new machine."""
        ...


class Process(Generic[InputT, EffectT]):
    """A process by name ("lb1/speaker"). `machine` is None while it is dead."""

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        *,
        clock: NodeClock,
        chance: Chance,
        sink: Callable[[EffectT], None],
        observer: Observer,
    ) -> None:
        self.name = name
        self.machine: Machine[InputT | TimerFired, EffectT] | None = None
        self.paused = False
        self.lateness_us = LATENESS_US
        self._slowness: list[int] = []
        self._timeline = timeline
        self._clock = clock
        self._fraction = chance.fraction
        self._sink = sink
        self._observer = observer
        self._keep = observer.keep
        self._waiting: deque[InputT] = deque()
        self._wanted: int | None = None
        self._armed: int | None = None
        self._arming = 0

    @property
    def running(self) -> bool:
        """Alive and given the processor."""
        return self.machine is not None and not self.paused

    def start(self, machine: Machine[InputT | TimerFired, EffectT]) -> None:
        """Begin with a new machine."""
        self.kill()
        self.machine = machine
        self._observer.started(self.name)
        self._arm(machine, self._timeline.now)

    def kill(self) -> None:
        """SIGKILL: what it knew is gone."""
        self.machine = None
        self.paused = False
        self._waiting.clear()
        self._wanted = self._armed = None
        self._arming += 1

    def pause(self) -> None:
        """SIGSTOP: packets and messages wait, timers are late."""
        self.paused = True

    def resume(self, first: Iterable[InputT] = ()) -> None:
        """SIGCONT: `first`, then what waited is read, in the order of arrival, then a timer that is due fires."""
        self.paused = False
        waiting, self._waiting = self._waiting, deque()
        for input_ in (*first, *waiting):
            self.give(input_)
        self.rearm()

    def slow(self, lateness_us: int) -> None:
        """Timers fire up to so late until it is taken back; of several the worst counts."""
        self._slowness.append(lateness_us)
        self._retime()

    def quicken(self, lateness_us: int) -> None:
        """Take one slowness back."""
        self._slowness.remove(lateness_us)
        self._retime()

    def _retime(self) -> None:
        self.lateness_us = max(self._slowness, default=LATENESS_US)
        self.rearm()

    def rearm(self) -> None:
        """Ask for the deadline again: the clock was set right, or the process was stopped."""
        self._armed = None
        self._arming += 1
        if self.running and self.machine is not None:
            self._arm(self.machine, self._timeline.now)

    def give(self, input_: InputT) -> None:
        """An input reaches the process: handled at once, or kept until it runs again."""
        machine = self.machine
        if machine is None:
            return
        if self.paused:
            if len(self._waiting) >= MAX_WAITING:
                raise LocalError(f"more than {MAX_WAITING} inputs wait for {self.name}")
            self._waiting.append(input_)
        else:
            self.take(machine, input_)

    def take(self, machine: Machine[InputT | TimerFired, EffectT], input_: InputT | TimerFired) -> None:
        """An input reaches the process; the caller has looked that this is its machine, and that it runs."""
        now = self._timeline.now
        effects = machine.handle(self._clock.instant(now), input_)
        self._keep((now, self.name, input_, effects))
        if len(effects) > MANY_EFFECTS:
            self._observer.many_effects(self.name, len(effects))
        for effect in effects:
            self._sink(effect)
        self._arm(machine, now)

    def _arm(self, machine: Machine[InputT | TimerFired, EffectT], now: int) -> None:
        """Note the deadline. A timer that is already set for an earlier time is left alone: on firing it sees that it
        is too early and sets itself again, which is cheaper than one timer for every packet that puts a deadline off.
        """
        deadline = machine.deadline()
        if deadline is None:
            self._wanted = None
            return
        wanted = self._clock.world(deadline.at.us)
        self._wanted = wanted = wanted if wanted > now else now
        armed = self._armed
        if armed is None or wanted < armed:
            self._set_timer(wanted)

    def _set_timer(self, wanted: int) -> None:
        self._arming += 1
        self._armed = wanted
        late = 1 + int(self._fraction() * self.lateness_us)
        self._timeline.at(wanted + late, partial(self._timer, self._arming))

    def _timer(self, arming: int) -> None:
        if arming != self._arming:
            return
        self._armed = None
        machine, wanted = self.machine, self._wanted
        if machine is None or wanted is None or self.paused:
            return
        if wanted > self._timeline.now:
            self._set_timer(wanted)
        else:
            self.take(machine, _TIMER_FIRED)
