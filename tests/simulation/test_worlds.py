"""Some dozens of worlds with every invariant watched. `make sim SEEDS=1000` runs more."""

import pytest

from tests.simulation.shapes import shape
from yaoki.sim.campaign import HOUR_US, run_seed
from yaoki.sim.schedule import MIXES

# Site, and simulated hours of each seed: together well under a minute.
WORLDS = (("two-nodes", 0.1), ("fast", 0.03), ("three-nodes", 0.05), ("example", 0.02))


@pytest.mark.req("Z-04")
@pytest.mark.parametrize("seed", range(2 * len(MIXES)))
@pytest.mark.parametrize(("site", "hours"), WORLDS)
def test_a_world_breaks_no_invariant(site: str, hours: float, seed: int) -> None:
    outcome = run_seed(shape(site), seed, until_us=int(hours * HOUR_US))
    assert outcome.broken is None, f"yaoki sim --seed {seed}: {outcome.broken.invariant}: {outcome.broken.what}"
    assert outcome.begun, "a world without faults proves nothing"


def test_every_kind_of_fault_is_met_by_some_seed() -> None:
    kinds = {kind for seed in range(21) for kind, _ in run_seed(shape("two-nodes"), seed, until_us=HOUR_US // 6).kinds}
    assert kinds == {
        "AddressRemoved",
        "Admitted",
        "Blackhole",
        "CarrierLost",
        "ClockStepped",
        "Drained",
        "Frozen",
        "HostilePackets",
        "Killed",
        "LinkBroken",
        "LinkStalled",
        "Partition",
        "Paused",
        "PlaneRefuses",
        "PowerLost",
        "Reconfigured",
        "Reloaded",
        "RoughNetwork",
        "ServerFault",
        "Slowed",
        "Stopped",
    }
