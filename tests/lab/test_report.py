"""The report: its JSON by the contract, its table by the terminal, its comparison with an earlier run."""

from dataclasses import replace
from typing import Any

import pytest

from tests.lab.sites import pair
from yaoki.cli.rehearse import status
from yaoki.core.address import Family
from yaoki.lab.catalogue import Promise, Scenario, catalogue
from yaoki.lab.fault import NetworkDown, Partition, PowerOff, RestartNode
from yaoki.lab.measure import Outage
from yaoki.lab.probes.targets import targets_of
from yaoki.lab.report import Growth, Layout, as_json, columns_of, grown, listing, slo_ms, why
from yaoki.lab.row import Row, TargetFigures, VipFigures, Why, expectation
from yaoki.lab.survival import Reason, Survival
from yaoki.lab.turning import Turning
from yaoki.lab.wording import reason

ENGLISH, JAPANESE = 0, 1
SCENARIO = Scenario("lb1-power-off", PowerOff("lb1"))


def row(outage_ms: float = 362.0, *, scenario: Scenario = SCENARIO, void: str | None = None) -> Row:
    site = pair()
    targets = {t.service: t for t in targets_of(site) if t.family is Family.IPV4 and not t.server}
    return Row(
        expectation(site, scenario, targets_of(site)),
        (
            TargetFigures(targets["web"], Outage(outage_ms, outage_ms - 10, 36), 500.0, ("reset", "timeout")),
            TargetFigures(targets["echo"], Outage(360.0, 360.0, 360), None),
        ),
        (VipFigures("web-vip", "lb2", {Family.IPV4: 0.0, Family.IPV6: 10.0}, 50.0, {Family.IPV4: 20.0}, 50.0),),
        streams_cut=2,
        turning=Turning(351.2, 0.9),
        void=void,
    )


def test_json_is_that_of_the_contract() -> None:
    (scenario,) = as_json([row()])["scenarios"]
    assert scenario == {
        "name": "lb1-power-off",
        "outage_ms": 362.0,
        "probes": [
            {
                "probe": "web",
                "client": "alice",
                "vip": "web-vip",
                "family": "ipv4",
                "outage_ms": 362.0,
                "longest_gap_ms": 352.0,
                "lost": 36,
                "failures": ["reset", "timeout"],
            },
            {
                "probe": "echo",
                "client": "alice",
                "vip": "web-vip",
                "family": "ipv4",
                "outage_ms": 360.0,
                "longest_gap_ms": 360.0,
                "lost": 360,
                "failures": [],
            },
        ],
        "vips": [
            {
                "vip": "web-vip",
                "owner": "lb2",
                "two_owners_ms": {"ipv4": 0.0, "ipv6": 10.0},
                "two_owners_on_return_ms": {"ipv4": 20.0},
            }
        ],
        "streams_cut": 2,
        "detection_ms": 351.2,
        "switch_ms": 0.9,
        "slo_ms": 500.0,
        "survivable": True,
        "why": "lb2 takes over",
        "ok": True,
    }


def test_a_missed_promise_is_named() -> None:
    assert why(row(612.0)) == "web from alice over ipv4 out for 612 ms (reset, timeout), slo 500 ms; lb2 takes over"
    assert not row(612.0).ok


def test_a_vip_that_did_not_come_back_is_named() -> None:
    stayed = replace(row(), astray="192.0.2.50: owned by lb2")
    assert why(stayed) == "all is back, but not 192.0.2.50: owned by lb2; lb2 takes over"


def test_a_void_row_says_why_it_is_void() -> None:
    (scenario,) = as_json([row(void="the control probe lost 3 of 900 over ipv4")])["scenarios"]
    assert scenario["why"] == "the control probe lost 3 of 900 over ipv4"
    assert scenario["ok"] is False


@pytest.mark.parametrize("width", [72, 80, 100, 140, 200])
def test_a_table_fits_its_terminal(width: int) -> None:
    names = [scenario.name for scenario in catalogue(pair())]
    for language in (ENGLISH, JAPANESE):
        layout = Layout(names, width, language)
        assert columns_of(layout.head()) <= width
        assert columns_of(layout.line(row(612.0))) <= width


