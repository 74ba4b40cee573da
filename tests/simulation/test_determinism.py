"""A seed is a whole world: the same one twice, in any process, whatever happens around it."""

import subprocess
import sys

import pytest

from tests.simulation.shapes import shape
from yaoki.sim.campaign import Chosen, run_seed
from yaoki.sim.timeline import SECOND

UNTIL_US = 100 * SECOND

LONG_US = 200 * SECOND
"""In a site of three nodes the first faults come later than UNTIL_US."""
SITES = [("fast", UNTIL_US), pytest.param("three-nodes", LONG_US, marks=pytest.mark.campaign)]

PROGRAM = """
from tests.simulation.shapes import shape
from yaoki.sim.campaign import run_seed
print(run_seed(shape("{site}"), 6, until_us={until_us}, digested=True).digest)
"""


@pytest.mark.parametrize(("site", "until_us"), SITES)
def test_one_seed_twice_gives_one_trace(site: str, until_us: int) -> None:
    first, second = (run_seed(shape(site), 0, until_us=until_us, digested=True) for _ in range(2))
    assert first.digest == second.digest != ""
    assert first.begun, "a world without a fault would show little"
    assert first.happened == second.happened
    assert first.kinds == second.kinds


def test_other_seeds_give_other_traces() -> None:
    digests = {run_seed(shape("fast"), seed, until_us=UNTIL_US // 2, digested=True).digest for seed in range(5)}
    assert len(digests) == 5


@pytest.mark.parametrize(("site", "until_us"), SITES)
def test_two_processes_with_different_hashing_agree(site: str, until_us: int) -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(site=site, until_us=until_us)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_run_that_is_looked_at_is_the_same_run() -> None:
    plain = run_seed(shape("fast"), 2, until_us=UNTIL_US)
    watched = run_seed(shape("fast"), 2, until_us=UNTIL_US, digested=True, traced=50)
    assert plain.happened == watched.happened
    assert len(watched.trace) >= 50


def test_leaving_faults_out_changes_no_other_fault() -> None:
    whole = run_seed(shape("fast"), 0, until_us=UNTIL_US)
    some = run_seed(shape("fast"), 0, until_us=UNTIL_US, chosen=(Chosen(2), Chosen(3)))
    assert [fault for fault in whole.begun if fault.number in (2, 3)] == list(some.begun)
