"""Servers across a router, behind tunnels of both kinds, rehearsed with the real daemon: it finds the way to them by
itself, and a takeover, a stop and a drain cost what they cost under direct return."""

import pytest

from tests.lab.rehearsals import Breaking, named, rehearsed
from tests.lab.sites import PAIR
from yaoki.lab.rehearsal import RECOVERY_LIMIT
from yaoki.lab.row import Row

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.netns, pytest.mark.timeout(300)]

SITE = PAIR.with_name("tunnel.yaml")
BUSY_MS = 250.0


def outage_ms(row: Row) -> float:
    assert row.void is None
    assert row.worst is not None
    return row.worst.outage.outage_ms


@pytest.mark.req("D-05", "D-34")
def test_tunnels_outlast_their_balancer() -> None:
    seen = rehearsed(SITE, named(SITE, "lb1-stop", "lb1-power-off", "web1-drained", "lb1-restart"), Breaking,
                     patience=RECOVERY_LIMIT)  # fmt: skip
    assert {name: outage_ms(row) for name, row in seen.items() if name != "lb1-power-off"} == dict.fromkeys(
        ("lb1-stop", "web1-drained", "lb1-restart"), 0
    )
    assert outage_ms(seen["lb1-power-off"]) <= 361 + BUSY_MS
