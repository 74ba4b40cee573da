"""A VIP that is owned by lease, rehearsed with the real daemon and three real etcd: the observer on the switch never
sees two owners, and who dies is relieved within 1.1 times the lease."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.lab.rehearsals import Breaking, named, rehearsed
from yaoki.core.address import Family
from yaoki.election.lease_params import longest_takeover
from yaoki.lab.fault import HangNode
from yaoki.lab.rehearsal import RECOVERY_LIMIT
from yaoki.lab.row import Row
from yaoki.site.units import duration_text

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(300)]

EXAMPLE = (Path(__file__).parents[2] / "examples/lease-pair/site.yaml").read_text()
MS = timedelta(milliseconds=1)
BUSY_MS = 250.0
"""What two cores under other load may add to any takeover."""


def rows(folder: Path, duration: timedelta, *names: str) -> dict[str, Row]:
    lease = f"    election: lease\n    lease-duration: {duration_text(duration)}\n    acknowledge: [store-gap]\n"
    text = EXAMPLE.replace("    election: lease\n", lease).replace("site: lease-pair", "site: ykl6")
    file = folder / "site.yaml"
    file.write_text(text)
    return rehearsed(file, named(file, *names), Breaking, patience=RECOVERY_LIMIT)


def assert_never_two(row: Row) -> None:
    """Neither while it lasted nor while what was broken came back."""
    assert row.void is None
    assert not row.split
    ends_by_itself = row.scenario.mends or isinstance(row.scenario.fault, HangNode)
    for vip in row.vips:
        assert vip.two_owners_ms == dict.fromkeys(Family, 0.0)
        assert vip.return_ms == ({} if ends_by_itself else dict.fromkeys(Family, 0.0))


def outage_ms(row: Row) -> float:
    assert row.worst is not None
    return row.worst.outage.outage_ms


@pytest.mark.req("B-21")
def test_neither_a_partition_nor_a_killed_owner_makes_a_second_one(tmp_path: Path) -> None:
    duration = 1500 * MS
    seen = rows(tmp_path, duration, "front-partition", "lb1-kill-all")
    for row in seen.values():
        assert_never_two(row)
    assert outage_ms(seen["front-partition"]) == 0
    assert outage_ms(seen["lb1-kill-all"]) <= longest_takeover(duration) / MS + BUSY_MS


@pytest.mark.long
@pytest.mark.req("B-21")
@pytest.mark.parametrize("duration", [500 * MS, 250 * MS], ids=duration_text)
def test_a_short_lease_is_taken_as_soon_where_only_the_owner_dies(tmp_path: Path, duration: timedelta) -> None:
    seen = rows(tmp_path, duration, "lb1-kill-all", "lb1-hang-all")
    for row in seen.values():
        assert_never_two(row)
    assert outage_ms(seen["lb1-kill-all"]) <= longest_takeover(duration) / MS + BUSY_MS


@pytest.mark.long
@pytest.mark.req("B-20")
def test_who_neither_owns_nor_leads_costs_nothing_and_without_a_majority_nobody_owns(tmp_path: Path) -> None:
    names = ("lb2-power-off", "etcd3-power-off", "store-majority-off", "store-back", "front-down")
    seen = rows(tmp_path, 1500 * MS, *names)
    for row in seen.values():
        assert_never_two(row)
    assert outage_ms(seen["lb2-power-off"]) == 0
    assert not any(seen[name].expectation.survivable for name in ("store-majority-off", "front-down"))
