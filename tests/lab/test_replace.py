"""`yaoki node replace` with real daemons: a cold standby takes a dead node's place, and the dead node comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from yaoki.lab.lab import Lab
from yaoki.lab.namespaces import inside, run, send_signal
from yaoki.lab.software import Part
from yaoki.lab.software_yaoki import Yaoki
from yaoki.node.messages import RouterState
from yaoki.site.load import load_site
from yaoki.vrrp.events import Reason

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240), pytest.mark.req("B-02")]

PATIENCE_S = 40.0
SITE = """version: 1
site: ykrtest
networks:
  front: {prefixes: [192.0.2.0/24, "2001:db8:1::/64"]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11, "2001:db8:1::11"]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12, "2001:db8:1::12"]}}}
  lb3:
    interfaces: {eth0: {network: front, addresses: [192.0.2.13, "2001:db8:1::13"], wake-on-lan: "02:00:5e:10:00:03"}}
    standby-for: [lb1, lb2]  # on the shelf
vips:
  vip:
    network: front
    addresses: [192.0.2.50, "2001:db8:1::50"]
    vrid: 51
    advertise: 100ms
    members: {lb1: {priority: 150}, lb2: {priority: 100}}
"""


class Place:
    """Three nodes; lb3 has a site file of its own, as every machine has."""

    def __init__(self, directory: Path) -> None:
        file = directory / "site.yaml"
        file.write_text(SITE)
        # Not below `directory`, whose path is too long for a socket's.
        self.lab = Lab(load_site(file).site, file)
        self.yaoki = Yaoki(self.lab)
        self.new_file = directory / "lb3" / "site.yaml"
        self.new_file.parent.mkdir()
        self.new_file.write_text(SITE)

    def replace(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "yaoki.cli", "node", "replace", "lb1", "lb3", "--site", str(self.new_file)]
        command += ["--run-dir", str(self.yaoki.run_directory("lb3")), *options]
        whole = inside(self.lab.namespace("lb3"), command)
        return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False, env=os.environ)

    def wake(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Call lb3 from lb2."""
        command = [sys.executable, "-m", "yaoki.cli", "node", "wake", "lb3", "--node", "lb2"]
        command += ["--site", str(self.new_file), *options]
        whole = inside(self.lab.namespace("lb2"), command)
        return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False, env=os.environ)

    def start_standby(self) -> None:
        directory = self.lab.machine_directory("lb3")
        command = [sys.executable, "-m", "yaoki.cli", "node", "--site", str(self.new_file), "--node", "lb3"]
        command += ["--run-dir", str(self.yaoki.run_directory("lb3")), "--state-dir", str(directory / "state")]
        self.lab.start_process("lb3", command, log="node.log")

    def power_off(self, node: str) -> None:
        run(["ip", "-n", self.lab.namespace(node), "link", "set", "eth0", "down"])
        send_signal(self.yaoki.processes(node, Part.ALL), signal.SIGKILL)
        until(lambda: not self.yaoki.processes(node, Part.ALL), f"{node} is off")
        self.lab.reap()
        run(["ip", "-n", self.lab.namespace(node), "address", "flush", "dev", "eth0"])

    def power_on(self, node: str, number: int) -> None:
        namespace = self.lab.namespace(node)
        run(["ip", "-n", namespace, "link", "set", "eth0", "up"])
        run(["ip", "-n", namespace, "address", "add", f"192.0.2.{number}/24", "dev", "eth0"])
        run(["ip", "-n", namespace, "address", "add", f"2001:db8:1::{number}/64", "dev", "eth0", "nodad"])
        self.yaoki.start(node)

    def holds(self, node: str) -> set[str]:
        """The VIP's addresses that a machine has."""
        found = json.loads(run(["ip", "-n", self.lab.namespace(node), "-j", "address", "show", "dev", "eth0"]))
        addresses = {each["local"] for link in found for each in link["addr_info"]}
        return addresses & {"192.0.2.50", "2001:db8:1::50"}

    def routers(self, node: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "yaoki.cli", "-j", "status"]
        command += ["--run-dir", str(self.yaoki.run_directory(node))]
        said = run(command, check=False)
        found: list[dict[str, Any]] = json.loads(said)["routers"] if said.startswith("{") else []
        return found

    def knows_why(self, node: str) -> bool:
        return {router["reason"] for router in self.routers(node)} == {Reason.REPLACED.value}

    def are(self, node: str, state: RouterState) -> bool:
        routers = self.routers(node)
        return bool(routers) and {router["state"] for router in routers} == {state.value}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    found.lab.up()
    yield found
    found.lab.down()


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"not in {PATIENCE_S:g} s: {what}"
        time.sleep(0.05)


