from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yaoki.pool.apportion import apportion
from yaoki.pool.maglev import SIZES, Share, maglev, size_for

SMALL = 1021

weights = st.integers(min_value=1, max_value=65535)
pools = st.lists(weights, min_size=1, max_size=12).map(
    lambda found: [Share(f"192.0.2.{number}:80", weight) for number, weight in enumerate(found)]
)


def is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def test_table_sizes_are_primes_so_that_every_walk_visits_every_slot() -> None:
    assert [size for size in SIZES if not is_prime(size)] == []


@pytest.mark.parametrize(("members", "size"), [(1, 8191), (51, 8191), (52, 65521), (409, 65521), (9999, 65521)])
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


def moved(before: list[Share], after: list[Share]) -> float:
    """The share of slots that have another member than before."""
    size = size_for(max(len(before), len(after)))
    was, now = ([pool[index].name for index in maglev(pool, size)] for pool in (before, after))
    return sum(old != new for old, new in zip(was, now, strict=True)) / size


@pytest.mark.req("B-14")
@settings(max_examples=25)
@given(pools)
def test_a_new_member_moves_its_share_and_two_per_cent_at_most(pool: list[Share]) -> None:
    newcomer = Share("203.0.113.1:443", 1000)
    share = 1000 / (1000 + sum(each.weight for each in pool))
    assert share - 0.001 <= moved(pool, [*pool, newcomer]) <= share + 0.02
    assert moved([*pool, newcomer], pool) <= share + 0.02, "and so does one that leaves"


@pytest.mark.req("B-14")
@pytest.mark.parametrize("members", [1, 2, 3, 4, 10, 20, 50])
def test_adding_a_server_of_the_same_weight_moves_one_nth_and_two_per_cent_at_most(members: int) -> None:
    pool = [Share(f"192.0.2.{number}:80", 1000) for number in range(members)]
    assert moved(pool, [*pool, Share("192.0.2.99:80", 1000)]) <= 1 / (members + 1) + 0.02


@pytest.mark.req("B-14")
@settings(max_examples=25)
@given(pools, st.integers(0, 11), weights)
def test_a_change_of_weight_moves_as_much_as_shares_change_and_two_per_cent_at_most(
    pool: list[Share], which: int, weight: int
) -> None:
    changed = which % len(pool)
    after = [Share(each.name, weight) if n == changed else each for n, each in enumerate(pool)]
    sums = [sum(each.weight for each in shares) for shares in (pool, after)]
    difference = abs(pool[changed].weight / sums[0] - weight / sums[1])
    assert moved(pool, after) <= difference + 0.02
