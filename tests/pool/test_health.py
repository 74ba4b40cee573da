"""Rise and fall: the exact tables, every (state, result) pair, and what must hold for any history."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.instant import Instant
from yaoki.pool.health import (
    Down,
    HealthRule,
    HealthState,
    Turn,
    Unproven,
    Up,
    Verdict,
    all_of,
    health,
    since,
    step,
    streak,
    unsettled,
)
from yaoki.pool.member import Health

SECOND = timedelta(seconds=1)
T0 = Instant.of_seconds(100)
T1 = Instant.of_seconds(101)
RULE = HealthRule(fall=3, rise=2)
HELD = HealthRule(fall=3, rise=2, hold_down=timedelta(seconds=10))

STEPS = [
    # state, passed, next state, turn
    (Unproven(0), True, Up(T1), Turn.PROVEN),
    (Unproven(2), True, Up(T1), Turn.PROVEN),
    (Unproven(0), False, Unproven(1), None),
    (Unproven(1), False, Unproven(2), None),
    (Unproven(2), False, Down(T1), Turn.FALL_REACHED),
    (Up(T0), True, Up(T0), None),
    (Up(T0, 2), True, Up(T0), None),
    (Up(T0), False, Up(T0, 1), None),
    (Up(T0, 1), False, Up(T0, 2), None),
    (Up(T0, 2), False, Down(T1), Turn.FALL_REACHED),
    (Down(T0), False, Down(T0), None),
    (Down(T0, 1), False, Down(T0), None),
    (Down(T0), True, Down(T0, 1), None),
    (Down(T0, 1), True, Up(T1), Turn.RISE_REACHED),
]


@pytest.mark.req("B-12")
@pytest.mark.parametrize(("state", "passed", "after", "turn"), STEPS)
def test_each_state_answers_each_result(
    state: HealthState, passed: bool, after: HealthState, turn: Turn | None
) -> None:
    assert step(RULE, state, T1, passed) == (after, turn)


@pytest.mark.parametrize(
    ("fall", "rise", "results", "verdicts"),
    [
        (1, 1, "+-+-", "UDUD"),
        (1, 1, "-+", "DU"),
        (2, 1, "--+", "?DU"),
        (3, 2, "+--+--+---++", "UUUUUUUUUDDU"),
        (3, 2, "---+-+-++", "??DDDDDDU"),
        (2, 3, "--++-+++", "?DDDDDDU"),
    ],
)
def test_a_history_of_results_makes_these_verdicts(fall: int, rise: int, results: str, verdicts: str) -> None:
    rule, state, seen = HealthRule(fall=fall, rise=rise), Unproven(), ""
    current: HealthState = state
    for number, result in enumerate(results):
        current, _ = step(rule, current, T0 + number * SECOND, result == "+")
        seen += {Health.UNKNOWN: "?", Health.UP: "U", Health.DOWN: "D"}[health(current)]
    assert seen == verdicts


@pytest.mark.parametrize(
    ("after", "passes", "risen"),
    [
        (timedelta(seconds=1), 1, False),
        (timedelta(seconds=9, microseconds=999_999), 1, False),
        (timedelta(seconds=10), 1, True),
        (timedelta(seconds=10), 0, False),
        (timedelta(seconds=9), 2, False),
        (timedelta(seconds=11), 2, True),
    ],
)
def test_the_first_rise_is_held_down(after: timedelta, passes: int, risen: bool) -> None:
    state, turn = step(HELD, Down(T0, passes), T0 + after, True)
    assert (health(state) is Health.UP, turn is Turn.RISE_REACHED) == (risen, risen)


def test_a_failure_during_the_hold_down_starts_the_count_again() -> None:
    state, _ = step(HELD, Down(T0, 2), T0 + 9 * SECOND, False)
    assert step(HELD, state, T0 + 11 * SECOND, True) == (Down(T0, 1), None)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (Unproven(), True),
        (Unproven(2), True),
        (Up(T0), False),
        (Up(T0, 1), True),
        (Down(T0), False),
        (Down(T0, 1), True),
        (Down(T0, 2), False),  # passed often enough: only the hold-down is awaited
    ],
)
def test_results_that_disagree_with_the_verdict_want_the_next_soon(state: HealthState, expected: bool) -> None:
    assert unsettled(HELD, state) is expected


@pytest.mark.parametrize(
    ("state", "verdict", "at", "against"),
    [(Unproven(1), Health.UNKNOWN, None, 1), (Up(T0, 2), Health.UP, T0, 2), (Down(T1, 1), Health.DOWN, T1, 1)],
)
def test_a_state_is_read_as_verdict_age_and_streak(
    state: HealthState, verdict: Health, at: Instant | None, against: int
) -> None:
    assert (health(state), since(state), streak(state)) == (verdict, at, against)


@given(
    fall=st.integers(1, 5),
    rise=st.integers(1, 5),
    hold_s=st.integers(0, 8),
    history=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=80),
)
def test_no_history_breaks_the_rules_of_rise_and_fall(
    fall: int, rise: int, hold_s: int, history: list[tuple[int, bool]]
) -> None:
    rule = HealthRule(fall=fall, rise=rise, hold_down=timedelta(seconds=hold_s))
    state: HealthState = Unproven()
    now, results, fell_at = T0, "", None
    for wait_s, passed in history:
        now, before = now + wait_s * SECOND, state
        state, turn = step(rule, state, now, passed)
        results += "+" if passed else "-"
        assert (turn is not None) == (health(state) is not health(before))
        assert streak(state) <= max(fall, rise)
        if turn is Turn.FALL_REACHED:
            assert results.endswith("-" * fall)
            fell_at = now
        if turn is Turn.RISE_REACHED:
            assert results.endswith("+" * rise)
            assert fell_at is not None
            assert now - fell_at >= rule.hold_down
        if turn is Turn.PROVEN:
            assert results.count("+") == 1
        if results.endswith("-" * fall):
            assert health(state) is Health.DOWN


@pytest.mark.req("B-12")
@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_a_flapping_server_changes_verdict_at_most_once_per_fall_plus_rise_results(results: list[bool]) -> None:
    state: HealthState = Unproven()
    changes = 0
    for number, passed in enumerate(results):
        state, turn = step(RULE, state, T0 + number * SECOND, passed)
        changes += turn is not None
    assert changes <= 1 + 2 * (len(results) // (RULE.fall + RULE.rise)) + 1


def test_a_strictly_alternating_server_never_falls() -> None:
    state: HealthState = Unproven()
    for number in range(100):
        state, _ = step(RULE, state, T0 + number * SECOND, number % 2 == 0)
    assert health(state) is Health.UP


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), Verdict(Health.UP, None)),
        ((Verdict(),), Verdict()),
        ((Verdict(Health.UP, T0),), Verdict(Health.UP, T0)),
        ((Verdict(Health.UP, T0), Verdict(Health.UP, T1)), Verdict(Health.UP, T1)),
        ((Verdict(Health.UP, T0), Verdict()), Verdict()),
        ((Verdict(Health.DOWN, T1), Verdict()), Verdict(Health.DOWN, T1)),
        ((Verdict(Health.DOWN, T1), Verdict(Health.UP, T0), Verdict(Health.DOWN, T0)), Verdict(Health.DOWN, T0)),
    ],
)
def test_a_member_is_up_only_if_all_its_checks_are(verdicts: tuple[Verdict, ...], expected: Verdict) -> None:
    assert all_of(verdicts) == expected


@pytest.mark.parametrize(("fall", "rise", "hold_s"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_a_senseless_rule_is_refused(fall: int, rise: int, hold_s: int) -> None:
    with pytest.raises(ValueError, match=r"at least 1|negative"):
        HealthRule(fall=fall, rise=rise, hold_down=timedelta(seconds=hold_s))
