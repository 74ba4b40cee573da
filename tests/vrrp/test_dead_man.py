"""The arithmetic of the dead-man gate, as exact values."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.vrrp.dead_man import address_lifetime, dead_man_limit, holds, interval_floor
from yaoki.vrrp.timing import active_down_interval

pytestmark = pytest.mark.req("B-19")


def ms(value: float) -> timedelta:
    return timedelta(milliseconds=value)


@pytest.mark.parametrize(
    ("interval_ms", "tick_ms", "limit_ms", "held"),
    [
        (10, 1, 30, True),
        (10, 4, 28, True),
        (10, 10, 30, False),
        (20, 4, 60, True),
        (20, 10, 60, True),
        (50, 10, 150, True),
        (100, 4, 300, True),
        (100, 10, 300, True),
        (1000, 4, 3000, True),
        (40_950, 4, 122_848, True),
    ],
)
def test_the_limit_is_whole_ticks_within_three_intervals(
    interval_ms: int, tick_ms: int, limit_ms: int, held: bool
) -> None:
    assert dead_man_limit(ms(interval_ms), ms(tick_ms)) == ms(limit_ms)
    assert holds(ms(interval_ms), ms(tick_ms)) is held


@pytest.mark.parametrize(
    ("tick_ms", "punctual", "floor_ms"), [(1, True, 10), (4, True, 10), (10, True, 20), (1, False, 50), (10, False, 50)]
)
def test_the_floor_is_what_the_tick_holds_and_the_scheduler_keeps(tick_ms: int, punctual: bool, floor_ms: int) -> None:
    assert interval_floor(ms(tick_ms), punctual=punctual) == ms(floor_ms)


@pytest.mark.parametrize(
    ("interval_ms", "lifetime_s"), [(10, 2), (100, 2), (333, 2), (340, 3), (1000, 4), (40_950, 124)]
)
def test_an_address_outlasts_the_gate(interval_ms: int, lifetime_s: int) -> None:
    assert address_lifetime(ms(interval_ms)) == timedelta(seconds=lifetime_s)


@given(
    st.integers(1, 4095).map(lambda cs: ms(10 * cs)),
    st.sampled_from([ms(1), ms(4), ms(10), ms(10) / 3]),
    st.integers(1, 255),
)
def test_the_gate_has_shut_before_any_backup_takes_over(interval: timedelta, tick: timedelta, priority: int) -> None:
    down = active_down_interval(version=3, priority=priority, interval=interval)
    assert dead_man_limit(interval, tick) < down
    assert dead_man_limit(interval, tick) > 3 * interval - tick
    assert dead_man_limit(interval, tick) < address_lifetime(interval)
