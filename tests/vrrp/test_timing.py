"""Exact values of every formula (a wrong Skew_Time passes all invariants, so only tables catch it)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.vrrp.timing import (
    ANNOUNCEMENT_PAUSES,
    ANNOUNCEMENT_REFRESH,
    active_down_interval,
    announcement_pause,
    skew_time,
)


def us(microseconds: int) -> timedelta:
    return timedelta(microseconds=microseconds)


@pytest.mark.rfc("9568", "6.1")
@pytest.mark.parametrize(
    ("priority", "interval_ms", "skew_us", "down_us"),
    [
        (1, 1000, 996_094, 3_996_094),
        (50, 1000, 804_688, 3_804_688),
        (100, 1000, 609_375, 3_609_375),
        (150, 1000, 414_062, 3_414_062),
        (200, 1000, 218_750, 3_218_750),
        (254, 1000, 7_812, 3_007_812),
        (255, 1000, 3_906, 3_003_906),
        (100, 100, 60_938, 360_938),
        (150, 100, 41_406, 341_406),
        (101, 100, 60_547, 360_547),
        (100, 10, 6_094, 36_094),
        (254, 10, 78, 30_078),
        (100, 40_950, 24_953_906, 147_803_906),
    ],
)
def test_version_3_skew_is_a_part_of_the_interval(priority: int, interval_ms: int, skew_us: int, down_us: int) -> None:
    interval = timedelta(milliseconds=interval_ms)
    assert skew_time(version=3, priority=priority, interval=interval) == us(skew_us)
    assert active_down_interval(version=3, priority=priority, interval=interval) == us(down_us)


@pytest.mark.rfc("3768", "6.1")
@pytest.mark.parametrize(
    ("priority", "interval_s", "skew_us", "down_us"),
    [
        (1, 1, 996_094, 3_996_094),
        (100, 1, 609_375, 3_609_375),
        (100, 10, 609_375, 30_609_375),
        (200, 10, 218_750, 30_218_750),
        (254, 255, 7_812, 765_007_812),
        (255, 2, 3_906, 6_003_906),
    ],
)
def test_version_2_skew_is_a_part_of_a_second(priority: int, interval_s: int, skew_us: int, down_us: int) -> None:
    interval = timedelta(seconds=interval_s)
    assert skew_time(version=2, priority=priority, interval=interval) == us(skew_us)
    assert active_down_interval(version=2, priority=priority, interval=interval) == us(down_us)


@given(st.integers(1, 254), st.integers(1, 4095), st.sampled_from([2, 3]))
def test_higher_priority_is_never_slower(priority: int, centiseconds: int, version: int) -> None:
    interval = timedelta(milliseconds=10 * centiseconds)
    higher = active_down_interval(version=version, priority=priority + 1, interval=interval)
    lower = active_down_interval(version=version, priority=priority, interval=interval)
    assert 3 * interval < higher < lower


@pytest.mark.req("B-07")
def test_announcements_come_at_0_20_100_500_ms_2_s_and_then_each_minute() -> None:
    moments = [timedelta(0)]
    for sent in range(1, 8):
        moments.append(moments[-1] + announcement_pause(sent))
    assert moments[:5] == [timedelta(milliseconds=ms) for ms in (0, 20, 100, 500, 2000)]
    assert moments[5:] == [timedelta(seconds=s) for s in (62, 122, 182)]
    assert sum(ANNOUNCEMENT_PAUSES, timedelta(0)) == timedelta(seconds=2)
    assert timedelta(seconds=60) == ANNOUNCEMENT_REFRESH
