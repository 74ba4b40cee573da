"""Failback that takes its time, and a start that does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.vrrp.test_virtual_router import BACKUP, INTERVAL, NOW, PARAMS, at, bodies, down, heard
from yaoki.core.machine import TimerFired
from yaoki.vrrp.events import BecameActive, Reason
from yaoki.vrrp.params import Failback
from yaoki.vrrp.router_state import Active, Backup, Initialize, Startup, State
from yaoki.vrrp.virtual_router import step

DELAYED = replace(PARAMS, failback_delay=timedelta(seconds=1))
STARTING = replace(PARAMS, startup_delay=timedelta(seconds=5))


def hear(state: State, priority: int, ms: float, *, peak: int = 0) -> Backup:
    after, _ = step(DELAYED, state, at(ms), replace(heard(priority, when=at(ms)), peak=peak))
    assert isinstance(after, Backup)
    return after


def retakes(state: Backup, ms: float) -> bool:
    """Whether an advertisement heard then was discarded, so that the timer runs out."""
    return state.active_down_at < at(ms) + down()


@pytest.mark.req("B-22")
def test_a_lower_owner_is_heard_for_the_delay_before_it_is_retaken_from() -> None:
    state: Backup = BACKUP
    for ms in range(10_000, 11_000, 100):
        state = hear(state, 50, ms)
        assert (state.lower_since, retakes(state, ms)) == (at(10_000), False)
    last = state.active_down_at
    for ms in range(11_000, 11_300, 100):
        state = hear(state, 50, ms)
        assert (state.active_down_at, state.outlook) == (last, Reason.PREEMPTED_LOWER)
    active, effects = step(DELAYED, state, last, TimerFired())
    assert isinstance(active, Active)
    assert [body.reason for body in bodies(effects) if isinstance(body, BecameActive)] == [Reason.PREEMPTED_LOWER]


def test_an_equal_or_higher_owner_in_between_begins_the_delay_anew() -> None:
    state = hear(hear(BACKUP, 50, 10_000), 100, 10_900)
    assert state.lower_since is None
    assert not retakes(hear(state, 50, 11_000), 11_000)


def test_a_failing_owner_is_not_waited_for() -> None:
    assert retakes(hear(BACKUP, 50, 10_000, peak=80), 10_000)
    assert hear(BACKUP, 50, 10_000, peak=80).outlook is Reason.ACTIVE_FAILING


def test_silence_is_not_waited_for() -> None:
    state = hear(BACKUP, 50, 10_000)
    assert isinstance(step(DELAYED, state, state.active_down_at, TimerFired())[0], Active)


@pytest.mark.parametrize("failback", [Failback.STICKY, Failback.MANUAL])
def test_nothing_is_retaken_by_those_that_never_retake(failback: Failback) -> None:
    params, state = replace(DELAYED, failback=failback), BACKUP
    for ms in range(10_000, 15_000, 100):
        after, _ = step(params, state, at(ms), heard(50, when=at(ms)))
        assert isinstance(after, Backup)
        assert not retakes(after, ms)
        state = after


def test_the_first_start_waits_for_the_startup_delay_and_a_later_one_does_not() -> None:
    first, _ = step(STARTING, Initialize(), NOW, Startup())
    assert isinstance(first, Backup)
    assert first.active_down_at == NOW + timedelta(seconds=5)
    again, _ = step(STARTING, Initialize(Reason.INTERFACE_DOWN), NOW, Startup())
    assert isinstance(again, Backup)
    assert again.active_down_at == NOW + down()


def test_a_startup_delay_shorter_than_the_down_timer_changes_nothing() -> None:
    state, _ = step(replace(PARAMS, startup_delay=INTERVAL), Initialize(), NOW, Startup())
    assert isinstance(state, Backup)
    assert state.active_down_at == NOW + down()


def test_an_owner_that_is_heard_ends_the_startup_delay() -> None:
    state, _ = step(STARTING, Initialize(), NOW, Startup())
    state, _ = step(STARTING, state, NOW, heard(200))
    assert isinstance(state, Backup)
    assert state.active_down_at == NOW + down()
