"""What once failed stays mended."""

import pytest

from tests.simulation.once_failed import ONCE_FAILED, OnceFailed
from tests.simulation.shapes import shape
from yaoki.sim.faults import Injection
from yaoki.sim.schedule import Episode
from yaoki.sim.settling import settling_us
from yaoki.sim.timeline import SECOND
from yaoki.sim.world import World


@pytest.mark.parametrize("case", ONCE_FAILED, ids=lambda case: case.name)
def test_what_once_failed_holds_now(case: OnceFailed) -> None:
    topology = shape(case.site)
    world = World(topology, case.seed)
    settle = settling_us(topology)
    world.timeline.at(settle, world.ledger.settled)
    faults = tuple(
        Injection(number, int(begins * SECOND), int(lasts * SECOND), fault)
        for number, (begins, lasts, fault) in enumerate(case.faults, 1)
    )
    settled_at = max(fault.ends for fault in faults) + settle
    world.put_down(Episode(faults, settled_at))
    world.run(settled_at)
