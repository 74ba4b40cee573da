"""The check worker's machine: which check is probed when, and what its results make of its verdict.

When: a check has its own phase, a hash of its identity, and is probed at every instant of the shard's clock that has
this phase modulo its interval. So checks are spread evenly, stay so after any disturbance, and need no chance. Only the
first probe (soon, within FIRST_PROBE_WITHIN) and those at `fast_interval` while results disagree leave this grid.

Invariants: at most one probe of a check in flight, at most MAX_PROBES_IN_FLIGHT in all; a VerdictChanged leaves when,
and only when, a verdict changed or a repeat was asked for; every StartProbe is answered or given up PROBE_GRACE after
its timeout, so that a lost answer cannot freeze a verdict.
"""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Self, assert_never

from yaoki.checks.check import CheckId, CheckSpec, Finding, Outcome
from yaoki.checks.events import CheckFell, CheckRose, ProbesCaughtUp, ProbesPutOff
from yaoki.core.agenda import Agenda
from yaoki.core.event import Emit, EventBody, EventId, EventNumbering
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.node.messages import (
    AskCheckStatus,
    CheckStatus,
    CheckStatusReport,
    ConfigureChecks,
    ProbeFinished,
    Published,
    RepeatVerdicts,
    ShardEffect,
    ShardInput,
    StartProbe,
    VerdictChanged,
)
from yaoki.pool.health import HealthRule, HealthState, Unproven, health, since, step, streak, unsettled
from yaoki.pool.member import Health

# Implementation limits. 4,096 sockets are well inside a process's usual hard limit of descriptors.
MAX_PROBES_IN_FLIGHT = 4096
FIRST_PROBE_WITHIN = timedelta(seconds=1)
PROBE_GRACE = timedelta(seconds=1)
STATUSES_PER_REPORT = 200

_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True, eq=False)
class _Watch:
    """One check under way.

    `give_up` is how long a probe may last before it counts as lost. `probe` is the number of the probe in flight, 0 for
    none; `started` is when the latest began (at first: when the check was configured). `queued`: due, and waiting for
    its turn.
    """

    spec: CheckSpec
    rule: HealthRule
    grid: "_Grid"
    give_up: timedelta
    state: HealthState
    started: Instant
    probe: int = 0
    queued: bool = False
    verdict: VerdictChanged | None = None
    last: Finding | None = None
    last_at: Instant | None = None


