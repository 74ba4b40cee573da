"""What a seed stands for: its mix, its faults, their times."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.shapes import shape
from yaoki.packet.malformed import Malformed
from yaoki.sim.chance import Chance
from yaoki.sim.faults import (
    AddressLeaked,
    Between,
    Fault,
    GatesRefused,
    LinkStalled,
    ServicesDisabled,
    StoreAway,
    StoreSlow,
)
from yaoki.sim.hostile import hostile_packet
from yaoki.sim.schedule import DENSE, MIXES, SHORTEST_FAULT_US, UNHURRIED, Episode, Pace, episodes, mix_of
from yaoki.sim.settling import settling_us
from yaoki.sim.timeline import SECOND
from yaoki.vrrp.advertisement import HOP_LIMIT, decode

SETTLE = 10 * SECOND
UNTIL = 3600 * SECOND


def schedule(seed: int, site: str = "three-nodes", *, pace: Pace = UNHURRIED) -> list[Episode]:
    found = episodes(seed, shape(site), begins=SETTLE, until=UNTIL, settle=SETTLE, pace=pace)
    return list(found)


def test_neighbouring_seeds_meet_every_mix() -> None:
    assert {mix_of(seed, shape("three-nodes")).name for seed in range(len(MIXES))} == {
        mix.name for mix in MIXES if not mix.needs_store
    }
    assert "leases" not in {mix_of(seed, shape("fast")).name for seed in range(50)}
    assert "leases" in {mix_of(seed, shape("leased")).name for seed in range(50)}
    assert "servers" not in {mix_of(seed, shape("fast")).name for seed in range(50)}


@given(st.integers(0, 10_000), st.sampled_from((UNHURRIED, DENSE)))
def test_episodes_follow_one_another_with_time_to_settle(seed: int, pace: Pace) -> None:
    before = SETTLE
    numbers: list[int] = []
    for episode in schedule(seed, pace=pace):
        assert pace.fewest <= len(episode.faults) <= pace.most
        assert all(fault.lasts <= pace.longest * SETTLE for fault in episode.faults)
        assert all(fault.begins >= before for fault in episode.faults)
        assert all(fault.lasts >= SHORTEST_FAULT_US for fault in episode.faults)
        assert episode.settled_at == max(fault.ends for fault in episode.faults) + SETTLE
        assert episode.settled_at <= UNTIL
        before = episode.settled_at
        numbers += [fault.number for fault in episode.faults]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_dense_faults_come_every_few_seconds_and_few_at_a_time() -> None:
    faults = [fault for seed in range(20) for episode in schedule(seed, pace=DENSE) for fault in episode.faults]
    assert 1 <= 20 * (UNTIL - SETTLE) / SECOND / len(faults) <= 3
    assert 1 <= sum(fault.lasts for fault in faults) / (20 * (UNTIL - SETTLE)) * (4.5 / 3) <= 2


def test_every_kind_of_fault_is_met_by_some_seed() -> None:
    met = {type(fault.fault) for seed in range(len(MIXES)) for episode in schedule(seed) for fault in episode.faults}
    assert met == set(get_args(Fault)) - {StoreAway, StoreSlow, GatesRefused, AddressLeaked, ServicesDisabled}
    leased = [
        fault.fault for seed in range(len(MIXES)) for episode in schedule(seed, "leased") for fault in episode.faults
    ]
    assert {type(fault) for fault in leased} >= {StoreAway, StoreSlow, GatesRefused}
    assert any(isinstance(fault, LinkStalled) and fault.between is Between.HOLDER for fault in leased)


def test_a_schedule_is_the_seeds_alone() -> None:
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    short = list(episodes(3, shape("fast"), begins=SETTLE, until=UNTIL, settle=SETTLE))
    long = list(episodes(3, shape("fast"), begins=SETTLE, until=2 * UNTIL, settle=SETTLE))
    assert long[: len(short)] == short


def test_settling_takes_the_arithmetic_of_the_site() -> None:
    # Grace of a stop, boot, two starts, a command typed again, margin, hold; then the longest wait of a router that
    # leaves, and two Active_Down_Intervals.
    waits = 1_000_000 + 4_000_000 + 2 * 400_000 + 1_000_000 + 1_000_000 + 2_000_000
    assert settling_us(shape("fast")) == waits + 499_609 + 2 * (300_000 + 99_609)
    # 3 x 5 s of a rise, and Active_Down_Intervals of 1 s advertisements; then what a copier of flows is waited for, and
    # the tables of direct return.
    rise, flows = 15_000_000, 4_000_000 + 3_000_000
    assert settling_us(shape("two-nodes")) == waits + rise + 4_096_094 + 2 * (3_000_000 + 996_094) + flows


@given(st.integers(0, 1_000_000))
def test_no_hostile_packet_is_a_valid_advertisement(seed: int) -> None:
    packet = hostile_packet(Chance(seed, "hostile"))
    found = decode(packet.payload, source=packet.source, destination=packet.destination, hop_limit=HOP_LIMIT)
    assert isinstance(found, Malformed)


def test_streams_of_one_seed_are_independent_and_repeatable() -> None:
    first, again, other = (Chance(5, name) for name in ("a", "a", "b"))
    drawn = [first.between(1, 6) for _ in range(20)]
    assert drawn == [again.between(1, 6) for _ in range(20)]
    assert drawn != [other.between(1, 6) for _ in range(20)]
    assert set(drawn) <= set(range(1, 7))
    assert first.stream("b").fraction() == Chance(5, "b").fraction()


@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_weighted_choice_is_one_of_the_choices(seed: int, weights: list[int]) -> None:
    choices = list(enumerate(weights))
    assert Chance(seed, "choice").weighted(choices) in range(len(weights))
