"""Whether a row is survivable, and whether it kept its promises."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import pair, site_with
from yaoki.core.address import Family
from yaoki.lab.catalogue import Promise, Scenario
from yaoki.lab.fault import (
    BlackholeLink,
    DrainServer,
    Fault,
    HangNode,
    KillNode,
    NetworkDown,
    Partition,
    PowerOff,
    RestartNode,
    ServerTrouble,
    StopNode,
    Trouble,
)
from yaoki.lab.measure import Outage
from yaoki.lab.probes.targets import Target, targets_of
from yaoki.lab.row import Row, TargetFigures, VipFigures, allowed_ms, expectation, overlap_allowed_ms, return_allowed_ms
from yaoki.lab.software import Part
from yaoki.lab.survival import Reason
from yaoki.site.model import Election, Site

POWER_OFF = Scenario("lb1-power-off", PowerOff("lb1"))
KILLED = Scenario("web1-killed", ServerTrouble("web1", Trouble.KILLED), Promise.SERVER_OUTAGE)
DRAINED = Scenario("web1-drained", DrainServer("web1"), Promise.NOTHING_LOST)
PARTITION = Partition("front", ("lb1", "lb2"))


def target(site: Site, service: str) -> Target:
    return next(t for t in targets_of(site) if t.service == service)


@pytest.mark.parametrize(
    ("scenario", "service", "allowed"),
    [
        (POWER_OFF, "web", 500.0),
        (POWER_OFF, "api", 1000.0),
        (POWER_OFF, "echo", None),
        (KILLED, "web", 1500.0),
        (KILLED, "api", None),
        (DRAINED, "web", 0.0),
        (DRAINED, "echo", 0.0),
    ],
)
def test_a_promise_is_that_of_the_service_for_this_kind_of_failure(
    scenario: Scenario, service: str, allowed: float | None
) -> None:
    assert allowed_ms(pair(), scenario, target(pair(), service)) == allowed


def row(scenario: Scenario, *figures: TargetFigures, vips: tuple[VipFigures, ...] = (), void: str | None = None) -> Row:
    return Row(expectation(pair(), scenario, targets_of(pair())), figures, vips, void=void)


def measured(service: str, outage_ms: float, allowed: float | None, *, lost: int | None = None) -> TargetFigures:
    count = int(outage_ms) if lost is None else lost
    return TargetFigures(target(pair(), service), Outage(outage_ms, outage_ms, count), allowed)


@pytest.mark.parametrize(
    ("figures", "ok"),
    [
        ((), True),
        ((measured("web", 499, 500), measured("echo", 9999, None)), True),
        ((measured("web", 501, 500), measured("api", 10, 1000)), False),
        ((measured("web", 10, 500), measured("api", 1001, 1000)), False),
        ((measured("web", 0, 0),), True),
        ((measured("web", 0, 0, lost=1),), False),
    ],
)
def test_a_row_is_ok_if_every_probe_kept_its_own_promise(figures: tuple[TargetFigures, ...], ok: bool) -> None:
    assert row(POWER_OFF, *figures).ok is ok


def test_a_row_after_which_a_vip_is_not_where_it_belongs_is_not_ok() -> None:
    back = Scenario("lb1-failback", PowerOff("lb1"), mends=True)
    assert row(back).ok
    assert not replace(row(back), astray="192.0.2.50: owned by lb2").ok


def test_a_void_row_is_not_ok() -> None:
    assert not row(POWER_OFF, void="the control probe lost 3").ok


def test_the_worst_probe_has_the_longest_outage_and_the_decisive_one_the_nearest_promise() -> None:
    figures = (measured("echo", 700, None), measured("api", 400, 1000), measured("web", 300, 500))
    found = row(POWER_OFF, *figures)
    assert found.worst is figures[0]
    assert found.decisive is figures[2]
    planned = row(POWER_OFF, measured("api", 900, 1000), measured("web", 0, 0, lost=1))
    assert planned.decisive is planned.probes[1]


def owned(ms: float, allowed: float | None) -> VipFigures:
    return VipFigures("web-vip", "lb2", {Family.IPV4: 0.0, Family.IPV6: ms}, allowed)


@pytest.mark.parametrize(("ms", "allowed", "ok"), [(0, 50, True), (50, 50, True), (60, 50, False), (6000, None, True)])
def test_two_owners_spoil_a_row_where_they_are_held_against_it(ms: float, allowed: float | None, ok: bool) -> None:
    assert row(POWER_OFF, vips=(owned(ms, allowed),)).ok is ok


@pytest.mark.req("B-21")
@pytest.mark.parametrize("scenario", [POWER_OFF, Scenario("front-down", NetworkDown("front"))])
@pytest.mark.parametrize("void", [None, "the observer was 140 ms late itself"])
@pytest.mark.parametrize("back", [False, True])
def test_two_owners_by_lease_fail_a_row_that_is_not_survivable_and_one_that_is_void(
    scenario: Scenario, void: str | None, back: bool
) -> None:
    none, two = {Family.IPV4: 0.0, Family.IPV6: 0.0}, {Family.IPV4: 0.0, Family.IPV6: 10.0}
    seen, returned = (none, two) if back else (two, none)
    leased = VipFigures("web-vip", "lb2", seen, 0.0, returned, 0.0, leased=True)
    found = row(scenario, vips=(leased,), void=void)
    assert found.failed
    assert found.split == (leased,)
    assert leased.longest_ms == 10.0
    assert not row(scenario, vips=(replace(leased, two_owners_ms=none, return_ms=none),), void=void).failed


@pytest.mark.parametrize(
    ("scenario", "void", "failed"),
    [(POWER_OFF, None, True), (POWER_OFF, "late", False), (Scenario("front-down", NetworkDown("front")), None, False)],
)
def test_two_owners_by_vrrp_fail_a_row_that_counts_and_is_survivable(
    scenario: Scenario, void: str | None, failed: bool
) -> None:
    found = row(scenario, vips=(owned(60, 50),), void=void)
    assert found.failed is failed
    assert found.split == ()


@pytest.mark.parametrize(
    ("fault", "allowed"),
    [
        (KillNode("lb1", Part.ALL), 50.0),
        (StopNode("lb1"), 50.0),
        (PowerOff("lb1"), 50.0),
        (PARTITION, None),
        (BlackholeLink("lb1", "eth0"), None),
        (NetworkDown("front"), None),
    ],
)
def test_how_long_two_owners_are_allowed_when_it_is_mended(fault: Fault, allowed: float | None) -> None:
    vip = pair().vip("web-vip")
    assert return_allowed_ms(Scenario("any", fault), vip) == allowed
    assert return_allowed_ms(Scenario("any", fault), replace(vip, election=Election.LEASE)) == 0.0


@pytest.mark.parametrize(
    ("fault", "mends", "allowed"),
    [
        (StopNode("lb1"), False, 50.0),
        (PowerOff("lb1"), True, 50.0),
        *((KillNode("lb1", part), False, 0.0) for part in Part),
        *((HangNode("lb1", part), False, 0.0) for part in Part),
        (RestartNode("lb1"), False, 50.0),
        (PARTITION, False, None),
        (PARTITION, True, 150.0),
    ],
)
def test_how_long_two_owners_are_allowed(fault: Fault, mends: bool, allowed: float | None) -> None:
    vip = pair().vip("web-vip")
    assert overlap_allowed_ms(Scenario("any", fault, mends=mends), vip) == allowed


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    ("fault", "mends"),
    [(StopNode("lb1"), False), (HangNode("lb1", Part.SPEAKER), False), (PARTITION, False), (PARTITION, True)],
)
def test_by_lease_two_owners_are_never_allowed(fault: Fault, mends: bool) -> None:
    leased = replace(pair().vip("web-vip"), election=Election.LEASE)
    assert overlap_allowed_ms(Scenario("any", fault, mends=mends), leased) == 0.0


@pytest.mark.parametrize(
    ("scenario", "survivable"),
    [(POWER_OFF, True), (KILLED, True), (Scenario("partition", PARTITION), False)],
)
def test_a_row_is_survivable_if_the_promising_services_that_it_touches_are(
    scenario: Scenario, survivable: bool
) -> None:
    assert expectation(pair(), scenario, targets_of(pair())).survivable is survivable


def test_without_a_promise_every_service_that_is_touched_must_survive(tmp_path: Path) -> None:
    def unpromised(plain: dict[str, Any]) -> None:
        plain["services"]["web"].pop("slo")

    site = site_with(tmp_path, unpromised)
    found = expectation(site, KILLED, targets_of(site))
    assert not found.survivable
    assert {why.survival.reason for why in found.why} == {Reason.OTHER_SERVERS, Reason.NO_CHECK_NOTICES}


def test_reasons_name_the_services_that_they_are_about() -> None:
    found = expectation(pair(), KILLED, targets_of(pair()))
    assert {why.about for why in found.why} == {("web",), ("echo",)}