class CheckShard:
    """The machine of one check worker. `source` names it in events ("lb1/checks")."""

    def __init__(self, source: str, *, max_in_flight: int = MAX_PROBES_IN_FLIGHT) -> None:
        self._numbering = EventNumbering(source)
        self._max_in_flight = max_in_flight
        self._watches: dict[CheckId, _Watch] = {}
        self._agenda: Agenda[_Watch] = Agenda()
        self._in_flight: dict[int, _Watch] = {}
        self._queue: deque[_Watch] = deque()
        self._putting_off = False
        self._probes = 0

    def handle(self, now: Instant, input_: ShardInput) -> list[ShardEffect]:
        """See yaoki.core.machine.Machine."""
        match input_:
            case ConfigureChecks():
                return self._configure(now, input_)
            case ProbeFinished():
                return self._finished(now, input_)
            case TimerFired():
                return self._timer_fired(now)
            case RepeatVerdicts():
                return [watch.verdict for watch in self._watches.values() if watch.verdict is not None]
            case AskCheckStatus():
                return list(self._reports(now, input_.number))
            case _:
                assert_never(input_)

    def deadline(self) -> Deadline | None:
        """The next probe, or the moment at which one in flight is given up."""
        return self._agenda.next()

    def snapshot(self) -> tuple[CheckStatus, ...]:
        """Every check, in the order in which they were configured."""
        return tuple(_status(watch) for watch in self._watches.values())

    # --- configuration ------------------------------------------------------------------------------------------------

    def _configure(self, now: Instant, wish: ConfigureChecks) -> list[ShardEffect]:
        """Of two specs with one identity the first counts: it is one check, whoever uses it."""
        before = self._watches
        self._watches = {}
        for spec in wish.checks:
            if spec.id in self._watches:
                continue
            held = before.pop(spec.id, None)
            self._watches[spec.id] = self._begin(now, spec) if held is None else self._keep(now, held, spec)
        for watch in before.values():
            self._abandon(watch)
        self._queue = deque(watch for watch in self._queue if watch.queued)
        return self._start_queued(now)

    def _begin(self, now: Instant, spec: CheckSpec) -> _Watch:
        schedule = spec.schedule
        grid = _Grid.of(_phase(spec.id), schedule.interval)
        watch = _Watch(spec, schedule.health_rule, grid, schedule.timeout + PROBE_GRACE, Unproven(), now)
        within = min(schedule.interval, FIRST_PROBE_WITHIN)
        self._agenda.set(watch, Deadline(now + within * grid.phase // PHASES, "first probe"))
        return watch

    def _keep(self, now: Instant, watch: _Watch, spec: CheckSpec) -> _Watch:
        """The same check, perhaps by another schedule or name: verdict and counts stay."""
        rescheduled = watch.spec.schedule != spec.schedule
        watch.spec = spec
        if rescheduled:
            watch.rule = spec.schedule.health_rule
            watch.grid = _Grid.of(watch.grid.phase, spec.schedule.interval)
            watch.give_up = spec.schedule.timeout + PROBE_GRACE
            if not watch.probe and not watch.queued:
                self._agenda.set(watch, self._next_probe(watch, now))
        return watch

    def _abandon(self, watch: _Watch) -> None:
        self._agenda.set(watch, None)
        watch.queued = False
        if watch.probe:
            del self._in_flight[watch.probe]

    # --- probes -------------------------------------------------------------------------------------------------------

    def _timer_fired(self, now: Instant) -> list[ShardEffect]:
        effects: list[ShardEffect] = []
        for watch in self._agenda.due(now):
            if watch.probe:
                finding = Finding(Outcome.NOT_RUN, "the prober gave no result", now - watch.started)
                effects += self._conclude(now, watch, finding)
            else:
                watch.queued = True
                self._queue.append(watch)
        effects += self._start_queued(now)
        return effects

    def _start_queued(self, now: Instant) -> list[ShardEffect]:
        effects: list[ShardEffect] = []
        while self._queue and len(self._in_flight) < self._max_in_flight:
            effects.append(self._start(now, self._queue.popleft()))
        if bool(self._queue) != self._putting_off:
            self._putting_off = not self._putting_off
            effects.append(self._publish(now, ProbesPutOff(self._max_in_flight) if self._queue else ProbesCaughtUp()))
        return effects

    def _start(self, now: Instant, watch: _Watch) -> StartProbe:
        self._probes += 1
        watch.probe, watch.started, watch.queued = self._probes, now, False
        self._in_flight[self._probes] = watch
        self._agenda.set(watch, Deadline(now + watch.give_up, "probe given up"))
        return StartProbe(self._probes, watch.spec)

    def _finished(self, now: Instant, end: ProbeFinished) -> list[ShardEffect]:
        watch = self._in_flight.get(end.number)
        if watch is None:  # given up, or its check was taken away meanwhile
            return []
        return self._conclude(now, watch, end.finding) + self._start_queued(now)

    def _conclude(self, now: Instant, watch: _Watch, finding: Finding) -> list[ShardEffect]:
        """The probe in flight has ended: count its result and time the next."""
        del self._in_flight[watch.probe]
        watch.probe, watch.last, watch.last_at = 0, finding, now
        watch.state, turn = step(watch.rule, watch.state, now, finding.passed)
        self._agenda.set(watch, self._next_probe(watch, now))
        if turn is None:
            return []
        spec, verdict = watch.spec, health(watch.state)
        told = CheckRose if verdict is Health.UP else CheckFell
        published = self._publish(now, told(spec.id, spec.name, turn, finding))
        watch.verdict = VerdictChanged(spec.id, verdict, finding, now, published.event.id)
        return [published, watch.verdict]

    def _next_probe(self, watch: _Watch, now: Instant) -> Deadline:
        schedule = watch.spec.schedule
        if schedule.fast_interval is not None and unsettled(watch.rule, watch.state):
            at = watch.started + schedule.fast_interval
        else:
            at = watch.grid.after(watch.started)
        return Deadline(at if at > now else now, "next probe")

    # --- reports ------------------------------------------------------------------------------------------------------

    def _publish(self, now: Instant, body: EventBody, because: EventId | None = None) -> Published:
        return Published(self._numbering.event(now, Emit(body, because)))

    def _reports(self, now: Instant, number: int) -> list[CheckStatusReport]:
        statuses = self.snapshot()
        starts = range(0, max(len(statuses), 1), STATUSES_PER_REPORT)
        pages = [statuses[start : start + STATUSES_PER_REPORT] for start in starts]
        return [CheckStatusReport(number, now, page, more=page is not pages[-1]) for page in pages]


PHASES = 1 << 32


def _phase(check: CheckId) -> int:
    """0..PHASES-1, spread evenly over identities and the same in every process."""
    return int.from_bytes(blake2b(repr(check).encode(), digest_size=4).digest())


@dataclass(frozen=True, slots=True)
class _Grid:
    """The instants that are a phase's share into an interval; `period` and `offset` in microseconds."""

    phase: int
    period: int
    offset: int

    @classmethod
    def of(cls, phase: int, interval: timedelta) -> Self:
        period = interval // _MICROSECOND
        return cls(phase, period, period * phase // PHASES)

    def after(self, at: Instant) -> Instant:
        """The first of them later than `at`."""
        return Instant(((at.us - self.offset) // self.period + 1) * self.period + self.offset)


def _status(watch: _Watch) -> CheckStatus:
    return CheckStatus(
        watch.spec.id,
        watch.spec.name,
        health(watch.state),
        since(watch.state),
        watch.last,
        watch.last_at,
        streak(watch.state),
    )
