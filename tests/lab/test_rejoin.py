"""Bringing back what was stopped: real servers, and a node, restarted ten times under requests that never pause.

A server goes and comes as an operator lets it: its flows end (drain), it is taken out (maint), its program is stopped,
`ready` is said while the program is not there yet, and only then it starts.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.flow_pair import PATIENCE_S, Pair, pair
from tests.lab.sites import changed
from yaoki.lab import namespaces
from yaoki.lab.fault import ServerTrouble, StopNode, Trouble
from yaoki.lab.software_yaoki import Yaoki
from yaoki.node.decisions import SetServerAdmin
from yaoki.pool.member import AdminState, Duty

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(240)]

SITE = Path(__file__).with_name("rejoin.yaml")
CLIENT = Path(__file__).with_name("steady_requests.py")
PLACES = ("192.0.2.50", "80", "2001:db8:1::50", "80", "192.0.2.50", "8080", "2001:db8:1::50", "8080")
NODES = ("lb1", "lb2")
TWINS = (("web1", "app1"), ("web2", "app2"))
RESTARTS = 10
BOOT_S = 0.3
"""Longer than two checks of the site."""


class Operator(Yaoki):
    """A person at the keyboards of both nodes."""

    def say(self, servers: Sequence[str], admin: AdminState) -> None:
        for server in servers:
            command = self._codec.plain(SetServerAdmin(server, admin))
            for node in NODES:
                self._ask(node, {"do": "operate", "command": command})

    def sees(self, servers: Sequence[str], duty: Duty) -> bool:
        """Whether both kernels have the servers so, and those that serve with their whole weight."""
        for node in NODES:
            status = self._ask(node, {"do": "status", "counted": False})
            found = [s for service in status["services"] for s in service["servers"] if s["name"] in servers]
            weights = [s["weight"] == (s["configured_weight"] if duty is Duty.SERVE else 0) for s in found]
            if not status["balancer"]["in_force"] or {s["duty"] for s in found} != {duty.value} or not all(weights):
                return False
        return True


class Crowd:
    """Many requests that never pause, see CLIENT."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def told(self) -> dict[str, Any]:
        """What became of the requests since the last time; those under way are waited for."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def hears(self, servers: set[str]) -> bool:
        """Whether just these servers answered lately; no request may fail meanwhile."""
        told = self.told()
        assert told["failed"] == {}, told
        return set(told["servers"]) == servers


@contextmanager
def crowd(both: Pair) -> Iterator[Crowd]:
    command = namespaces.inside(both.lab.namespace("alice"), [sys.executable, str(CLIENT), *PLACES])
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        asking = Crowd(process)
        asking.told()
        yield asking
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def a_moment() -> None:
    time.sleep(BOOT_S)


def restarted(
    both: Pair, asking: Crowd, servers: Sequence[str], booting: Callable[[], None] = a_moment
) -> list[dict[str, Any]]:
    """What became of the requests while servers went, and while they came back. `booting` lasts from `ready` to the
    start of the program."""
    operator = Operator(both.lab)

    def becomes(admin: AdminState, duty: Duty) -> None:
        operator.say(servers, admin)
        both.until(f"{servers} {duty.value}", lambda: operator.sees(servers, duty))

    becomes(AdminState.DRAIN, Duty.DRAIN)
    going = asking.told()
    becomes(AdminState.MAINT, Duty.OUT)
    for server in servers:
        both.injector.inject(ServerTrouble(server, Trouble.KILLED))
    operator.say(servers, AdminState.READY)
    booting()
    for server in servers:
        both.injector.mend(ServerTrouble(server, Trouble.KILLED))
    both.until(f"{servers} serve again", lambda: operator.sees(servers, Duty.SERVE))
    return [going, asking.told()]


@pytest.mark.req("B-22")
def test_servers_that_are_restarted_ten_times_fail_no_request() -> None:
    with pair(SITE) as both, crowd(both) as asking:
        for turn in range(RESTARTS):
            for told in restarted(both, asking, TWINS[turn % 2]):
                assert told["failed"] == {}, (turn, told)
            both.until("all of them answer", lambda: asking.hears({"web1", "web2", "app1", "app2"}))


@pytest.mark.req("B-22")
def test_a_server_that_is_put_in_before_its_program_answers_fails_requests(tmp_path: Path) -> None:
    """The same where the check asks the machine and not its program."""

    def blind(plain: dict[str, Any]) -> None:
        plain["checks"]["page"] = {"kind": "icmp", "interval": "100ms", "timeout": "1s", "fall": 2, "rise": 2}

    with pair(changed(tmp_path, blind, name="ykback2", base=SITE)) as both, crowd(both) as asking:

        def booting() -> None:
            both.until("they serve", lambda: Operator(both.lab).sees(TWINS[0], Duty.SERVE))
            both.until("requests fail", lambda: bool(asking.told()["failed"]))

        going, _ = restarted(both, asking, TWINS[0], booting)
        assert going["failed"] == {}


@pytest.mark.req("B-22")
@pytest.mark.long
def test_a_node_that_is_restarted_ten_times_fails_no_request() -> None:
    """In turn, so that what opens while the VIP moves must be told to the next owner."""
    with pair(SITE) as both, crowd(both) as asking:
        for turn in range(RESTARTS):
            both.injector.inject(StopNode("lb1"))
            both.owned_by("lb2")
            both.injector.mend(StopNode("lb1"))
            both.settled("lb1")
            both.owned_by("lb1")
            told = asking.told()
            assert told["asked"] > 0
            assert told["failed"] == {}, (turn, told)
