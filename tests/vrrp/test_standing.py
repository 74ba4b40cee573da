"""What tracking leaves of a priority, as exact values and as laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.vrrp.standing import Standing, standing

WEIGHTS = st.lists(st.one_of(st.none(), st.integers(-253, 253)), max_size=6)


@pytest.mark.rfc("9568", "5.2.4")
@pytest.mark.parametrize(
    ("configured", "lost", "priority", "barred"),
    [
        (150, [], 150, False),
        (150, [-60], 90, False),
        (150, [-60, 20], 110, False),
        (150, [-60, -100], 1, False),
        (150, [-253, 253], 150, False),
        (250, [60], 254, False),
        (254, [1], 254, False),
        (1, [-1], 1, False),
        (150, [None], 1, True),
        (150, [60, None], 1, True),
        (255, [-253], 255, False),
        (255, [None], 255, False),
        (195, [60], 254, False),
    ],
)
def test_weights_add_up_within_1_to_254(configured: int, lost: list[int | None], priority: int, barred: bool) -> None:
    assert standing(configured, lost) == Standing(priority, barred)


def test_a_router_that_may_not_own_is_less_than_any_that_may() -> None:
    assert standing(150, [None]).effective == 0
    assert standing(150, [-253]).effective == 1


@given(configured=st.integers(1, 254), lost=WEIGHTS)
def test_what_is_advertised_never_says_that_a_router_leaves_or_owns_the_addresses(
    configured: int, lost: list[int | None]
) -> None:
    assert 1 <= standing(configured, lost).priority <= 254
    assert standing(configured, lost) == standing(configured, list(reversed(lost)))


@given(configured=st.integers(1, 255), lost=WEIGHTS, more=st.one_of(st.none(), st.integers(-253, 0)))
def test_one_failure_more_never_makes_a_router_better(
    configured: int, lost: list[int | None], more: int | None
) -> None:
    assert standing(configured, [*lost, more]).effective <= standing(configured, lost).effective
