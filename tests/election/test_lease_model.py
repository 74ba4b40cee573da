"""Z-04: two nodes never trust one lease. Every world that can be reached from a held lease, whatever is lost, late or
doubled, whoever sleeps or crashes, with one clock as slow and the other as fast as clocks may be; and with each mistake
that the machine must not make, the exploration finds a world with two owners.
"""

import pytest

from tests.election.lease_model import NO_MISHAP, Explored, Mishaps, Model, explore, owned, ticks_to_take_over
from tests.election.mutants import MISTAKES, Mistake, mutant

CLOCKS = (99, 101)


@pytest.fixture(scope="module")
def slow_owner() -> tuple[Model, Explored]:
    model = Model(CLOCKS)
    return model, explore(model, owned(model, NO_MISHAP, by=0), most=80_000)


@pytest.mark.req("Z-04")
@pytest.mark.req("B-21")
def test_no_world_has_two_owners(slow_owner: tuple[Model, Explored]) -> None:
    _, explored = slow_owner
    assert explored.violation is None
    assert len(explored.worlds) > 50_000
    assert explored.takeovers > 500


def test_from_every_world_a_node_that_is_left_alone_takes_the_lease(slow_owner: tuple[Model, Explored]) -> None:
    """Three ticks to wait out the last owner, two for questions that were lost before, one for each rounding up."""
    model, explored = slow_owner
    for world in explored.worlds[::20]:
        assert ticks_to_take_over(model, world, node=1, most=8) is not None


def test_the_other_owner_s_worlds_are_among_them(slow_owner: tuple[Model, Explored]) -> None:
    """With the fast clock at the owner: so one of the two explorations is enough."""
    model, explored = slow_owner
    assert owned(model, NO_MISHAP, by=1) in explored.worlds


@pytest.mark.campaign
@pytest.mark.timeout(400)
@pytest.mark.req("Z-04")
@pytest.mark.parametrize(
    "mishaps", [Mishaps(process_crashes=1), Mishaps(machine_crashes=1), Mishaps(give_ups=1)], ids=str
)
def test_no_world_has_two_owners_whatever_else_befalls_them(mishaps: Mishaps) -> None:
    model = Model(CLOCKS)
    explored = explore(model, owned(model, mishaps, by=0), most=700_000)
    assert explored.violation is None
    assert explored.takeovers > 500


@pytest.mark.req("Z-04")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_leads_to_a_world_with_two_owners(mistake: Mistake) -> None:
    model = Model(CLOCKS, mutant(mistake))
    explored = explore(model, owned(model, NO_MISHAP, by=0), most=150_000)
    assert explored.violation is not None


def test_without_a_mistake_the_mutants_machine_is_the_machine() -> None:
    same = Mistake("none", "self._watch(state)", "self._watch(state)")
    model, mutated = Model(CLOCKS), Model(CLOCKS, mutant(same))
    for each in (model, mutated):
        with pytest.raises(AssertionError, match="more than 3000 worlds"):
            explore(each, owned(each, NO_MISHAP, by=0), most=3000)
    assert model.nodes == mutated.nodes
