"""Rows of `make bench-vip` are there whatever could be measured, and say on how much they rest."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bench import vip, vip_lease
from bench.row import Row, table
from yaoki.core.address import Family
from yaoki.lab import row as lab
from yaoki.lab.catalogue import Scenario
from yaoki.lab.fault import PowerOff
from yaoki.lab.probes.targets import targets_of
from yaoki.site.load import load_site

RUNS = [vip.Figures(64.0, 0, 0.0), vip.Figures(71.0, 2, 0.0), vip.Figures(60.0, 0, 10.0)]
CLEAN = [vip.Figures(64.0, 0, 0.0)]


def judged(rows: list[Row]) -> dict[str, bool | None]:
    return {row.row: row.ok for row in rows}


def test_every_row_says_how_many_runs_it_rests_on() -> None:
    rows = list(vip._rows("lb1-kill-speaker", 100, RUNS, RUNS[:1]))
    assert judged(rows) == {
        "lb1-kill-speaker, 100 ms: outage (max 71 / 64; 3 / 1 runs)": True,
        "lb1-kill-speaker, 100 ms: longest time with two owners (3 / 1 runs)": False,
    }
    assert [(row.ours, row.peer) for row in rows] == [(64.0, 64.0), (10.0, 0.0)]


@pytest.mark.parametrize("name", vip.SCENARIOS)
def test_a_scenario_of_which_all_our_runs_are_void_is_missed(name: str) -> None:
    rows = list(vip._rows(name, 100, [], CLEAN))
    assert rows
    assert {row.ok for row in rows} == {False}
    assert all("0 / 1 runs" in row.row for row in rows)
    assert "not measured" in table(rows)


def test_a_ratio_to_a_peer_that_could_not_be_measured_is_not_met_and_one_of_ours_is_judged() -> None:
    [link] = vip._rows(vip.LINK_DOWN, 100, CLEAN, [])
    assert (link.ok, link.goal) == (False, "<= 1.05")
    assert "not measured (keepalived)" in table([link])
    assert [row.ok for row in vip._rows("lb1-hang-all", 10, [vip.Figures(13.0, 0, 0.0)], [])] == [True, True]


SITE = load_site(Path(__file__).parents[2] / "examples/lease-pair/site.yaml").site
LEASE = timedelta(milliseconds=1500)


def run(two_owners_ms: float, void: str | None = None) -> lab.Row:
    owned = lab.VipFigures("data", "lb2", {Family.IPV4: two_owners_ms, Family.IPV6: 0.0}, 0.0, leased=True)
    expected = lab.expectation(SITE, Scenario("lb1-power-off", PowerOff("lb1")), targets_of(SITE))
    return lab.Row(expected, vips=(owned,), void=void)


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    ("runs", "count", "two_ms", "ok"),
    [
        ([run(0.0), run(0.0)], "2 runs", 0.0, True),
        ([run(0.0), run(20.0)], "2 runs", 20.0, False),
        ([run(0.0), run(10.0, "late")], "1 run", 10.0, False),
        ([], "0 runs", None, False),
    ],
)
def test_two_owners_of_a_lease_count_in_void_runs_too(
    runs: list[lab.Row], count: str, two_ms: float | None, ok: bool
) -> None:
    outage, two = vip_lease._rows("lb1-power-off", LEASE, runs)
    assert outage.row.endswith(f"longest outage of {count}")
    assert outage.ok is bool(runs)
    assert two.row.endswith(f"longest time with two owners of {count}")
    assert (two.ours, two.ok) == (two_ms, ok)


def test_two_owners_while_a_node_returns_are_in_a_runs_figures() -> None:
    back = replace(run(0.0).vips[0], return_ms={Family.IPV4: 30.0})
    assert vip._figures(replace(run(0.0), vips=(back,))).two_owners == 30.0
