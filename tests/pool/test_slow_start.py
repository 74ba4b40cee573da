"""The ramp of a member that begins to serve: exact values, and what holds for all of them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.instant import Instant
from yaoki.pool.slow_start import STEPS, next_step, ramped

BEGUN = Instant.of_seconds(50)
TEN_SECONDS = timedelta(seconds=10)


@pytest.mark.req("B-14")
@pytest.mark.parametrize(
    ("weight", "after_s", "expected"),
    [
        (1000, 0, 90),
        (1000, 0.999999, 90),
        (1000, 1, 181),
        (1000, 5, 545),
        (1000, 9.999999, 909),
        (1000, 10, 1000),
        (1000, 3600, 1000),
        (1000, -5, 90),
        (1, 0, 1),
        (1, 9, 1),
        (0, 0, 0),
        (65535, 9, 59577),
    ],
)
def test_the_weight_climbs_in_equal_steps(weight: int, after_s: float, expected: int) -> None:
    now = Instant.of_seconds(BEGUN.seconds + after_s)
    assert ramped(weight, TEN_SECONDS, begun=BEGUN, now=now) == expected


@pytest.mark.parametrize(
    ("after_s", "expected_s"),
    [(0, 1), (0.5, 1), (1, 2), (8.999999, 9), (9, 10), (9.999999, 10), (10, None), (99, None)],
)
def test_the_next_step_is_a_tenth_further(after_s: float, expected_s: float | None) -> None:
    expected = None if expected_s is None else Instant.of_seconds(BEGUN.seconds + expected_s)
    assert next_step(TEN_SECONDS, begun=BEGUN, now=Instant.of_seconds(BEGUN.seconds + after_s)) == expected


def test_without_slow_start_the_weight_is_there_at_once() -> None:
    assert ramped(1000, timedelta(0), begun=BEGUN, now=BEGUN) == 1000
    assert next_step(timedelta(0), begun=BEGUN, now=BEGUN) is None


@given(weight=st.integers(1, 65535), slow_start_us=st.integers(1, 10**9))
def test_following_the_deadlines_climbs_to_the_whole_weight_in_a_bounded_number_of_steps(
    weight: int, slow_start_us: int
) -> None:
    slow_start = timedelta(microseconds=slow_start_us)
    now, seen = BEGUN, [ramped(weight, slow_start, begun=BEGUN, now=BEGUN)]
    while (at := next_step(slow_start, begun=BEGUN, now=now)) is not None:
        assert at > now
        now = at
        seen.append(ramped(weight, slow_start, begun=BEGUN, now=now))
    assert len(seen) <= STEPS + 1
    assert seen == sorted(seen)
    assert seen[0] >= 1
    assert seen[-1] == weight
    assert now == BEGUN + slow_start
