"""Worlds of several sites, dealt among them and among processes."""

from itertools import islice

import pytest

from tests.simulation.shapes import shape
from yaoki.sim.campaign import run_seed
from yaoki.sim.dealing import deal
from yaoki.sim.timeline import SECOND

UNTIL_US = 30 * SECOND


def test_outcomes_come_in_the_order_of_the_seeds_and_are_those_of_one_process() -> None:
    outcomes = [outcome for _, outcome in deal([shape("fast")], 3, until_us=2 * UNTIL_US, jobs=2, seeds=3)]
    assert [outcome.seed for outcome in outcomes] == [3, 4, 5]
    assert [outcome.happened for outcome in outcomes] == [
        run_seed(shape("fast"), seed, until_us=2 * UNTIL_US).happened for seed in (3, 4, 5)
    ]


def test_each_site_gets_its_seeds() -> None:
    dealt = [
        (number, o.seed) for number, o in deal([shape("fast"), shape("one-second")], 0, until_us=1, jobs=1, seeds=2)
    ]
    assert sorted(dealt) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_sites_get_the_same_share_of_the_work(jobs: int) -> None:
    sites = [shape("fast"), shape("one-second")]
    happened, seeds = [0, 0], [0, 0]
    worlds = deal(sites, 0, until_us=UNTIL_US, jobs=jobs)
    for number, outcome in islice(worlds, 16):
        happened[number] += outcome.happened
        seeds[number] += 1
    worlds.close()
    assert seeds[1] > 2 * seeds[0], "a second of the slower site costs less"
    assert 1 / 2 < happened[0] / happened[1] < 2
    assert seeds == [4, 12]
