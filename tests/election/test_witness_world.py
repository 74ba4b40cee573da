"""A store of one member, as the witness is: what the loss of its disk does, and what an older copy of it would do."""

import pytest

from tests.election.lease_world import DURATION, Fault, World
from tests.election.test_lease_world import try_seeds
from yaoki.sim.chance import Chance
from yaoki.sim.timeline import MILLISECOND, SECOND

_FAULTS = tuple(fault for fault in Fault if fault is not Fault.HANDS_OVER)


def losing(seed: int) -> World:
    """A world whose store loses its disk again and again, among other faults, which end before it does."""
    world, chance = World(seed), Chance(seed, "faults")
    world.run(4 * SECOND)
    for _ in range(20):
        world.inflict(chance.pick(_FAULTS), chance.pick(world.nodes), chance.between(10 * MILLISECOND, 4 * SECOND))
        world.run(chance.between(0, 2 * SECOND))
        world.lose_disk()
        world.run(chance.between(0, 4 * SECOND))
    world.run(7 * SECOND)
    return world


@pytest.mark.req("B-21")
@pytest.mark.parametrize("seed", range(8))
def test_a_store_that_loses_its_disk_makes_no_second_owner_and_epochs_go_on_growing(seed: int) -> None:
    assert len(losing(seed).answering()) == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_the_disk_costs_about_one_duration(seed: int) -> None:
    world = World(seed)
    world.run(5 * SECOND)
    assert len(world.answering()) == 1
    world.lose_disk()
    world.run(SECOND)
    assert world.answering() == []
    world.run(round(1.5 * DURATION.total_seconds() * SECOND))
    assert len(world.answering()) == 1


def restoring(seed: int) -> None:
    """An owner is replaced, and the store forgets that it was."""
    world = World(seed)
    world.run(5 * SECOND)
    [first] = [node for node in world.nodes if node.name in world.answering()]
    copy = world.copy_disk()
    world.inflict(Fault.CUT_OFF, first, 4 * SECOND)
    world.run(3 * SECOND)
    world.restore_disk(copy)
    world.run(3 * SECOND)


def test_an_older_copy_of_the_disk_brings_back_an_owner_that_was_replaced() -> None:
    """Why a witness is never to be restored: its epoch is old, and it may answer beside its successor."""
    with pytest.raises(AssertionError, match="answer"):
        try_seeds(restoring)
