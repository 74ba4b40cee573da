"""Runs many probes at once in one thread: one epoll descriptor, one heap of timeouts.

asyncio would do, at three times the CPU time per probe; 5,000 connections a second are to fit one core.

Invariants: every probe started ends with exactly one finding, within its timeout or, if the process was held up, in
the turn after; an answer that has arrived is taken before the timeout that passed meanwhile; a probe that ended has
closed all that it opened.
"""

import select
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from yaoki.checks.check import CheckSpec, Finding
from yaoki.checks.failure import system_error, timed_out
from yaoki.core.instant import Instant

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
CONNECTION = "connection"
"""What a probe waits for that connects; an error then needs no more words."""
_SWEEP_SLACK = 64
_MICROSECOND = timedelta(microseconds=1)


class Wait(NamedTuple):
    """Go on when `fd` is ready for `events`, or `also` is readable. `what` names what is missing meanwhile.

    Waking up is no promise: a probe tries, and waits again if it would block.
    """

    fd: int
    events: int
    what: str
    also: int = -1


Probe = Generator[Wait, None, Finding]


class ProbeTimedOut(Exception):
    """Thrown into a probe whose time is up; what it answers to this is its finding."""


@dataclass(slots=True, eq=False)
class Job:
    """One probe to be made, and its stop-watch."""

    number: int
    spec: CheckSpec
    started_ns: int

    def took(self) -> timedelta:
        """Time since the start."""
        return timedelta(microseconds=(time.monotonic_ns() - self.started_ns) // 1000)


@dataclass(slots=True, eq=False)
class _Running:
    """`since_turn`: the turn of the loop in which its descriptors were last registered."""

    job: Job
    probe: Probe
    what: str = ""
    since_turn: int = 0
    registered: dict[int, int] = field(default_factory=dict)


Handler = Callable[[int], None]
"""Called with the ready events of a descriptor."""


class ProbeLoop:
    """See the module. `finished` is called with the number and the finding of every probe that ends."""

    def __init__(self, finished: Callable[[int, Finding], None]) -> None:
        self._finished = finished
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Running] = {}
        self._handlers: dict[int, Handler] = {}
        self._running: dict[int, _Running] = {}
        self._timeouts: list[tuple[int, int]] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._running)

    def attach(self, fd: int, events: int, handler: Handler) -> None:
        """Watch a descriptor that is no probe's."""
        if fd in self._handlers:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def detach(self, fd: int) -> None:
        """Watch it no more; to be called before it is closed."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def start(self, job: Job, probe: Probe) -> None:
        """Run a probe up to its first wait. It may end, and be reported, before this returns."""
        running = _Running(job, probe)
        self._running[job.number] = running
        heappush(self._timeouts, (job.started_ns + job.spec.schedule.timeout // _MICROSECOND * 1000, job.number))
        if len(self._timeouts) > 2 * len(self._running) + _SWEEP_SLACK:
            self._sweep()
        self._step(running, probe.__next__)

    def turn(self, until: Instant | None) -> None:
        """Wait for descriptors and timeouts, but not longer than `until`, and deal with all that are ready."""
        # All that is ready, however much: a timeout must not overtake an answer that lies there.
        at_once = len(self._by_fd) + len(self._handlers) + 1
        events = self._epoll.poll(self._wait_s(until), at_once)
        self._turn += 1
        for fd, ready in events:
            if (running := self._by_fd.get(fd)) is not None:
                if running.since_turn != self._turn:  # else the event is that of a closed descriptor of this number
                    self._step(running, running.probe.__next__)
            elif (handler := self._handlers.get(fd)) is not None:
                handler(ready)
        now_ns = time.monotonic_ns()
        while self._timeouts and self._timeouts[0][0] <= now_ns:
            late = self._running.get(heappop(self._timeouts)[1])
            if late is not None:
                self._step(late, partial(late.probe.throw, ProbeTimedOut()))

    def close(self) -> None:
        """End all probes without findings."""
        for running in self._running.values():
            running.probe.close()
        self._running.clear()
        self._by_fd.clear()
        self._epoll.close()

    def _wait_s(self, until: Instant | None) -> float | None:
        """Timeouts of probes that have ended are taken off when they come to the front."""
        while self._timeouts and self._timeouts[0][1] not in self._running:
            heappop(self._timeouts)
        at_ns = None if until is None else until.us * 1000
        if self._timeouts and (at_ns is None or self._timeouts[0][0] < at_ns):
            at_ns = self._timeouts[0][0]
        return None if at_ns is None else max(0.0, (at_ns - time.monotonic_ns()) / 1e9)

    def _sweep(self) -> None:
        """Most probes end long before their timeouts, which would pile up."""
        self._timeouts = [timeout for timeout in self._timeouts if timeout[1] in self._running]
        heapify(self._timeouts)

    def _step(self, running: _Running, resume: Callable[[], Wait]) -> None:
        job = running.job
        try:
            wait = resume()
        except StopIteration as end:
            self._end(running, end.value)
        except ProbeTimedOut:
            self._end(running, timed_out(running.what, job.spec.schedule.timeout, job.took()))
        except OSError as error:
            words, awaited = error.strerror or str(error), "" if running.what == CONNECTION else running.what
            self._end(running, system_error(error.errno, words, job.took(), awaited=awaited))
        else:
            running.what = wait.what
            self._register(running, wait.fd, wait.events)
            if wait.also >= 0:
                self._register(running, wait.also, READABLE)

    def _register(self, running: _Running, fd: int, events: int) -> None:
        held = running.registered.get(fd)
        if held == events:
            return
        if held is None:
            self._epoll.register(fd, events)
            self._by_fd[fd] = running
            running.since_turn = self._turn
        else:
            self._epoll.modify(fd, events)
        running.registered[fd] = events

    def _end(self, running: _Running, finding: Finding) -> None:
        """Closing a descriptor has taken it out of the epoll set, and its number may be another probe's by now."""
        for fd in running.registered:
            if self._by_fd.get(fd) is running:
                del self._by_fd[fd]
        number = running.job.number
        del self._running[number]
        self._finished(number, finding)
