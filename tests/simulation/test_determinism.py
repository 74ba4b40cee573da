"""A seed is a whole world: the same one twice, in any process, whatever happens around it."""

import subprocess
import sys

from tests.simulation.shapes import shape
from yaoki.sim.campaign import Chosen, run_seed
from yaoki.sim.timeline import SECOND

UNTIL_US = 200 * SECOND

PROGRAM = """
from tests.simulation.shapes import shape
from yaoki.sim.campaign import run_seed
print(run_seed(shape("three-nodes"), 6, until_us={until_us}, digested=True).digest)
"""


def test_one_seed_twice_gives_one_trace() -> None:
    first, second = (run_seed(shape("three-nodes"), 5, until_us=UNTIL_US, digested=True) for _ in range(2))
    assert first.digest == second.digest != ""
    assert first.happened == second.happened
    assert first.kinds == second.kinds


def test_other_seeds_give_other_traces() -> None:
    digests = {run_seed(shape("fast"), seed, until_us=UNTIL_US // 4, digested=True).digest for seed in range(5)}
    assert len(digests) == 5


def test_two_processes_with_different_hashing_agree() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(until_us=UNTIL_US)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_run_that_is_looked_at_is_the_same_run() -> None:
    plain = run_seed(shape("fast"), 2, until_us=UNTIL_US // 2)
    watched = run_seed(shape("fast"), 2, until_us=UNTIL_US // 2, digested=True, traced=50)
    assert plain.happened == watched.happened
    assert len(watched.trace) >= 50


def test_leaving_faults_out_changes_no_other_fault() -> None:
    whole = run_seed(shape("fast"), 0, until_us=UNTIL_US)
    some = run_seed(shape("fast"), 0, until_us=UNTIL_US, chosen=(Chosen(2), Chosen(3)))
    assert [fault for fault in whole.begun if fault.number in (2, 3)] == list(some.begun)
