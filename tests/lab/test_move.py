"""`yaoki vip move` with the real daemon, measured by a datagram per millisecond in each family."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.lab.rehearsals import Breaking, named, rehearsed
from yaoki.core.address import Family
from yaoki.election.lease_params import DEFAULT_DURATION, longest_takeover
from yaoki.lab.rehearsal import RECOVERY_LIMIT
from yaoki.lab.row import OVERLAP, Row
from yaoki.lab.software import Part
from yaoki.lab.software_yaoki import Yaoki
from yaoki.node.decisions import AdmitVip, MoveVip

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(300)]

EXAMPLE = (Path(__file__).parents[2] / "examples/witness-pair/site.yaml").read_text()
STORE = "store: {kind: witness, endpoint: w1}\n"
BUSY_LOST = 20
"""Of a thousand datagrams a second: none on a quiet machine. Linux takes packets for a fresh IPv6 address milliseconds
after it was put there, on a busy machine later."""

BUSY_MS = 350.0
"""What two cores under other load may add to a takeover."""


class Moving(Yaoki):
    """Where a row stops a node, the VIP is moved away from it, and admitted again afterwards."""

    def stop(self, node: str) -> None:
        self._ask(node, {"do": "operate", "command": self._codec.plain(MoveVip("data", None))})

    def start(self, node: str) -> None:
        if self.processes(node, Part.MAIN):
            self._ask(node, {"do": "operate", "command": self._codec.plain(AdmitVip("data"))})
        else:
            super().start(node)


def moved(folder: Path, text: str) -> Row:
    file = folder / "site.yaml"
    file.write_text(text)
    row = rehearsed(file, named(file, "lb1-stop"), Breaking, patience=RECOVERY_LIMIT, software=Moving)["lb1-stop"]
    assert row.void is None
    assert [vip.owner for vip in row.vips] == ["lb2"]
    assert {figures.target.family for figures in row.probes} == set(Family)
    return row


@pytest.mark.req("B-22")
def test_a_move_loses_nothing_and_two_serve_for_a_moment_only(tmp_path: Path) -> None:
    plain = EXAMPLE.replace(STORE, "").replace("election: lease", "election: vrrp").replace("plays: [witness], ", "")
    row = moved(tmp_path, plain.replace("site: witness-pair", "site: ykm5"))
    lost = {str(figures.target): figures.outage.lost for figures in row.probes}
    assert max(lost.values()) <= BUSY_LOST, lost
    for vip in row.vips:
        assert max(vip.two_owners_ms.values()) <= 2 * OVERLAP.total_seconds() * 1000


@pytest.mark.req("B-21")
def test_under_a_lease_a_move_never_makes_two_owners_and_lasts_no_longer_than_a_takeover(tmp_path: Path) -> None:
    row = moved(tmp_path, EXAMPLE.replace("site: witness-pair", "site: ykm6"))
    assert [max(vip.two_owners_ms.values()) for vip in row.vips] == [0.0]
    longest_ms = longest_takeover(DEFAULT_DURATION) / timedelta(milliseconds=1) + BUSY_MS
    assert max(figures.outage.outage_ms for figures in row.probes) <= longest_ms
