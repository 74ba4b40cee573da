"""The replicas of examples/stateful-pair lose no accepted write, whatever fails, where Yaoki keeps its word."""

import pytest

from tests.examples.pair_world import PairWorld

SECONDS = 150.0


@pytest.mark.req("N-13")
@pytest.mark.parametrize("seed", range(20))
def test_no_accepted_write_is_lost(seed: int) -> None:
    world = PairWorld(seed)
    world.run(SECONDS)
    before = len(world.accepted)
    world.run(60, quiet=True)
    assert world.lost == set()
    assert len(world.accepted) > before, "when nothing fails any more, writes are accepted"


def test_without_the_quarantine_writes_are_lost() -> None:
    for seed in range(20):
        world = PairWorld(seed, quarantine=False)
        world.run(SECONDS)
        if world.lost:
            return
    pytest.fail("the world is too kind to show a loss")
