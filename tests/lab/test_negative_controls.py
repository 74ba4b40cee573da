"""Every survivable row fails when what protects it is switched off.

Two labs: in one each VIP has one member and a node's kernel does not outlive its processes; in the other checks see
nothing, or there is no other server, and planned work breaks before it makes.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.lab.rehearsals import BreakBeforeMake, WithoutTheGate, WithoutTheKernel, named, rehearsed
from tests.lab.sites import EXAMPLE, changed, example
from yaoki.lab.catalogue import Scenario, catalogue
from yaoki.lab.fault import (
    BlackholeLink,
    CutLink,
    DrainServer,
    FlapLink,
    HangNode,
    KillNode,
    PowerOff,
    RestartNode,
    ServerTrouble,
    StopNode,
    Trouble,
)
from yaoki.lab.probes.targets import targets_of
from yaoki.lab.row import Row, expectation

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(600)]

NODE_FAULTS = (StopNode, KillNode, HangNode, RestartNode, PowerOff, CutLink, BlackholeLink, FlapLink)


def survivable() -> tuple[Scenario, ...]:
    site = example()
    targets = targets_of(site)
    return tuple(s for s in catalogue(site) if expectation(site, s, targets).survivable)


def hits_a_node(scenario: Scenario) -> bool:
    nodes = {node.name for node in example().nodes}
    fault = scenario.fault
    hit = getattr(fault, "node", getattr(fault, "machine", None))
    return isinstance(fault, NODE_FAULTS) and hit in nodes and not scenario.mends


WITHOUT_A_SPARE_NODE = [scenario.name for scenario in survivable() if hits_a_node(scenario)]
WITHOUT_CHECKS_SPARES_AND_CARE = [scenario.name for scenario in survivable() if not hits_a_node(scenario)]


def one_member_each(plain: dict[str, Any]) -> None:
    """web-vip is lb1's alone, a second VIP lb2's; one service on each, which promises the usual."""
    slo = {"outage": "500ms"}
    first = plain["vips"]["web-vip"]
    first.pop("track")
    first.update(addresses=["192.0.2.50"], members={"lb1": {"priority": 150}})
    plain["vips"]["spare-vip"] = {
        **first,
        "addresses": ["192.0.2.51"],
        "vrid": 52,
        "members": {"lb2": {"priority": 150}},
    }
    web = {**plain["services"]["web"], "slo": slo}
    plain["services"] = {"web": web, "spare-web": {**web, "vip": "spare-vip"}}
    plain["hosts"] = {n: host for n, host in plain["hosts"].items() if n in ("router", "web1", "web2", "alice")}


@pytest.fixture(scope="module")
def spareless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    file = changed(tmp_path_factory.mktemp("spareless"), one_member_each, name="yke1", base=EXAMPLE)
    scenarios = []
    for scenario in named(file, *WITHOUT_A_SPARE_NODE):
        # As long as needed to miss the slo.
        if isinstance(scenario.fault, HangNode | FlapLink):
            scenario = replace(scenario, fault=replace(scenario.fault, lasts=timedelta(seconds=1.2)))  # noqa: PLW2901
        scenarios.append(scenario)
    return rehearsed(file, tuple(scenarios), WithoutTheKernel)


@pytest.mark.parametrize("name", WITHOUT_A_SPARE_NODE)
def test_a_row_fails_without_a_spare_node(spareless: dict[str, Row], name: str) -> None:
    row = spareless[name]
    assert row.void is None
    assert not row.ok
    assert row.missed


def unchanged(_: dict[str, Any]) -> None: ...


SPEAKERLESS = ("lb1-kill-speaker", "lb1-kill-all", "lb1-hang-speaker", "lb1-hang-all")


@pytest.fixture(scope="module")
def gateless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    file = changed(tmp_path_factory.mktemp("gateless"), unchanged, name="yke8")
    return rehearsed(file, named(file, *SPEAKERLESS), WithoutTheGate)


@pytest.mark.req("B-19")
@pytest.mark.parametrize("name", SPEAKERLESS)
def test_a_row_fails_for_its_two_owners_without_the_dead_man_gate(gateless: dict[str, Row], name: str) -> None:
    row = gateless[name]
    assert row.void is None
    assert not row.ok
    assert not all(vip.kept for vip in row.vips)


def blind_and_lone(plain: dict[str, Any]) -> None:
    """Checks see no dead program; every server is the only one of a service of its own; IPv4 only, to be light."""
    slo = {"outage": "500ms", "server-outage": "500ms"}
    plain["checks"] = {"blind": {"kind": "icmp", "interval": "300ms", "timeout": "200ms", "fall": 3, "rise": 2}}
    plain["vips"]["web-vip"]["addresses"] = ["192.0.2.50"]
    plain["vips"]["web-vip"].pop("track")
    services = {name: {**plain["services"][name], "check": "blind", "slo": slo} for name in ("web", "api")}
    for port, name in ((81, "web1"), (82, "web2")):
        services[f"only-{name}"] = {**services["web"], "listen": f"tcp/{port}", "servers": {name: {}}}
    for port, name in ((8181, "app1"), (8182, "app2")):
        services[f"only-{name}"] = {**services["api"], "listen": f"tcp/{port}", "servers": {name: {"port": 8081}}}
    plain["services"] = services
    plain["hosts"].pop("bob", None)


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    file = changed(tmp_path_factory.mktemp("careless"), blind_and_lone, name="yke2", base=EXAMPLE)
    scenarios = [
        replace(s, fault=ServerTrouble(s.fault.host, Trouble.KILLED)) if isinstance(s.fault, DrainServer) else s
        for s in named(file, *WITHOUT_CHECKS_SPARES_AND_CARE)
    ]
    return rehearsed(file, tuple(scenarios), BreakBeforeMake)


@pytest.mark.parametrize("name", WITHOUT_CHECKS_SPARES_AND_CARE)
def test_a_row_fails_without_checks_spares_and_care(careless: dict[str, Row], name: str) -> None:
    row = careless[name]
    assert row.void is None
    assert not row.ok
    assert row.missed
