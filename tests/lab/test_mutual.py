"""Two web servers that back each other up: each owns a VIP, and both when the other fails."""

from pathlib import Path

import pytest

from tests.lab.rehearsals import Breaking, named, rehearsed
from yaoki.lab.rehearsal import RECOVERY_LIMIT

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "mutual" / "site.yaml"


@pytest.mark.req("B-19", "B-13")
def test_the_survivor_owns_both_vips() -> None:
    (row,) = rehearsed(EXAMPLE, named(EXAMPLE, "web1-power-off"), Breaking, patience=RECOVERY_LIMIT).values()
    assert row.void is None
    assert row.ok
    assert {vip.vip: vip.owner for vip in row.vips} == {"east": "web2", "west": "web2"}
    undisturbed = [figures.outage.lost for figures in row.probes if figures.target.vip == "west"]
    assert undisturbed
    assert max(undisturbed) == 0, "the VIP that web2 had all the time loses nothing"
