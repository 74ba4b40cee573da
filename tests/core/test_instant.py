from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.instant import Deadline, Instant, earliest

SECONDS = st.timedeltas(min_value=timedelta(days=-10), max_value=timedelta(days=10))


@pytest.mark.parametrize(("seconds", "us"), [(0, 0), (1, 1_000_000), (0.0000004, 0), (0.0000006, 1), (1.5, 1_500_000)])
def test_seconds_are_rounded_to_the_microsecond(seconds: float, us: int) -> None:
    assert Instant.of_seconds(seconds) == Instant(us)


def test_the_difference_of_instants_is_a_duration_and_adds_back() -> None:
    early, late = Instant(5), Instant(1_000_007)
    assert late - early == timedelta(seconds=1, microseconds=2)
    assert early + (late - early) == late
    assert late - timedelta(seconds=1) == Instant(7)


@given(st.integers(-(10**15), 10**15), SECONDS)
def test_adding_and_subtracting_a_duration_are_inverse(us: int, duration: timedelta) -> None:
    assert (Instant(us) + duration) - duration == Instant(us)


@given(st.integers(), st.integers())
def test_order_is_that_of_the_microseconds(a: int, b: int) -> None:
    assert (Instant(a) < Instant(b)) == (a < b)
    assert (Instant(a) <= Instant(b)) == (a <= b)
    assert (Instant(a) > Instant(b)) == (a > b)
    assert (Instant(a) >= Instant(b)) == (a >= b)


def test_the_earliest_deadline_wins_and_none_means_never() -> None:
    first, second = Deadline(Instant(1), "a"), Deadline(Instant(2), "b")
    assert earliest(None, second, None, first) == first
    assert earliest(None, None) is None
    assert earliest(first, Deadline(Instant(1), "same instant")) == first
