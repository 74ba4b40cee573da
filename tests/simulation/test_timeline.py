"""Time in the simulated world, and the clocks of its nodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.error import LocalError
from yaoki.sim.clock import NodeClock
from yaoki.sim.timeline import BURST, MAX_ENTRIES, SECOND, Timeline


def test_things_happen_in_the_order_of_their_time_then_of_being_put_down() -> None:
    timeline, seen = Timeline(), list[str]()
    timeline.at(5, lambda: seen.append("b"))
    timeline.at(2, lambda: seen.append("a"))
    timeline.at(5, lambda: seen.append("c"))
    timeline.run(10)
    assert seen == ["a", "b", "c"]
    assert timeline.now == 10
    assert timeline.happened == 3


def test_what_is_put_down_for_now_happens_after_what_is_happening() -> None:
    timeline, seen = Timeline(), list[str]()

    def first() -> None:
        timeline.at(timeline.now, lambda: seen.append("second"))
        seen.append("first")

    timeline.at(1, first)
    timeline.run(1)
    assert seen == ["first", "second"]


def test_what_lies_beyond_the_end_waits() -> None:
    timeline, seen = Timeline(), list[int]()
    timeline.at(7, lambda: seen.append(7))
    timeline.run(6)
    assert seen == []
    timeline.run(7)
    assert seen == [7]


def test_nothing_can_be_put_down_for_the_past() -> None:
    timeline = Timeline()
    timeline.run(5)
    with pytest.raises(LocalError, match="it is 5 us already"):
        timeline.at(4, lambda: None)


def test_a_queue_without_end_is_a_mistake() -> None:
    timeline = Timeline()
    for _ in range(MAX_ENTRIES):
        timeline.at(1, lambda: None)
    with pytest.raises(LocalError, match="about to happen"):
        timeline.at(1, lambda: None)


def test_so_many_actions_make_a_burst_that_is_told_with_its_time() -> None:
    told: list[int] = []
    timeline = Timeline(told.append)
    for number in range(2 * BURST):
        timeline.at(number * 10, lambda: None)
    timeline.run(SECOND)
    assert told == [(BURST - 1) * 10, BURST * 10]


CLOCKS = st.builds(
    NodeClock,
    started_at=st.integers(0, 10**6),
    zero=st.integers(0, 10**12),
    drift_ppm=st.integers(-500, 500),
)


@given(CLOCKS, st.integers(10**6, 10**10), st.integers(0, 10**9))
def test_the_first_moment_at_which_a_clock_shows_something_is_the_first(clock: NodeClock, now: int, ahead: int) -> None:
    shown = clock.monotonic(now) + ahead
    moment = clock.world(shown)
    assert clock.monotonic(moment) >= shown
    assert clock.monotonic(moment - 1) < shown


@given(CLOCKS, st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
def test_a_monotonic_clock_never_goes_back(clock: NodeClock, times: list[int]) -> None:
    shown = [clock.instant(time + 10**6).us for time in sorted(times)]
    assert shown == sorted(shown)


def test_a_fast_clock_gains_its_drift() -> None:
    clock = NodeClock(started_at=0, zero=1000, drift_ppm=200)
    assert clock.monotonic(10 * SECOND) == 1000 + 10 * SECOND + 2000


def test_a_frozen_clock_stands_still_and_goes_on_from_there() -> None:
    clock = NodeClock(started_at=0, zero=0)
    clock.freeze(100)
    assert clock.monotonic(500) == clock.instant(900).us == 100
    clock.thaw(1000)
    assert clock.monotonic(1050) == 150


def test_the_wall_clock_steps_and_the_monotonic_one_does_not() -> None:
    clock = NodeClock(started_at=0, zero=50)
    clock.wall_offset -= 10**9
    assert clock.wall(100) == 150 - 10**9
    assert clock.monotonic(100) == 150
