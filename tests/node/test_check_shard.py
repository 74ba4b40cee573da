"""The check worker's machine: schedule, verdicts, limits, and every (state, input) pair."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.checks.check import CheckId, CheckSpec, Finding, HttpParams, Outcome, Schedule, TcpParams
from yaoki.checks.events import CheckFell, CheckRose, ProbesCaughtUp, ProbesPutOff
from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.node.check_shard import FIRST_PROBE_WITHIN, PROBE_GRACE, STATUSES_PER_REPORT, CheckShard
from yaoki.node.messages import (
    AskCheckStatus,
    CheckStatusReport,
    ConfigureChecks,
    ProbeFinished,
    Published,
    RepeatVerdicts,
    ShardEffect,
    StartProbe,
    VerdictChanged,
)
from yaoki.pool.health import Turn
from yaoki.pool.member import Health

START = Instant.of_seconds(1000)
MILLISECOND = timedelta(milliseconds=1)
PASSED = Finding(Outcome.PASSED, "connected", MILLISECOND)
REFUSED = Finding(Outcome.REFUSED, "connection refused", MILLISECOND)
SCHEDULE = Schedule(interval=timedelta(milliseconds=300), timeout=timedelta(milliseconds=200), fall=3, rise=2)


def spec(host: int = 21, *, port: int = 80, schedule: Schedule = SCHEDULE, name: str = "port") -> CheckSpec:
    return CheckSpec(CheckId(IPv4Address(f"192.0.2.{host}"), TcpParams(port)), schedule, f"{name} on web{host}")


class World:
    """A shard whose probes are answered at once by what `answers` holds for the target, else passed."""

    def __init__(self, *checks: CheckSpec, max_in_flight: int = 4096, at: Instant = START) -> None:
        self.shard = CheckShard("lb1/checks", max_in_flight=max_in_flight)
        self.now = at
        self.answers: dict[str, Finding] = {}
        self.starts: list[tuple[Instant, CheckId]] = []
        self.reports: list[ShardEffect] = []
        self.shard.handle(self.now, ConfigureChecks(checks))

    def configure(self, *checks: CheckSpec) -> None:
        self._take(self.shard.handle(self.now, ConfigureChecks(checks)))

    def run(self, duration: timedelta) -> None:
        """Play time forward; every probe is answered one millisecond after its start."""
        end = self.now + duration
        while (deadline := self.shard.deadline()) is not None and deadline.at <= end:
            self.now = max(self.now, deadline.at, key=lambda at: at.us)
            self._take(self.shard.handle(self.now, TimerFired()))
        self.now = end

    def _take(self, effects: list[ShardEffect]) -> None:
        starts = [effect for effect in effects if isinstance(effect, StartProbe)]
        self.reports += [effect for effect in effects if not isinstance(effect, StartProbe)]
        for start in starts:
            self.starts.append((self.now, start.check.id))
            self.now += MILLISECOND
            finding = self.answers.get(str(start.check.id.target), PASSED)
            self._take(self.shard.handle(self.now, ProbeFinished(start.number, finding)))

    @property
    def verdicts(self) -> list[VerdictChanged]:
        return [report for report in self.reports if isinstance(report, VerdictChanged)]


def first_start(shard: CheckShard) -> tuple[Instant, StartProbe]:
    """Let the first deadline pass; the probe that is started then."""
    deadline = shard.deadline()
    assert deadline is not None
    [start] = shard.handle(deadline.at, TimerFired())
    assert isinstance(start, StartProbe)
    return deadline.at, start


def test_the_first_passed_probe_makes_a_check_up_and_says_so_once() -> None:
    world = World(spec())
    world.run(timedelta(seconds=5))
    [verdict] = world.verdicts
    assert verdict.health is Health.UP
    assert verdict.finding == PASSED
    assert verdict.at - START <= FIRST_PROBE_WITHIN + MILLISECOND


@pytest.mark.req("B-12")
def test_three_failures_in_a_row_fell_a_check_and_the_event_carries_the_evidence() -> None:
    world = World(spec())
    world.run(timedelta(seconds=2))
    world.answers["192.0.2.21"] = REFUSED
    died = world.now
    world.run(timedelta(seconds=2))
    fall = world.verdicts[-1]
    assert fall.health is Health.DOWN
    assert fall.finding == REFUSED
    assert fall.at - died <= SCHEDULE.longest_detection
    events = [report.event for report in world.reports if isinstance(report, Published)]
    assert [event.body for event in events] == [
        CheckRose(spec().id, "port on web21", Turn.PROVEN, PASSED),
        CheckFell(spec().id, "port on web21", Turn.FALL_REACHED, REFUSED),
    ]
    assert fall.because == events[-1].id == EventId("lb1/checks", 2)


@pytest.mark.req("B-12")
def test_while_results_disagree_with_the_verdict_probes_come_at_the_fast_interval() -> None:
    schedule = Schedule(
        timedelta(seconds=10), timedelta(seconds=1), fall=3, rise=2, fast_interval=timedelta(milliseconds=500)
    )
    world = World(spec(schedule=schedule))
    world.run(timedelta(seconds=30))
    world.answers["192.0.2.21"] = REFUSED
    world.run(timedelta(seconds=30))
    world.answers.clear()
    world.run(timedelta(seconds=30))
    starts = [at for at, _ in world.starts]
    gaps = [(after - before) / MILLISECOND for before, after in pairwise(starts)]
    fast = [gap for gap in gaps if gap == 500]
    assert len(fast) == 3  # two before the fall, one before the rise
    assert [v.health for v in world.verdicts] == [Health.UP, Health.DOWN, Health.UP]
    assert all(gap == 10_000 for gap in gaps[1:3])


@pytest.mark.parametrize("interval_ms", [7, 300, 1000, 60_000])
def test_a_settled_check_keeps_its_own_phase_for_ever(interval_ms: int) -> None:
    schedule = Schedule(timedelta(milliseconds=interval_ms), timedelta(milliseconds=5))
    world = World(spec(schedule=schedule))
    world.run(timedelta(milliseconds=20 * interval_ms + 1000))
    phases = {at.us % (interval_ms * 1000) for at, _ in world.starts[1:]}
    assert len(phases) == 1


def test_checks_are_spread_evenly_over_their_interval() -> None:
    interval = timedelta(seconds=10)
    schedule = Schedule(interval, timedelta(seconds=1))
    checks = tuple(spec(host, port=port, schedule=schedule) for host in range(1, 101) for port in range(1, 11))
    world = World(*checks)
    world.run(timedelta(seconds=40))
    late = [at.us % 10_000_000 // 1_000_000 for at, _ in world.starts if at >= START + timedelta(seconds=10)]
    shares = [late.count(second) / len(late) for second in range(10)]
    assert all(0.07 < share < 0.13 for share in shares), shares


def test_after_a_long_pause_each_check_is_probed_once_and_returns_to_its_phase() -> None:
    world = World(*(spec(host) for host in range(1, 31)))
    world.run(timedelta(seconds=3))
    before = len(world.starts)
    world.now += timedelta(seconds=60)  # the process was stopped
    world.run(timedelta(microseconds=1))
    assert len(world.starts) - before == 30
    world.run(timedelta(seconds=3))
    assert 9 <= (len(world.starts) - before) / 30 <= 12


def test_a_probe_is_never_started_while_one_of_its_check_is_in_flight() -> None:
    slow = Schedule(timedelta(milliseconds=100), timedelta(seconds=5))
    shard = CheckShard("lb1/checks")
    shard.handle(START, ConfigureChecks((spec(schedule=slow),)))
    at, start = first_start(shard)
    deadline = shard.deadline()
    assert deadline is not None
    assert deadline.at == at + timedelta(seconds=5) + PROBE_GRACE
    assert shard.handle(at + timedelta(seconds=4), TimerFired()) == []
    late = at + timedelta(seconds=5)
    shard.handle(late, ProbeFinished(start.number, PASSED))
    following = shard.deadline()
    assert following is not None
    assert following.at == late  # overdue by its grid, so at once


def test_a_probe_that_never_reports_is_given_up_and_counted_as_a_failure() -> None:
    shard = CheckShard("lb1/checks")
    shard.handle(START, ConfigureChecks((spec(schedule=Schedule(timedelta(seconds=1), timedelta(seconds=1), fall=1)),)))
    _, lost = first_start(shard)
    deadline = shard.deadline()
    assert deadline is not None
    effects = shard.handle(deadline.at, TimerFired())
    [verdict] = [effect for effect in effects if isinstance(effect, VerdictChanged)]
    assert verdict.health is Health.DOWN
    assert verdict.finding.outcome is Outcome.NOT_RUN
    again = [effect for effect in effects if isinstance(effect, StartProbe)]
    assert len(again) == 1
    assert shard.handle(deadline.at, ProbeFinished(lost.number, PASSED)) == []  # too late to count


def test_no_more_probes_than_the_limit_are_in_flight_and_reaching_it_is_said_once() -> None:
    shard = CheckShard("lb1/checks", max_in_flight=3)
    checks = tuple(spec(host) for host in range(1, 9))
    shard.handle(START, ConfigureChecks(checks))
    now = START + FIRST_PROBE_WITHIN
    effects = shard.handle(now, TimerFired())
    starts = [effect for effect in effects if isinstance(effect, StartProbe)]
    assert len(starts) == 3
    assert [e.event.body for e in effects if isinstance(e, Published)] == [ProbesPutOff(3)]
    seen = {start.check.id for start in starts}
    bodies: list[object] = []
    while starts:
        effects = shard.handle(now, ProbeFinished(starts.pop(0).number, PASSED))
        starts += [effect for effect in effects if isinstance(effect, StartProbe)]
        assert len(starts) <= 3
        seen |= {start.check.id for start in starts}
        bodies += [e.event.body for e in effects if isinstance(e, Published)]
    assert seen == {check.id for check in checks}
    assert [body for body in bodies if not isinstance(body, CheckRose)] == [ProbesCaughtUp()]


def test_reconfiguring_keeps_the_verdict_and_timers_of_unchanged_checks() -> None:
    world = World(spec(21), spec(22))
    world.run(timedelta(seconds=2))
    deadline = world.shard.deadline()
    world.configure(spec(22), spec(21))
    assert world.shard.deadline() == deadline
    assert len(world.verdicts) == 2
    assert {status.health for status in world.shard.snapshot()} == {Health.UP}


def test_another_schedule_or_name_keeps_the_verdict_of_the_same_check() -> None:
    world = World(spec())
    world.run(timedelta(seconds=2))
    world.configure(spec(schedule=Schedule(timedelta(seconds=30), timedelta(seconds=1), fall=1), name="http"))
    world.answers["192.0.2.21"] = REFUSED
    world.run(timedelta(seconds=31))
    assert [v.health for v in world.verdicts] == [Health.UP, Health.DOWN]
    assert world.shard.snapshot()[0].name == "http on web21"


def test_a_check_taken_away_is_forgotten_with_its_probe_in_flight() -> None:
    shard = CheckShard("lb1/checks")
    shard.handle(START, ConfigureChecks((spec(),)))
    at, start = first_start(shard)
    shard.handle(at, ConfigureChecks(()))
    assert shard.deadline() is None
    assert shard.handle(at, ProbeFinished(start.number, PASSED)) == []
    shard.handle(at, ConfigureChecks((spec(),)))
    assert shard.handle(at, RepeatVerdicts()) == []
    assert shard.snapshot()[0].health is Health.UNKNOWN


def test_a_check_taken_away_while_it_waits_for_its_turn_is_not_started() -> None:
    shard = CheckShard("lb1/checks", max_in_flight=1)
    shard.handle(START, ConfigureChecks((spec(1), spec(2), spec(3))))
    now = START + FIRST_PROBE_WITHIN
    [start, _] = shard.handle(now, TimerFired())
    assert isinstance(start, StartProbe)
    effects = shard.handle(now, ConfigureChecks((start.check,)))
    assert [e.event.body for e in effects if isinstance(e, Published)] == [ProbesCaughtUp()]
    effects = shard.handle(now, ProbeFinished(start.number, PASSED))
    assert [effect for effect in effects if isinstance(effect, StartProbe)] == []


@pytest.mark.req("B-10")
def test_one_check_serves_however_many_services_use_it() -> None:
    world = World(spec(name="web"), spec(name="api"), spec(port=81, name="other port"))
    world.run(timedelta(milliseconds=301))
    assert len(world.shard.snapshot()) == 2
    assert len({check for _, check in world.starts}) == 2
    assert world.shard.snapshot()[0].name == "web on web21"


@given(
    wishes=st.lists(
        st.tuples(
            st.integers(1, 4), st.sampled_from([4, 6]), st.sampled_from(["tcp", "http"]), st.sampled_from([80, 81])
        )
    )
)
def test_there_is_exactly_one_check_per_server_family_check_and_port(wishes: list[tuple[int, int, str, int]]) -> None:
    def identity(wish: tuple[int, int, str, int]) -> CheckId:
        host, family, kind, port = wish
        target = IPv4Address(f"192.0.2.{host}") if family == 4 else IPv6Address(f"2001:db8::{host}")
        return CheckId(target, TcpParams(port) if kind == "tcp" else HttpParams(port))

    world = World(*(CheckSpec(identity(wish), SCHEDULE, f"use {n}") for n, wish in enumerate(wishes)))
    started: dict[CheckId, int] = {}
    effects = world.shard.handle(START + FIRST_PROBE_WITHIN, TimerFired())
    for effect in effects:
        assert isinstance(effect, StartProbe)
        started[effect.check.id] = started.get(effect.check.id, 0) + 1
    assert started == dict.fromkeys((identity(wish) for wish in wishes), 1)


def test_after_a_reconnect_every_verdict_is_repeated_as_it_was_reached() -> None:
    world = World(spec(21), spec(22), spec(23))
    world.answers["192.0.2.22"] = REFUSED
    world.run(timedelta(seconds=3))
    first = {verdict.check: verdict for verdict in world.verdicts}
    repeated = world.shard.handle(world.now, RepeatVerdicts())
    assert len(repeated) == 3
    assert {verdict.check: verdict for verdict in repeated if isinstance(verdict, VerdictChanged)} == first


def test_a_status_report_shows_verdict_age_and_the_newest_finding() -> None:
    world = World(spec())
    world.run(timedelta(seconds=2))
    world.answers["192.0.2.21"] = REFUSED
    while not world.shard.snapshot()[0].streak:
        world.run(timedelta(milliseconds=50))
    [report] = world.shard.handle(world.now, AskCheckStatus(7))
    assert isinstance(report, CheckStatusReport)
    assert (report.number, report.at, report.more) == (7, world.now, False)
    [status] = report.checks
    assert (status.health, status.last, status.streak) == (Health.UP, REFUSED, 1)
    assert status.since == world.verdicts[0].at
    assert status.last_at is not None
    assert world.now - status.last_at < timedelta(milliseconds=60)


@pytest.mark.parametrize(("checks", "pages"), [(0, 1), (1, 1), (200, 1), (201, 2), (400, 2), (401, 3)])
def test_a_status_report_comes_in_pages_and_the_last_says_so(checks: int, pages: int) -> None:
    world = World(*(spec(1 + n % 3, port=1 + n) for n in range(checks)))
    reports = world.shard.handle(world.now, AskCheckStatus(1))
    assert len(reports) == pages
    assert [report.more for report in reports if isinstance(report, CheckStatusReport)] == [True] * (pages - 1) + [
        False
    ]
    sizes = [len(report.checks) for report in reports if isinstance(report, CheckStatusReport)]
    assert sum(sizes) == checks
    assert max(sizes) <= STATUSES_PER_REPORT


@pytest.mark.parametrize("in_flight", [False, True])
@pytest.mark.parametrize("input_", [TimerFired(), ProbeFinished(99, PASSED), RepeatVerdicts()])
def test_early_late_and_foreign_inputs_change_nothing(
    in_flight: bool, input_: TimerFired | ProbeFinished | RepeatVerdicts
) -> None:
    shard = CheckShard("lb1/checks")
    shard.handle(START, ConfigureChecks((spec(),)))
    now = first_start(shard)[0] if in_flight else START
    deadline, snapshot = shard.deadline(), shard.snapshot()
    assert shard.handle(now, input_) == []
    assert (shard.deadline(), shard.snapshot()) == (deadline, snapshot)


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(1, 400)), max_size=60))
def test_only_changes_leave_the_shard(history: list[tuple[int, bool, int]]) -> None:
    world = World(spec(1), spec(2), spec(3))
    for host, alive, for_ms in history:
        world.answers[f"192.0.2.{host}"] = PASSED if alive else REFUSED
        world.run(for_ms * MILLISECOND)
    for check in (spec(1).id, spec(2).id, spec(3).id):
        told = [verdict.health for verdict in world.verdicts if verdict.check == check]
        assert all(before is not after for before, after in pairwise(told))
    assert {v.check: v.health for v in world.verdicts} == {
        status.check: status.health for status in world.shard.snapshot() if status.health is not Health.UNKNOWN
    }
