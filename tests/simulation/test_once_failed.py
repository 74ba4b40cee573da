"""What once failed stays mended. Cases with a long life before their fault are replayed in `make test` only."""

import pytest

from tests.simulation.once_failed import ONCE_FAILED, OnceFailed
from tests.simulation.shapes import shape
from yaoki.sim.faults import Injection
from yaoki.sim.schedule import Episode
from yaoki.sim.settling import settling_us
from yaoki.sim.timeline import SECOND
from yaoki.sim.world import World

LONG_S = 100


def marks(case: OnceFailed) -> tuple[pytest.MarkDecorator, ...]:
    return (pytest.mark.campaign,) if max(begins for begins, _, _ in case.faults) > LONG_S else ()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=marks(case)) for case in ONCE_FAILED])
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
