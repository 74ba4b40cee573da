"""Each row that a spare node makes survivable fails where each VIP has one member, and a node's kernel does not outlive
its processes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.lab.rehearsals import WithoutTheKernel, named, rehearsed
from tests.lab.sites import EXAMPLE, changed
from tests.lab.survivable import BY_A_SPARE_NODE
from yaoki.lab.fault import FlapLink, HangNode
from yaoki.lab.row import Row

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(600)]


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
    for scenario in named(file, *BY_A_SPARE_NODE):
        # As long as needed to miss the slo.
        if isinstance(scenario.fault, HangNode | FlapLink):
            scenario = replace(scenario, fault=replace(scenario.fault, lasts=timedelta(seconds=1.2)))  # noqa: PLW2901
        scenarios.append(scenario)
    return rehearsed(file, tuple(scenarios), WithoutTheKernel)


@pytest.mark.parametrize("name", BY_A_SPARE_NODE)
def test_a_row_fails_without_a_spare_node(spareless: dict[str, Row], name: str) -> None:
    row = spareless[name]
    assert row.void is None
    assert not row.ok
    assert row.missed
