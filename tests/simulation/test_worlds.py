"""Some dozens of worlds with every invariant watched: one of each site in `make check`, all in `make test`.
`make sim SEEDS=1000` runs more.
"""

import pytest

from tests.simulation.shapes import shape
from yaoki.sim.campaign import HOUR_US, run_seed
from yaoki.sim.schedule import MIXES, episodes
from yaoki.sim.settling import settling_us

CHECKED = 1
"""So many seeds of each site run in `make check`."""

# Site, simulated hours of each seed, and how many seeds: together well under a minute.
WORLDS = (
    ("two-nodes", 0.2, 2 * len(MIXES)),
    ("fast", 0.04, 2 * len(MIXES)),
    ("one-second", 0.1, len(MIXES)),
    ("three-nodes", 0.08, len(MIXES)),
    ("unicast", 0.04, len(MIXES)),
    ("edge", 0.05, len(MIXES)),
    ("manual-edge", 0.03, len(MIXES)),
    ("replaced", 0.03, len(MIXES)),
    ("example", 0.03, len(MIXES)),
    ("tunnel", 0.03, len(MIXES)),
    ("choices", 0.2, len(MIXES)),
)


@pytest.mark.req("Z-04")
@pytest.mark.parametrize(
    ("site", "hours", "seed"),
    [
        pytest.param(site, hours, seed, marks=() if seed < CHECKED else pytest.mark.campaign)
        for site, hours, seeds in WORLDS
        for seed in range(seeds)
    ],
)
def test_a_world_breaks_no_invariant(site: str, hours: float, seed: int) -> None:
    outcome = run_seed(shape(site), seed, until_us=int(hours * HOUR_US))
    assert outcome.broken is None, f"yaoki sim --seed {seed}: {outcome.broken.invariant}: {outcome.broken.what}"


@pytest.mark.parametrize(("site", "hours"), [(site, hours) for site, hours, _ in WORLDS])
def test_most_of_these_worlds_meet_faults(site: str, hours: float) -> None:
    settle, topology = settling_us(shape(site)), shape(site)
    until = int(hours * HOUR_US)
    met = [any(episodes(seed, topology, begins=settle, until=until, settle=settle)) for seed in range(len(MIXES))]
    assert sum(met) > len(MIXES) / 2
