"""Turns by the flows that servers have: exact values, and what holds whatever was counted."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lb.samples import server, service, trio
from yaoki.lb.load import NOTHING_KNOWN, Load, open_servers, slots_under
from yaoki.lb.schedulers import Pick, slots_of
from yaoki.lb.schedulers.weighted_round_robin import RESOLUTION
from yaoki.lb.service import Duty, Forward, Scheduler, VirtualService

LC, WLC, P2C = Scheduler.LEAST_CONNECTION, Scheduler.WEIGHTED_LEAST_CONNECTION, Scheduler.POWER_OF_TWO
pytestmark = pytest.mark.req("D-30")


def load(wanted: VirtualService, *flows: int, expected: int) -> Load:
    pairs = zip(wanted.servers, flows, strict=True)
    return Load({(server.address, server.port): count for server, count in pairs}, expected)


def limited(wanted: VirtualService, *limits: int | None) -> VirtualService:
    pairs = zip(wanted.servers, limits, strict=True)
    return replace(wanted, servers=tuple(replace(server, limit=limit) for server, limit in pairs))


def turns(wanted: VirtualService, load: Load) -> dict[str, int]:
    slots = slots_under(wanted, load)
    assert slots is not None
    return dict(Counter(server.name for server in slots.servers))


@pytest.mark.parametrize(
    ("scheduler", "weights", "flows", "expected", "names"),
    [
        # what is to come lifts the lowest first, and then all together
        (LC, (1, 1, 1), (0, 0, 0), 0, {"s1": 86, "s2": 85, "s3": 85}),
        (LC, (1, 1, 1), (100, 100, 0), 97, {"s3": 256}),  # 100 to come fill the third
        (LC, (1, 1, 1), (100, 40, 0), 77, {"s2": 64, "s3": 192}),  # level 60: 20 and 60 of 80
        (LC, (1, 1, 1), (10, 10, 10), 1_000_000, {"s1": 86, "s2": 85, "s3": 85}),
        (LC, (1, 9, 1), (0, 0, 0), 9, {"s1": 86, "s2": 85, "s3": 85}),
        (WLC, (2000, 1000, 1000), (0, 0, 0), 0, {"s1": 128, "s2": 64, "s3": 64}),
        (WLC, (2000, 1000, 1000), (20, 0, 20), 37, {"s1": 128, "s2": 128}),  # level 20: 20 and 20 of 40
        (P2C, (2000, 1000, 1000), (20, 0, 20), 37, {"s1": 128, "s2": 128}),
    ],
)
def test_turns_are_such_that_all_end_at_one_level(
    scheduler: Scheduler, weights: tuple[int, int, int], flows: tuple[int, ...], expected: int, names: dict[str, int]
) -> None:
    wanted = trio(scheduler=scheduler, weights=weights)
    assert turns(wanted, load(wanted, *flows, expected=expected)) == names


def test_turns_are_interleaved() -> None:
    wanted = trio(scheduler=LC)
    slots = slots_under(wanted, load(wanted, 100, 0, 0, expected=0))
    assert slots is not None
    assert slots.pick is Pick.IN_TURN
    assert [server.name for server in slots.servers[:4]] == ["s2", "s3", "s2", "s3"]


def test_a_scheduler_that_asks_nothing_has_the_slots_that_it_has_elsewhere() -> None:
    for scheduler in (Scheduler.ROUND_ROBIN, Scheduler.WEIGHTED_ROUND_ROBIN, Scheduler.SOURCE_HASH, Scheduler.MAGLEV):
        wanted = trio(scheduler=scheduler)
        assert slots_under(wanted, load(wanted, 9, 0, 5, expected=7)) == slots_of(wanted)


@pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
def test_who_is_full_gets_no_turn_and_with_all_full_nobody_does(scheduler: Scheduler) -> None:
    wanted = limited(trio(scheduler=scheduler), 5, None, 7)
    assert set(turns(wanted, load(wanted, 5, 50, 6, expected=900))) == {"s2", "s3"}
    assert set(turns(wanted, load(wanted, 4, 50, 7, expected=900))) == {"s1", "s2"}
    wanted = limited(wanted, 1, 2, 3)
    assert slots_under(wanted, load(wanted, 1, 2, 3, expected=0)) is None
    assert open_servers(wanted, load(wanted, 1, 9, 2, expected=0)) == wanted.servers[2:]


def test_only_servers_that_are_to_serve_get_turns() -> None:
    wanted = trio(Forward.NAT, Duty.DRAIN, scheduler=LC)
    assert set(turns(wanted, NOTHING_KNOWN)) == {"s2", "s3"}


SERVERS = st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 100_000)), min_size=1, max_size=9)


@given(scheduler=st.sampled_from([LC, WLC, P2C]), servers=SERVERS, expected=st.integers(0, 1_000_000))
def test_whatever_was_counted_somebody_is_next_and_the_less_loaded_has_no_fewer_turns(
    scheduler: Scheduler, servers: list[tuple[int, int]], expected: int
) -> None:
    wanted = service(*(server(n, weight=weight) for n, (weight, _) in enumerate(servers, 1)), scheduler=scheduler)
    found = turns(wanted, load(wanted, *(count for _, count in servers), expected=expected))
    assert sum(found.values()) == RESOLUTION
    if scheduler is LC:
        by_load = sorted((count, f"s{n}") for n, (_, count) in enumerate(servers, 1))
        given_out = [found.get(name, 0) for _, name in by_load]
        assert all(first >= second - 1 for first, second in pairwise(given_out))
