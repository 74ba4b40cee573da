"""How a failing run is made smaller and named."""

from tests.simulation.shapes import shape
from yaoki.sim.campaign import Broken, Outcome, run_seed, run_seeds, shrink
from yaoki.sim.timeline import SECOND

UNTIL_US = 150 * SECOND


def test_outcomes_come_in_the_order_of_the_seeds() -> None:
    outcomes = list(run_seeds(shape("fast"), range(3), until_us=UNTIL_US, jobs=2))
    assert [outcome.seed for outcome in outcomes] == [0, 1, 2]
    assert outcomes[1].kinds == run_seed(shape("fast"), 1, until_us=UNTIL_US).kinds


def test_a_run_without_its_faults_is_an_idle_one() -> None:
    idle = run_seed(shape("fast"), 5, until_us=UNTIL_US, chosen=())
    assert idle.kinds == ()
    assert idle.begun == ()
    assert idle.simulated_us >= UNTIL_US
    assert idle.broken is None


def test_a_failure_that_does_not_come_again_stays_as_it_was() -> None:
    whole = run_seed(shape("fast"), 5, until_us=UNTIL_US)
    broken = Broken("one owner", "made up", whole.simulated_us, ())
    failed = Outcome(5, whole.mix, UNTIL_US, 0.0, 0, (), whole.begun, broken)
    assert shrink(shape("fast"), failed, until_us=UNTIL_US) is failed


def test_another_throw_of_the_dice_meets_the_same_faults() -> None:
    first, second = (run_seed(shape("fast"), 5, until_us=UNTIL_US, throw=throw) for throw in (0, 1))
    assert first.begun == second.begun
    assert first.happened != second.happened
