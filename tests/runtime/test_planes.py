"""The real daemon with a service on the plane in BPF: what goes on when processes die, and what does not."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.network import DaemonOn, Network, eventually, network

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

VIP = "192.0.2.50"
ENOUGH = 50
"""Datagrams."""
SO_RCVBUFFORCE, ROOM = 33, 8 << 20
"""Octets that may wait for a process that does not come to run: more than all that a test sends."""
SITE = """
version: 1
site: direct
networks:
  front: {prefixes: [192.0.2.0/24]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
hosts:
  web1: {plays: [echo], interfaces: {eth0: {network: front, addresses: [192.0.2.21]}}}
  web2: {plays: [echo], interfaces: {eth0: {network: front, addresses: [192.0.2.22]}}}
  client: {plays: [client], interfaces: {eth0: {network: front, addresses: [192.0.2.9]}}}
checks:
  ping: {kind: icmp, interval: 300ms, timeout: 250ms, fall: 3, rise: 2}
vips:
  vip: {network: front, addresses: [192.0.2.50], vrid: 51, advertise: 100ms,
        members: {lb1: {priority: 150}, lb2: {priority: 100}}}
services:
  echo: {vip: vip, listen: udp/7, forward: direct, scheduler: sh, check: ping, servers: {web1: {}, web2: {}}}
"""
ECHO = f"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("{VIP}", 7))
s.setsockopt(socket.SOL_SOCKET, {SO_RCVBUFFORCE}, {ROOM})
while True:
    data, peer = s.recvfrom(2048); s.sendto(data, peer)
"""
STREAM = f"""
import signal, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("{VIP}", 7)); s.setblocking(False)
s.setsockopt(socket.SOL_SOCKET, {SO_RCVBUFFORCE}, {ROOM})
sent, back, end, patience = 0, set(), time.monotonic() + float(sys.argv[1]), float(sys.argv[2])
def enough(*_):
    global end
    end = min(end, time.monotonic())
signal.signal(signal.SIGTERM, enough)
print("begun", flush=True)
while (now := time.monotonic()) < end + (patience if len(back) < sent else 0) or sent <= {ENOUGH}:
    if now < end or sent <= {ENOUGH}:
        s.send(str(sent).encode()); sent += 1
    time.sleep(0.002)
    try:
        while True: back.add(s.recv(2048))
    except OSError: pass
print(sent, len(back))
"""
PROGRAMS = """
import socket
from yaoki.linux.bpf import hooks
from yaoki.linux.bpf.hooks import Interface
found = hooks.attached(Interface("eth0", socket.if_nametoindex("eth0")))
print(*(hooks.number_of(program) for program in found))
"""
MAKE_OLD = """
from yaoki.linux.bpf import installation
from yaoki.linux.bpf.layout import LAYOUT
from yaoki.linux.bpf.records import Origin
found = installation.find()
found.records.put_origin(Origin(LAYOUT, "balancer-of-last-year.bpf.o"))
"""


class Scene:
    """Two nodes that are not started, two servers that hold the VIP, a client beside them."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net, self._log = net, directory / "stream"
        self.site = site = directory / "site.yaml"
        site.write_text(SITE)
        for name, number in (("lb1", 11), ("lb2", 12), ("client", 9), ("web1", 21), ("web2", 22)):
            net.add(name, f"192.0.2.{number}/24")
        for name in ("web1", "web2"):
            net.run(name, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
            net.run(name, "ip", "address", "add", f"{VIP}/32", "dev", "lo")
            net.start(name, sys.executable, "-c", ECHO)
        self.lb1, self.lb2 = DaemonOn(net, "lb1", site, directory), DaemonOn(net, "lb2", site, directory)

    def exchange(self, seconds: float = 0.5, *, patience: float = 0.5) -> tuple[int, int]:
        """Datagrams to the VIP that were sent, and answered; answers that are lacking are waited for."""
        return _counts(self.net.run("client", sys.executable, "-c", STREAM, str(seconds), str(patience)).stdout)

    def stream(self) -> "subprocess.Popen[bytes]":
        """The same beside the test, from now on until `self.counts` ends it."""
        self._log.unlink(missing_ok=True)
        process = self.net.start("client", sys.executable, "-c", STREAM, "60", "10", log=self._log)
        eventually(lambda: "begun" in self._log.read_text(), what="the stream has begun")
        return process

    def counts(self, stream: "subprocess.Popen[bytes]") -> tuple[int, int]:
        stream.terminate()
        assert stream.wait(60) == 0
        return _counts(self._log.read_text())

    def settled(self, node: DaemonOn) -> bool:
        """Whether its service is on BPF with both servers, and what it asked for is in force."""
        status = json.loads(node.ask("-j", "status", check=False).stdout)
        services = status["services"]
        healthy = all(server["health"] == "up" and server["mac"] for s in services for server in s["servers"])
        return (
            healthy
            and status["balancer"]["in_force"]
            and [s["plane"] and s["plane"]["plane"] for s in services] == ["bpf"]
        )

    def owned_by(self, node: str) -> bool:
        return VIP in self.net.run(node, "ip", "-4", "address", "show", "dev", "eth0").stdout

    def armed(self, node: str) -> bool:
        return VIP in self.net.run(node, "nft", "list", "set", "netdev", "yaoki-gate", "armed4", check=False).stdout

    def programs(self, node: str = "lb1") -> str:
        return self.net.run(node, sys.executable, "-c", PROGRAMS).stdout.strip()

    def kill_all(self, node: str) -> None:
        for pid in self.net.pids(node):
            with suppress(ProcessLookupError):
                self.net.kill(pid, signal.SIGKILL)
        eventually(lambda: not self.net.pids(node))

    def insist_on(self, node: str) -> None:
        """From now on the client's packets to the VIP go to this node, whoever answers for it."""
        shown = json.loads(self.net.run(node, "ip", "-j", "link", "show", "eth0").stdout)
        self.net.run("client", "ip", "neigh", "replace", VIP, "lladdr", shown[0]["address"], "dev", "eth0")


def _counts(text: str) -> tuple[int, int]:
    sent, back = map(int, text.splitlines()[-1].split())
    assert sent > ENOUGH
    return sent, back


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with network() as net:
        yield Scene(net, tmp_path)


@pytest.mark.req("B-14", "B-19")
def test_a_lone_node_that_is_killed_forwards_on_and_is_taken_up_and_leaves_nothing(scene: Scene) -> None:
    eventually(lambda: "local fe80" in scene.net.picture("lb1"), what="its link-local address is there")
    before = scene.net.picture("lb1")
    scene.site.write_text(SITE.replace("scheduler: sh", "scheduler: lc, plane: xdp"))
    scene.lb1.start()
    eventually(lambda: scene.settled(scene.lb1), what=scene.lb1.text)
    eventually(lambda: scene.owned_by("lb1"), what=scene.lb1.text)
    why = "tcx is the faster hook of a veth"
    assert f"on bpf: XDP cannot be had ({why}" in scene.lb1.ask("show", "service").stdout
    assert f"echo on udp/{VIP}:7 is not at XDP, as the file wants: {why}" in scene.lb1.ask("status", check=False).stdout
    assert f"on bpf, not as the file wants: echo udp/{VIP}:7 (1 services), for XDP cannot be had: {why}" in (
        scene.lb1.text()
    )
    programs = scene.programs()
    assert programs
    stream = scene.stream()
    scene.kill_all("lb1")
    time.sleep(1.5)
    sent, back = scene.counts(stream)
    assert sent == back, "nothing was lost, although nobody of ours lived"
    stream = scene.stream()
    scene.lb1.start()
    eventually(lambda: scene.settled(scene.lb1), what=scene.lb1.text)
    assert scene.programs() == programs, "it was taken up as it was"
    sent, back = scene.counts(stream)
    assert sent == back
    why = scene.lb1.ask("why", "192.0.2.9", f"{VIP}:7/udp").stdout
    assert "a new flow goes to the server with the fewest open ones: web1 1, web2 1" in why
    assert "Traceback" not in scene.lb1.text()
    scene.lb1.ask("stop", "--cleanup")
    assert scene.programs() == ""
    assert scene.net.picture("lb1") == before


@pytest.mark.req("B-19")
def test_a_node_with_a_peer_that_is_killed_or_hangs_forwards_nothing_after_its_deadline(scene: Scene) -> None:
    for node in (scene.lb1, scene.lb2):
        node.start()
    for node in (scene.lb1, scene.lb2):
        eventually(lambda node=node: scene.settled(node), what=node.text)  # type: ignore[misc]
    eventually(lambda: scene.owned_by("lb1") and scene.armed("lb1"), what=scene.lb1.text)
    scene.insist_on("lb1")
    sent, back = scene.exchange(patience=10)
    assert sent == back, "an armed node whose speaker lives serves"
    assert "the dead-man gate holds for the balancer's BPF programs, too, from now on: 1" in scene.lb1.text()
    hung = scene.lb1.part("yaoki.runtime.speaker")
    scene.net.kill(hung, signal.SIGSTOP)
    eventually(lambda: scene.owned_by("lb2"), what=scene.lb2.text)
    assert scene.exchange()[1] == 0
    scene.net.kill(hung, signal.SIGCONT)
    eventually(lambda: not scene.owned_by("lb2") and scene.armed("lb1"), what=scene.lb1.text)
    eventually(lambda: scene.exchange(0.2)[1] > 0, what=scene.lb1.text)
    scene.kill_all("lb1")
    eventually(lambda: scene.owned_by("lb2"), what=scene.lb2.text)
    assert scene.exchange()[1] == 0
    scene.lb1.start()
    eventually(lambda: scene.settled(scene.lb1) and scene.armed("lb1"), what=scene.lb1.text)
    eventually(lambda: not scene.owned_by("lb2"), what=scene.lb1.text)
    sent, back = scene.exchange(patience=10)
    assert sent == back


@pytest.mark.req("B-14")
def test_an_upgrade_of_all_parts_and_of_the_program_loses_nothing_with_the_gate_armed(scene: Scene) -> None:
    for node in (scene.lb1, scene.lb2):
        node.start()
    eventually(lambda: scene.settled(scene.lb1), what=scene.lb1.text)
    eventually(lambda: scene.owned_by("lb1") and scene.armed("lb1"), what=scene.lb1.text)
    assert "on bpf: its interface can carry it" in scene.lb1.ask("show", "service").stdout
    programs = scene.programs()
    stream = scene.stream()
    scene.net.run("lb1", sys.executable, "-c", MAKE_OLD)
    scene.lb1.ask("upgrade", "--speaker")
    eventually(lambda: scene.programs() != programs, what=scene.lb1.text)
    eventually(lambda: scene.settled(scene.lb1), what=scene.lb1.text)
    time.sleep(1)
    sent, back = scene.counts(stream)
    assert sent == back, scene.lb1.text()
    assert len(scene.programs().split()) == 1
    assert scene.owned_by("lb1")
