"""What single faults do to the world, when and for how long, whatever the engines make of it."""

import pytest

from tests.simulation.scene import Scene
from yaoki.sim.faults import CarrierLost, Killed, Part, PowerLost
from yaoki.sim.processes import BOOT_US
from yaoki.sim.timeline import SECOND


@pytest.mark.req("Z-04")
@pytest.mark.parametrize(("times", "out"), [(1, [(0, 30)]), (3, [(0, 6), (12, 18), (24, 30)])])
def test_a_cable_is_out_until_its_fault_ends_and_a_flapping_one_in_between(
    times: int, out: list[tuple[int, int]]
) -> None:
    scene = Scene()
    kernel = scene.world.nodes["lb1"].kernel
    scene.fault(CarrierLost("lb1", "eth0", times), lasts=3)
    scene.run(0.05)
    seen = []
    for tenth in range(32):
        if not kernel.has_carrier("eth0"):
            seen.append(tenth)
        scene.run(0.1)
    assert seen == [tenth for begin, end in out for tenth in range(begin, end)]


@pytest.mark.req("Z-04")
@pytest.mark.parametrize("killed_for", [0.41, 0.9], ids=["before the power is back", "while the machine boots"])
def test_a_process_that_was_being_started_when_the_power_went_starts_when_the_machine_has_booted(
    killed_for: float,
) -> None:
    """Whoever had begun to start it is gone with the power."""
    for seed in range(1, 6):
        scene = Scene(seed=seed)
        scene.fault(Killed("lb2", Part.MAIN), lasts=killed_for)
        scene.fault(PowerLost("lb2"), at=0.4, lasts=0.1)
        scene.run(0.5 + BOOT_US[0] / SECOND)
        assert scene.world.nodes["lb2"].main.process.machine is None
        scene.settle()
        assert scene.world.nodes["lb2"].main.process.machine is not None
