"""Rehearsals of the pair with the real daemon: rows that keep their promises, and what their figures mean.

The negative controls are beside this file, test_without_*.py; figures for their own sake are in bench/.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.rehearsals import RETRIES, Breaking, Unannounced, named, rehearsed
from tests.lab.sites import changed
from yaoki.cli.rehearse import VOID
from yaoki.core.address import Family
from yaoki.lab.catalogue import Scenario
from yaoki.lab.fault import KillNode, PowerOff
from yaoki.lab.namespaces import existing
from yaoki.lab.peers_keepalived import Keepalived
from yaoki.lab.probes.targets import ProbeKind
from yaoki.lab.rehearsal import RECOVERY_LIMIT
from yaoki.lab.row import Row, TargetFigures
from yaoki.lab.run import rehearse
from yaoki.lab.software import Part
from yaoki.site.load import load_site

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(300)]

ROWS = (
    "lb1-kill-main",
    "lb1-kill-all",
    "lb1-power-off",
    "front-partition",
    "front-heal",
    "web1-killed",
    "reconfigure",
)
IN_FLIGHT_MS = 60.0
"""A request begun this long after the switch may still meet what was before it, on a busy machine."""


def unchanged(_: dict[str, Any]) -> None: ...


LONG = ("lb1-failback", "lb1-hang-speaker")
"""Rows that two cores under other load do not carry; run by make test-long."""


def of_pair(folder: Path, *names: str) -> dict[str, Row]:
    file = changed(folder, unchanged, name="yke4")
    return rehearsed(file, named(file, *names), Breaking, patience=RECOVERY_LIMIT)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    return of_pair(tmp_path_factory.mktemp("pair"), *ROWS)


def promises_are_kept(row: Row) -> None:
    assert row.void is None
    assert row.missed == ()
    assert row.ok


@pytest.mark.parametrize("name", ROWS)
def test_the_pair_keeps_its_promises(rows: dict[str, Row], name: str) -> None:
    promises_are_kept(rows[name])


@pytest.mark.long
def test_the_pair_keeps_its_promises_on_a_machine_without_other_work(tmp_path: Path) -> None:
    for row in of_pair(tmp_path, *LONG).values():
        promises_are_kept(row)


@pytest.mark.req("B-07")
def test_a_node_without_power_is_replaced_after_it_was_silent_long_enough(rows: dict[str, Row]) -> None:
    row = rows["lb1-power-off"]
    assert [vip.owner for vip in row.vips] == ["lb2"]
    assert row.turning.detection_ms is not None
    # Three advertisement intervals and the skew of priority 100, less the phase of the fault.
    assert 250 <= row.turning.detection_ms <= 700
    assert row.worst is not None
    assert row.worst.outage.outage_ms >= 250


def test_the_death_of_the_node_process_is_not_noticed(rows: dict[str, Row]) -> None:
    row = rows["lb1-kill-main"]
    assert [figures.outage.lost for figures in row.probes] == [0] * len(row.probes)
    assert [vip.owner for vip in row.vips] == ["lb1"]
    assert row.streams_cut == 0


@pytest.mark.req("B-19")
def test_a_dead_owner_is_silenced_before_the_other_node_takes_over(rows: dict[str, Row]) -> None:
    row = rows["lb1-kill-all"]
    assert [vip.owner for vip in row.vips] == ["lb2"]
    assert [list(vip.two_owners_ms.values()) for vip in row.vips] == [[0.0, 0.0]]
    # Its addresses were in its kernel still, behind a shut gate, when it was started again and took the VIP back.
    [vip] = row.vips
    assert vip.return_ms.keys() == set(Family)
    assert vip.return_allowed_ms == 50.0


def test_a_partition_shows_its_two_owners_and_is_not_survivable_without_a_lease(rows: dict[str, Row]) -> None:
    row = rows["front-partition"]
    assert not row.expectation.survivable
    assert all(row.vips[0].two_owners_ms[family] > 100 for family in Family)


def test_no_request_begun_after_detection_and_switch_fails(rows: dict[str, Row], tmp_path: Path) -> None:
    name = "web1-killed"
    if failed_too_late(rows[name]):
        # A machine that stands still makes the VIP move just then, and it is the other node's verdict that counts.
        assert failed_too_late(of_pair(tmp_path, name)[name]) == []


def failed_too_late(row: Row) -> list[TargetFigures]:
    turned = row.turning
    assert turned.detection_ms is not None
    assert turned.switch_ms is not None
    over_us = row.fault_us + 1000 * (turned.detection_ms + turned.switch_ms + IN_FLIGHT_MS)
    failed = {figures: figures.outage.last_failed_us for figures in row.probes if figures.target.service == "web"}
    return [figures for figures, last_us in failed.items() if last_us is not None and last_us > over_us]


def test_a_dead_server_of_many_is_not_averaged_away(rows: dict[str, Row]) -> None:
    pinned = {
        figures.target.server: figures.outage.outage_ms
        for figures in rows["web1-killed"].probes
        if figures.target.kind is ProbeKind.PINNED and figures.target.family is Family.IPV4
    }
    assert pinned["web1"] > 1000
    assert pinned["web2"] == 0


def bare(plain: dict[str, Any]) -> None:
    plain["services"] = {}
    plain["vips"]["web-vip"].pop("track")
    plain["hosts"] = {name: plain["hosts"][name] for name in ("router", "alice")}


POWER_OFF = Scenario("lb1-power-off", PowerOff("lb1"))


def worst_ms(row: Row) -> float:
    assert row.void is None
    assert row.worst is not None
    return row.worst.outage.outage_ms


@pytest.mark.req("B-07")
@pytest.mark.req("B-08")
def test_without_announcements_an_outage_lasts_as_long_as_neighbours_remember(tmp_path: Path) -> None:
    file = changed(tmp_path, bare, name="yke5")
    told = rehearsed(file, (POWER_OFF,), Breaking, patience=RECOVERY_LIMIT)
    untold = rehearsed(file, (POWER_OFF,), Unannounced, patience=RECOVERY_LIMIT)
    assert worst_ms(told[POWER_OFF.name]) < 1500
    # Until the neighbour entry is doubted: at least the delay before its first probe (5 s).
    assert worst_ms(untold[POWER_OFF.name]) > 3000


@pytest.mark.peers
def test_keepalived_is_measured_by_the_same_harness(tmp_path: Path) -> None:
    file = changed(tmp_path, bare, name="yke6")
    scenarios = (POWER_OFF, Scenario("lb1-kill-all", KillNode("lb1", Part.ALL)))
    off, killed = rehearse(load_site(file).site, file, scenarios, software=Keepalived, retries=RETRIES)
    assert 200 < worst_ms(off) < 1500
    assert [vip.owner for vip in off.vips] == ["lb2"]
    # Its addresses stay in the kernel, and nobody mends it.
    assert max(killed.vips[0].two_owners_ms.values()) > 300


def ended(*command: str, times: int = 3) -> subprocess.CompletedProcess[str]:
    """A rehearsal, once more where a busy machine made its row void as often as the command itself repeats it."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended(*command, times=times - 1) if done.returncode == VOID and times > 1 else done


def test_the_command_rehearses_prints_and_leaves_nothing(tmp_path: Path) -> None:
    file = changed(tmp_path, bare, name="yke7")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "yaoki.cli", "rehearse", str(file), "--only", "lb1-power-off"]
    done = ended(*command, "--json", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lb1-power-off" in done.stdout
    (scenario,) = json.loads(report.read_text())["scenarios"]
    assert scenario["name"] == "lb1-power-off"
    assert scenario["survivable"] is True
    assert existing(["yk-yke7-sw", "yk-yke7-lb1"]) == ()

    report.write_text(json.dumps({"scenarios": [{"name": "lb1-power-off", "outage_ms": 1.0}]}))
    again = ended(*command, "--baseline", str(report))
    assert again.returncode == 1
    assert "1 ms before" in again.stdout