def test_a_narrow_terminal_still_shows_outage_slo_and_verdict() -> None:
    line = Layout(["lb1-power-off"], 72).line(row())
    assert {"362", "500", "ok"} <= set(line.split())


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        (row(), "ok"),
        (row(612.0), "MISSED"),
        (row(void="x"), "VOID"),
        (row(scenario=Scenario("front-partition", Partition("front", ("lb1", "lb2")))), "-"),
    ],
)
def test_the_verdict_of_a_row(shown: Row, verdict: str) -> None:
    assert Layout([], 120).verdict(shown) == verdict


DOWN = Scenario("front-down", NetworkDown("front"))


def leased(row: Row, ms: float) -> Row:
    """The same row, with a VIP owned by lease that had two owners for so long."""
    return replace(row, vips=(VipFigures("data", None, {Family.IPV4: ms, Family.IPV6: 0.0}, 0.0, leased=True),))


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    ("shown", "verdict", "said", "exit_status"),
    [
        (leased(row(scenario=DOWN), 0.0), "-", "no way around network front", 0),
        (leased(row(scenario=DOWN), 10.0), "MISSED", "data had two owners for 10 ms; no way around network front", 1),
        (leased(row(void="late"), 0.0), "VOID", "late", 2),
        (leased(row(void="late"), 20.0), "MISSED", "data had two owners for 20 ms; late", 1),
        (leased(row(), 10.0), "MISSED", "data had two owners for 10 ms; lb2 takes over", 1),
        (row(612.0), "MISSED", "web from alice over ipv4 out", 1),
        (row(612.0, scenario=DOWN), "-", "web from alice over ipv4 out", 0),
        (row(), "ok", "lb2 takes over", 0),
    ],
)
def test_two_owners_by_lease_are_missed_whatever_else_a_row_is(
    shown: Row, verdict: str, said: str, exit_status: int
) -> None:
    assert Layout([], 120).verdict(shown) == verdict
    assert why(shown).startswith(said)
    assert status((shown,), ()) == exit_status
    # A void run beside it does not hide it.
    assert status((row(void="late"), shown), ()) == (1 if shown.split else 2)


def test_a_row_that_grew_fails_only_where_it_is_survivable() -> None:
    assert status((row(),), (Growth("lb1-power-off", 1.0, 362.0),)) == 1
    assert status((row(scenario=DOWN),), (Growth("front-down", 1.0, 362.0),)) == 0


def test_a_row_without_promises_has_no_slo() -> None:
    assert slo_ms(Row(row().expectation)) is None


def baseline(outage_ms: float) -> dict[str, Any]:
    return {"scenarios": [{"name": "lb1-power-off", "outage_ms": outage_ms}]}


@pytest.mark.req("Z-03")
@pytest.mark.parametrize(("before", "flagged"), [(362, False), (320, False), (300, False), (289, True), (0, True)])
def test_an_outage_has_grown_when_it_is_longer_by_more_than_noise(before: float, flagged: bool) -> None:
    assert bool(grown([row()], baseline(before))) is flagged


def test_growth_names_both_figures_and_passes_over_new_and_void_rows() -> None:
    assert grown([row()], baseline(100)) == (Growth("lb1-power-off", 100.0, 362.0),)
    assert grown([row(scenario=Scenario("new", RestartNode("lb1"), Promise.NOTHING_LOST))], baseline(1)) == ()
    assert grown([row(void="x")], baseline(100)) == ()


def test_the_list_shows_what_each_scenario_covers() -> None:
    found = listing([row().expectation])["scenarios"]
    assert found == [{"name": "lb1-power-off", "survivable": True, "why": "lb2 takes over", "covers": []}]


@pytest.mark.parametrize("kind", Reason)
def test_every_reason_is_worded_in_both_languages(kind: Reason) -> None:
    said = Why(Survival(kind, ("lb2",)), ("web",))
    assert reason(said, ENGLISH).isascii()
    assert not reason(said, JAPANESE).isascii()


def test_several_take_over_in_the_plural() -> None:
    assert reason(Why(Survival(Reason.TAKEOVER, ("lb2", "lb3")), ("web",)), ENGLISH) == "lb2, lb3 take over"
