from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.pool.maglev import Share
from yaoki.pool.rendezvous import ranking, rendezvous

keys = st.binary(min_size=1, max_size=16)
pools = st.lists(st.integers(min_value=1, max_value=65535), min_size=2, max_size=8).map(
    lambda found: [Share(f"server{number}", weight) for number, weight in enumerate(found)]
)


def test_known_keys_stay_where_they_are() -> None:
    pool = [Share("a", 1), Share("b", 2), Share("c", 1)]
    assert [rendezvous(bytes((key,)), pool) for key in range(16)] == [2, 0, 1, 1, 1, 0, 2, 1, 1, 1, 2, 2, 2, 2, 1, 1]


def test_a_pool_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        rendezvous(b"key", [])


def test_keys_are_shared_by_weight() -> None:
    pool = [Share("a", 1000), Share("b", 3000), Share("c", 1000)]
    held = Counter(rendezvous(key.to_bytes(4, "big"), pool) for key in range(10_000))
    assert [held[index] / 10_000 for index in range(3)] == pytest.approx([0.2, 0.6, 0.2], abs=0.02)


@given(keys, pools, st.integers(min_value=0))
def test_a_member_that_leaves_moves_only_its_own_keys(key: bytes, pool: list[Share], which: int) -> None:
    gone = which % len(pool)
    rest = [share for index, share in enumerate(pool) if index != gone]
    before = rendezvous(key, pool)
    if before != gone:
        assert rest[rendezvous(key, rest)] == pool[before]


@given(keys, pools, st.integers(min_value=1, max_value=65535))
def test_a_newcomer_takes_keys_and_moves_none_between_others(key: bytes, pool: list[Share], weight: int) -> None:
    larger = [*pool, Share("newcomer", weight)]
    assert rendezvous(key, larger) in {rendezvous(key, pool), len(pool)}


@given(keys, pools)
def test_more_weight_never_loses_a_key(key: bytes, pool: list[Share]) -> None:
    owner = rendezvous(key, pool)
    heavier = [Share(s.name, s.weight * 2) if index == owner else s for index, s in enumerate(pool)]
    assert rendezvous(key, heavier) == owner


@given(keys, pools)
def test_the_ranking_begins_with_the_owner_and_goes_on_as_owners_leave(key: bytes, pool: list[Share]) -> None:
    order = ranking(key, pool)
    assert sorted(order) == list(range(len(pool)))
    assert order[0] == rendezvous(key, pool)
    rest = [share for index, share in enumerate(pool) if index != order[0]]
    assert rest[rendezvous(key, rest)] == pool[order[1]]
