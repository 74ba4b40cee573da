"""A mistake in a shipped engine is not only found by the simulator: a row of the rehearsal fails for it on the wire.

The same rows with the engines as they are keep their promises: test_rehearsal.py, on the same site.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.rehearsals import Breaking, named, rehearsed
from tests.lab.sites import changed
from tests.mutated import patched
from yaoki.lab.row import Row
from yaoki.lab.software_yaoki import Yaoki

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(300)]

LONG_ENOUGH = timedelta(seconds=2)
"""To miss every promise of the pair."""


LABS = 6
"""A machine with other work makes rows void; then the lab is built anew."""


def row_with(mutation: str, scenario: str, directory: Path) -> Row:
    """The row of this scenario where nodes run the mutation; void only if the lab does not settle with it."""
    source = patched(mutation, directory)
    file = changed(directory, _unchanged, name="yke3")
    for _ in range(LABS):
        rows = rehearsed(
            file,
            named(file, scenario),
            Breaking,
            patience=LONG_ENOUGH,
            software=lambda lab: Yaoki(lab, environment={"PYTHONPATH": str(source)}),
            retries=0,
        )
        row = rows[scenario]
        assert not row.ok
        if row.void is None or "not settled" in row.void:
            return row
    raise AssertionError(f"void in {LABS} labs")


def _unchanged(_: dict[str, Any]) -> None: ...


def test_without_announcements_neighbours_ask_a_node_that_has_no_power(tmp_path: Path) -> None:
    row = row_with("announcements-forgotten", "lb1-power-off", tmp_path)
    assert row.void is None
    assert {figures.target.service for figures in row.missed} == {"web", "api"}
    assert [vip.owner for vip in row.vips] == ["lb2"]


def test_a_loser_that_keeps_the_addresses_is_a_second_owner(tmp_path: Path) -> None:
    row = row_with("addresses-not-released", "front-heal", tmp_path)
    # Who was the first to come up may have lost already while the lab settled.
    assert "two owners" in row.void if row.void else not row.vips[0].kept


def test_a_server_that_is_given_ten_more_failures_is_missed_for_too_long(tmp_path: Path) -> None:
    row = row_with("falls-counted-wrong", "web1-killed", tmp_path)
    assert row.void is None
    assert {figures.target.service for figures in row.missed} == {"web"}


@pytest.mark.long
def test_without_a_gate_a_speaker_that_hangs_stays_a_second_owner(tmp_path: Path) -> None:
    row = row_with("gate-never-armed", "lb1-hang-speaker", tmp_path)
    assert row.void is None
    assert not row.vips[0].kept


@pytest.mark.long
def test_who_gives_way_to_the_lower_priority_only_is_a_second_owner(tmp_path: Path) -> None:
    row = row_with("priorities-compared-in-reverse", "front-heal", tmp_path)
    assert "two owners" in row.void if row.void else not row.vips[0].kept


@pytest.mark.long
def test_a_backup_that_hears_nothing_of_its_owner_takes_the_vip_from_it(tmp_path: Path) -> None:
    row = row_with("down-timer-not-restarted", "lb1-kill-main", tmp_path)
    assert row.void is None or "not settled" in row.void or "two owners" in row.void
