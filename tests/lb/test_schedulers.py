from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lb.samples import server, service, trio
from yaoki.lb.schedulers import SCHEDULERS, Pick, slots_of
from yaoki.lb.schedulers.weighted_round_robin import RESOLUTION, interleaved, turns_of
from yaoki.lb.service import Duty, Forward, Scheduler

weights = st.lists(st.integers(min_value=1, max_value=65535), min_size=1, max_size=30).map(tuple)


def test_every_scheduler_of_the_site_file_has_its_slots() -> None:
    assert set(SCHEDULERS) == set(Scheduler)


@pytest.mark.req("D-30")
@pytest.mark.parametrize(
    ("given_weights", "turns"),
    [
        ((1000, 1000), (1, 1)),
        ((1000, 500), (2, 1)),
        ((1000, 1000, 1000), (1, 1, 1)),
        ((3000, 2000, 1000), (3, 2, 1)),
        ((65535,), (1,)),
        ((1000, 999), (128, 128)),
        ((1, 65535), (1, 255)),
        ((1000, 250, 1), (204, 51, 1)),
    ],
)
def test_weights_become_as_few_turns_as_their_ratio_needs(
    given_weights: tuple[int, ...], turns: tuple[int, ...]
) -> None:
    assert turns_of(given_weights) == turns


@given(weights)
def test_turns_are_bounded_and_nobody_is_without(found: tuple[int, ...]) -> None:
    turns = turns_of(found)
    assert min(turns) >= 1
    assert sum(turns) <= max(RESOLUTION, len(found))


@given(weights)
def test_shares_of_turns_are_right_to_the_resolution(found: tuple[int, ...]) -> None:
    turns = turns_of(found)
    light = sum(1 for weight in found if weight * RESOLUTION < sum(found))
    for weight, count in zip(found, turns, strict=True):
        assert abs(count / sum(turns) - weight / sum(found)) <= (1 + light) / RESOLUTION


@pytest.mark.parametrize(
    ("turns", "order"),
    [
        ((1, 1, 1), [0, 1, 2]),
        ((5, 1, 1), [0, 0, 1, 0, 2, 0, 0]),  # the example of nginx's own change log
        ((2, 1), [0, 1, 0]),
        ((4, 3, 2), [0, 1, 2, 0, 1, 0, 2, 1, 0]),
        ((3,), [0, 0, 0]),
    ],
)
def test_turns_are_interleaved_smoothly(turns: tuple[int, ...], order: list[int]) -> None:
    assert interleaved(turns) == order


@given(st.lists(st.integers(min_value=1, max_value=20), min_size=2, max_size=6))
def test_interleaving_keeps_counts_and_spreads_each_server(turns: list[int]) -> None:
    order = interleaved(tuple(turns))
    assert Counter(order) == Counter(dict(enumerate(turns)))
    total = sum(turns)
    for index, count in enumerate(turns):
        places = [place for place, found in enumerate(order) if found == index]
        gaps = [later - earlier for earlier, later in pairwise([*places, places[0] + total])]
        assert max(gaps) <= 2 * total / count + 1


def test_round_robin_gives_everybody_one_turn_whatever_the_weights() -> None:
    slots = slots_of(trio(weights=(1, 2000, 3), scheduler=Scheduler.ROUND_ROBIN))
    assert slots is not None
    assert [found.name for found in slots.servers] == ["s1", "s2", "s3"]
    assert slots.pick is Pick.IN_TURN


@pytest.mark.req("D-14")
@pytest.mark.parametrize("scheduler", list(Scheduler))
def test_only_servers_that_serve_have_slots(scheduler: Scheduler) -> None:
    slots = slots_of(trio(Forward.NAT, Duty.DRAIN, Duty.OUT, scheduler=scheduler))
    assert slots is not None
    assert {found.name for found in slots.servers} == {"s3"}


@pytest.mark.parametrize("scheduler", list(Scheduler))
def test_a_service_without_eligible_servers_has_no_slots(scheduler: Scheduler) -> None:
    assert slots_of(trio(Forward.NAT, Duty.OUT, Duty.OUT, Duty.DRAIN, scheduler=scheduler)) is None


def test_a_direct_server_without_a_mac_is_left_out() -> None:
    unknown = server(1, Forward.DIRECT, resolved=False)
    slots = slots_of(service(unknown, server(2, Forward.DIRECT)))
    assert slots is not None
    assert {found.name for found in slots.servers} == {"s2"}


@pytest.mark.req("B-14")
@pytest.mark.parametrize("scheduler", [Scheduler.SOURCE_HASH, Scheduler.MAGLEV], ids=str)
def test_a_hash_moves_little_when_a_server_dies_and_nothing_when_it_is_back(scheduler: Scheduler) -> None:
    whole = slots_of(trio(scheduler=scheduler))
    without = slots_of(trio(Forward.NAT, Duty.SERVE, Duty.OUT, scheduler=scheduler))
    assert whole is not None
    assert without is not None
    assert len(whole) == len(without)
    moved = [
        (before.name, after.name)
        for before, after in zip(whole.servers, without.servers, strict=True)
        if before.name not in {after.name, "s2"}
    ]
    assert len(moved) <= 0.1 * len(whole)
    assert slots_of(trio(scheduler=scheduler)) == whole


@pytest.mark.req("D-34")
def test_two_nodes_agree_on_the_table_whatever_they_call_their_servers_and_in_whatever_order() -> None:
    here = trio(scheduler=Scheduler.SOURCE_HASH)
    there = replace(here, servers=tuple(replace(s, name=f"other-{s.name}") for s in reversed(here.servers)))
    ours, theirs = slots_of(here), slots_of(there)
    assert ours is not None
    assert theirs is not None
    assert [s.address for s in ours.servers] == [s.address for s in theirs.servers]


def test_shares_are_told() -> None:
    slots = slots_of(trio(weights=(2000, 1000, 1000)))
    assert slots is not None
    assert slots.share(slots.servers[0]) == 0.5