def never_for(seconds: float, holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not holds(), what
        time.sleep(0.02)


BOTH = {"192.0.2.50", "2001:db8:1::50"}


def test_a_cold_standby_takes_a_dead_nodes_place_for_good(place: Place) -> None:
    for node in ("lb1", "lb2"):
        place.yaoki.start(node)
    until(lambda: place.holds("lb1") == BOTH, "lb1 owns")
    until(lambda: place.are("lb2", RouterState.BACKUP), "lb2 stands by")

    refused = place.replace()
    assert refused.returncode == 1
    assert "refused: lb1 answers at 192.0.2.11 (eth0)" in refused.stderr
    assert place.new_file.read_text() == SITE

    place.power_off("lb1")
    until(lambda: place.holds("lb2") == BOTH, "lb2 owns")
    dry = place.replace("--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "nothing was changed\n")
    assert "lb1 at 192.0.2.11 (eth0) does not answer: no ARP reply within 500 ms (3 times)" in dry.stdout
    assert place.new_file.read_text() == SITE
    assert not place.holds("lb3")

    done = place.replace()
    assert done.returncode == 0, done.stderr
    text = place.new_file.read_text()
    assert text == SITE.replace("    standby-for:", "    replaces: lb1\n    standby-for:")
    assert (place.new_file.parent / ".site.yaml.before").read_text() == SITE
    assert "copy it to lb2 and run `yaoki apply` there" in done.stderr
    place.start_standby()
    until(lambda: place.holds("lb3") == BOTH, "lb3 owns, with the priority of lb1")
    place.yaoki.apply("lb2", place.new_file)
    until(lambda: not place.holds("lb2"), "lb2 gives way")

    place.power_on("lb1", 11)
    until(lambda: bool(place.holds("lb1")) or place.knows_why("lb1"), "lb1 knows that it was replaced")
    never_for(1.0, lambda: place.holds("lb1"), "lb1 was replaced, and owns")
    assert place.knows_why("lb1")
    assert place.holds("lb3") == BOTH

    for node in ("lb3", "lb2"):
        place.power_off(node)
    never_for(2.0, lambda: place.holds("lb1"), "lb1 was replaced, and takes over from dead nodes")


CALLED = """
table netdev called {
  counter called { }
  chain in {
    type filter hook ingress device "eth0" priority 0; policy accept;
    ether type 0x0842 ether daddr ff:ff:ff:ff:ff:ff @ll,112,64 0xffffffffffff0200 counter name called
  }
}
"""


def test_a_standby_is_woken_by_its_mac_and_waited_for(place: Place) -> None:
    subprocess.run(inside(place.lab.namespace("lb3"), ["nft", "-f", "-"]), input=CALLED, text=True, check=True)
    place.power_off("lb3")
    run(["ip", "-n", place.lab.namespace("lb3"), "link", "set", "eth0", "up"])
    silent = place.wake("--wait", "0")
    assert silent.returncode == 1
    assert "lb3 does not answer after" in silent.stderr
    counters = run(inside(place.lab.namespace("lb3"), ["nft", "list", "counters"]))
    assert "packets 1 " in counters
    run(["ip", "-n", place.lab.namespace("lb3"), "address", "add", "192.0.2.13/24", "dev", "eth0"])
    woken = place.wake()
    assert woken.returncode == 0, woken.stderr
    assert re.fullmatch(r"lb3 answers at 192\.0\.2\.13 \(eth0\), \d+\.\d s after it was called\n", woken.stdout)


def test_a_standby_that_runs_is_given_the_place_at_once(place: Place) -> None:
    place.yaoki.start("lb2")
    place.start_standby()
    place.power_off("lb1")
    until(lambda: place.are("lb2", RouterState.ACTIVE), "lb2 owns")
    until(lambda: place.yaoki.missing("lb3") is None, "lb3 runs, with no role")
    assert place.routers("lb3") == []
    done = place.replace()
    assert done.returncode == 0, done.stderr
    assert "lb3 has the place of lb1" in done.stderr
    assert re.search(r"vip \(IPv4\) is served here \d+\.\d s after the file was taken", done.stderr)
    until(lambda: place.holds("lb3") == BOTH, "lb3 owns")
    again = place.replace()
    assert again.returncode == 0, again.stderr
    assert "the site file says already that lb3 has the place of lb1" in again.stdout
