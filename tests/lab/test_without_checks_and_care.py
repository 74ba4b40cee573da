"""Each row that checks, spare servers or care make survivable fails where checks see nothing or there is no other
server, and planned work breaks before it makes."""

from dataclasses import replace
from typing import Any

import pytest

from tests.lab.rehearsals import BreakBeforeMake, named, rehearsed
from tests.lab.sites import EXAMPLE, changed
from tests.lab.survivable import BY_CHECKS_SPARES_AND_CARE
from yaoki.lab.fault import DrainServer, ServerTrouble, Trouble
from yaoki.lab.row import Row

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(600)]


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
        for s in named(file, *BY_CHECKS_SPARES_AND_CARE)
    ]
    return rehearsed(file, tuple(scenarios), BreakBeforeMake)


@pytest.mark.parametrize("name", BY_CHECKS_SPARES_AND_CARE)
def test_a_row_fails_without_checks_spares_and_care(careless: dict[str, Row], name: str) -> None:
    row = careless[name]
    assert row.void is None
    assert not row.ok
    assert row.missed
