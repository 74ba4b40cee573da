"""N+1: whether the servers of a service could lose any one of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.lb.headroom import Bearer, Headroom, headroom


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    ("opened", "short"),
    [
        ((60, 60), True),  # at 60 % each, losing one overloads the other
        ((50, 50), False),
        ((100, 0), False),
        ((100, 1), True),
    ],
)
def test_two_servers_are_short_beyond_a_half(opened: tuple[int, int], *, short: bool) -> None:
    found = headroom(Bearer(name, 100, count) for name, count in zip(("a", "b"), opened, strict=True))
    assert found == Headroom("a", sum(opened), 100)
    assert found.is_short is short


@pytest.mark.req("B-13")
@given(st.integers(2, 20), st.integers(1, 1000), st.data())
def test_equal_servers_are_short_beyond_n_minus_one_of_n(number: int, limit: int, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, limit), min_size=number, max_size=number))
    found = headroom(Bearer(str(index), limit, count) for index, count in enumerate(counts))
    assert found is not None
    assert found.is_short is (sum(counts) / (number * limit) > (number - 1) / number)


def test_the_loss_that_is_reckoned_with_is_that_of_the_largest() -> None:
    assert headroom([Bearer("a", 10, 5), Bearer("b", 100, 5)]) == Headroom("b", 10, 10)


def test_one_server_alone_has_nothing_to_spare() -> None:
    found = headroom([Bearer("a", 10, 1)])
    assert found == Headroom("a", 1, 0)
    assert found.is_short


@pytest.mark.parametrize("bearers", [[], [Bearer("a", 10, 1), Bearer("b", None, 1)], [Bearer("a", 10, None)]])
def test_nothing_is_said_where_a_limit_or_a_count_is_missing(bearers: list[Bearer]) -> None:
    assert headroom(bearers) is None
