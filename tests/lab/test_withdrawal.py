"""A VIP that is withdrawn while its services are disabled, and flows that go on, with the real daemon."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.flow_pair import Pair, connections, pair
from tests.lab.sites import changed
from tests.lab.test_rejoin import NODES, SITE
from yaoki.lab.namespaces import inside, run
from yaoki.lab.software_yaoki import Yaoki
from yaoki.node.decisions import SetServiceEnabled

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(120)]

IPV4, IPV6 = "192.0.2.50", "2001:db8:1::50"


class Operator(Yaoki):
    """A person at the keyboards of both nodes."""

    def switch(self, service: str, *, enabled: bool) -> None:
        for node in NODES:
            command = self._codec.plain(SetServiceEnabled(service, enabled))
            self._ask(node, {"do": "operate", "command": command})


def answers(both: Pair, command: str) -> str:
    """What the router gets to a question."""
    return run(inside(both.lab.namespace("router"), command.split()), check=False)


def arp_and_ping(both: Pair) -> tuple[bool, bool, bool]:
    return (
        "Received 1 resp" in answers(both, f"arping -c 1 -w 1 -I eth0 {IPV4}"),
        " 0% packet loss" in answers(both, f"ping -c 1 -W 1 {IPV4}"),
        " 0% packet loss" in answers(both, f"ping -c 1 -W 1 {IPV6}"),
    )


def serves(both: Pair) -> bool:
    command = f"curl -s --max-time 1 --noproxy * http://{IPV4}/"
    return run(inside(both.lab.namespace("alice"), command.split()), check=False) in ("web1\n", "web2\n")


@pytest.mark.req("D-27")
def test_deactivated_it_is_silent_and_activated_it_works(tmp_path: Path) -> None:
    def withdrawing(plain: dict[str, Any]) -> None:
        plain["vips"]["web-vip"]["when-disabled"] = "withdraw"

    with pair(changed(tmp_path, withdrawing, name="ykgone", base=SITE)) as both:
        operator = Operator(both.lab)
        both.until("it serves", lambda: serves(both))
        operator.switch("web", enabled=False)
        assert arp_and_ping(both) == (True, True, True), "another service is on it"
        operator.switch("api", enabled=False)
        both.until("nobody has it", lambda: not both.owner())
        assert arp_and_ping(both) == (False, False, False)
        operator.switch("web", enabled=True)
        both.owned_by("lb1")
        both.until("it serves again", lambda: serves(both))
        assert arp_and_ping(both) == (True, True, True)


def translated(plain: dict[str, Any]) -> None:
    plain["services"]["api"]["when-disabled"] = "drain"


def direct(plain: dict[str, Any]) -> None:
    """One service on each plane."""
    plain["services"]["hashed"]["plane"] = "nftables"
    for name in ("api", "hashed"):
        plain["services"][name]["when-disabled"] = "drain"


def is_refused(both: Pair, port: str) -> bool:
    connect = f"import socket\ntry: socket.create_connection(('{IPV4}', {port}), 2)\n"
    asking = connect + "except ConnectionRefusedError: print('no')"
    return run(inside(both.lab.namespace("alice"), [sys.executable, "-c", asking]), check=False) == "no\n"


@pytest.mark.req("D-27")
@pytest.mark.parametrize(
    ("base", "change", "services"),
    [("flows.yaml", translated, {"api": "8080"}), ("direct_flows.yaml", direct, {"api": "8080", "hashed": "8090"})],
)
def test_flows_go_on_to_their_end_and_new_ones_are_refused(
    tmp_path: Path, base: str, change: Callable[[dict[str, Any]], None], services: dict[str, str]
) -> None:
    file = changed(tmp_path, change, name="ykdrain", base=SITE.with_name(base))
    places = tuple(word for port in services.values() for vip in (IPV4, IPV6) for word in (vip, port))
    with pair(file) as both:
        operator = Operator(both.lab)
        with connections(both, 40, places) as result:
            for service in services:
                operator.switch(service, enabled=False)
            both.until("new ones are refused", lambda: all(is_refused(both, port) for port in services.values()))
            time.sleep(1)
            found = result()
        assert found["cut"] == 0, found
        for service in services:
            operator.switch(service, enabled=True)
        both.until("they serve again", lambda: not any(is_refused(both, port) for port in services.values()))
