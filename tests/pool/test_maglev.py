from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.pool.apportion import apportion
from yaoki.pool.maglev import SIZES, Share, maglev, size_for

SMALL = 1021

weights = st.integers(min_value=1, max_value=65535)
pools = st.lists(weights, min_size=1, max_size=12).map(
    lambda found: [Share(f"192.0.2.{number}:80", weight) for number, weight in enumerate(found)]
)
even_pools = st.integers(min_value=2, max_value=12).map(
    lambda count: [Share(f"198.51.100.{number}:443", 1000) for number in range(count)]
)


def is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def test_table_sizes_are_primes_so_that_every_walk_visits_every_slot() -> None:
    assert [size for size in SIZES if not is_prime(size)] == []


@pytest.mark.parametrize(
    ("members", "size"), [(1, 1021), (20, 1021), (21, 8191), (163, 8191), (164, 65521), (9999, 65521)]
)
def test_a_table_is_as_large_as_its_pool_needs(members: int, size: int) -> None:
    assert size_for(members) == size


def test_a_known_table_never_changes() -> None:
    """Two nodes of different versions of Yaoki must agree: this table is part of the interface."""
    table = maglev([Share("192.0.2.21:80", 1), Share("192.0.2.22:80", 2), Share("192.0.2.23:80", 1)], 31)
    assert table == (1, 1, 2, 1, 1, 0, 0, 1, 2, 2, 2, 1, 1, 0, 2, 0, 1, 0, 1, 0, 1, 0, 2, 1, 1, 2, 0, 2, 1, 1, 1)


def test_a_pool_of_one_has_every_slot() -> None:
    assert set(maglev([Share("only", 7)], SMALL)) == {0}


@pytest.mark.parametrize("weight", [0, -1])
def test_a_member_without_weight_is_refused(weight: int) -> None:
    with pytest.raises(ValueError, match="weight"):
        Share("web1", weight)


def test_a_pool_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        maglev([], SMALL)


@given(pools)
def test_everybody_has_exactly_the_slots_that_its_weight_is_apportioned(pool: list[Share]) -> None:
    held = Counter(maglev(pool, SMALL))
    assert [held[index] for index in range(len(pool))] == list(apportion([share.weight for share in pool], SMALL))


@pytest.mark.req("B-14")
@given(even_pools)
def test_a_new_member_takes_its_share_and_disturbs_little_else(pool: list[Share]) -> None:
    before = maglev(pool, SMALL)
    newcomer = Share("203.0.113.1:443", 1000)
    after = maglev([*pool, newcomer], SMALL)
    moved = sum(1 for old, new in zip(before, after, strict=True) if old != new)
    taken = after.count(len(pool))
    assert moved - taken <= 0.2 * SMALL
    assert taken == pytest.approx(SMALL / (len(pool) + 1), abs=1)


@pytest.mark.req("B-14")
@given(even_pools, st.integers(min_value=0, max_value=11))
def test_a_member_that_leaves_moves_its_own_slots_and_few_others(pool: list[Share], which: int) -> None:
    gone = which % len(pool)
    before = maglev(pool, SMALL)
    rest = [share for index, share in enumerate(pool) if index != gone]
    after = maglev(rest, SMALL)
    kept_name = [share.name for share in pool]
    rest_name = [share.name for share in rest]
    others = [(old, new) for old, new in zip(before, after, strict=True) if old != gone]
    moved = sum(1 for old, new in others if kept_name[old] != rest_name[new])
    assert moved <= 0.2 * SMALL
