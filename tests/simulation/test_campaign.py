"""Runs of one seed, with all of its faults and with some."""

from tests.simulation.shapes import shape
from yaoki.sim.campaign import Chosen, run_seed
from yaoki.sim.schedule import DENSE, UNHURRIED
from yaoki.sim.timeline import SECOND

UNTIL_US = 150 * SECOND


def test_a_run_without_its_faults_is_an_idle_one() -> None:
    idle = run_seed(shape("fast"), 5, until_us=UNTIL_US, chosen=())
    assert idle.kinds == ()
    assert idle.begun == ()
    assert idle.simulated_us >= UNTIL_US
    assert idle.broken is None


def test_another_throw_of_the_dice_meets_the_same_faults() -> None:
    first, second = (run_seed(shape("fast"), 5, until_us=UNTIL_US, throw=throw) for throw in (0, 1))
    assert first.begun == second.begun
    assert first.happened != second.happened


def test_a_fault_that_is_chosen_may_be_shorter_and_never_longer() -> None:
    whole = run_seed(shape("fast"), 5, until_us=UNTIL_US)
    first, second = whole.begun[:2]
    chosen = (Chosen(first.number, first.lasts // 2), Chosen(second.number, 2 * second.lasts))
    some = run_seed(shape("fast"), 5, until_us=UNTIL_US, chosen=chosen)
    assert [fault.lasts for fault in some.begun] == [first.lasts // 2, second.lasts]


def test_dense_faults_are_many_more() -> None:
    until = 4 * UNTIL_US
    thin, dense = (run_seed(shape("one-second"), 2, until_us=until, pace=pace) for pace in (UNHURRIED, DENSE))
    assert thin.broken is dense.broken is None
    assert len(dense.begun) > 5 * len(thin.begun)
