"""The wire observer of the real daemon: two nodes, a client, and a machine that claims the VIP on the same bridge."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.network import DaemonOn, Network, eventually, network

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

CLAIMANT = Path(__file__).with_name("claimant.py")
VIP4, VIP6 = "192.0.2.50", "2001:db8:1::50"
# One MAC for each test that claims: of one that was told of, nothing is told for a while.
INTRUDER, FLOODER = "02:00:00:00:66:66", "02:00:00:00:66:67"
SITE = """
version: 1
site: wire
networks:
  front: {prefixes: [192.0.2.0/24, 2001:db8:1::/64]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11, 2001:db8:1::11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12, 2001:db8:1::12]}}}
vips:
  vip: {network: front, addresses: [192.0.2.50, 2001:db8:1::50], vrid: 51, advertise: 100ms,
        members: {lb1: {priority: 150}, lb2: {priority: 100}}}
"""
Told = dict[str, Any]


class Scene:
    """Two nodes that run, lb1 being the owner, a client that knows the VIP, and an intruder."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net = net
        site = directory / "site.yaml"
        site.write_text(SITE)
        for name, number in (("lb1", 11), ("lb2", 12), ("client", 9), ("intruder", 66)):
            net.add(name, f"192.0.2.{number}/24", f"2001:db8:1::{number}/64")
        self.nodes = {name: DaemonOn(net, name, site, directory) for name in ("lb1", "lb2")}
        for node in self.nodes.values():
            node.options = ("--log", "json")
            node.start()
        eventually(lambda: len(self.told("lb1", "BecameActive")) == 2, what=self.nodes["lb1"].text)
        eventually(lambda: self.seen("lb2") == {VIP4: "lb1", VIP6: "lb1"}, what=lambda: str(self.seen("lb2")))

    def told(self, node: str, kind: str, since_us: int = 0) -> list[Told]:
        """The bodies of a node's events of one kind, each with its time."""
        logged = [
            json.loads(line) for line in self.nodes[node].text().rpartition("\n")[0].splitlines() if line[:1] == "{"
        ]
        # A speaker without its node process writes what it would have reported into the same file, in another form.
        events = [e for e in logged if "body" in e]
        return [{**e["body"], "at": e["at"]} for e in events if e["body"]["is"] == kind and e["at"] >= since_us]

    def seen(self, node: str) -> dict[str, str | None]:
        """Who was seen answering for each address of the VIP."""
        status = json.loads(self.nodes[node].ask("-j", "show", "vip").stdout)
        return {seen["address"]: seen["member"] for router in status for seen in router["seen"]}

    def claim(self, *addresses: str, mac: str = INTRUDER, times: int = 3, pause: float = 0.2) -> int:
        """The intruder claims addresses; when it began, in microseconds of CLOCK_MONOTONIC."""
        words = (sys.executable, str(CLAIMANT), mac, str(times), str(pause), *addresses)
        return int(self.net.run("intruder", *words).stdout)

    def visit(self) -> None:
        """The client speaks to the VIP, so that it has an entry for each address."""
        for address in (VIP4, VIP6):
            self.net.run("client", "ping", "-c", "1", "-W", "2", address, check=False)

    def believed(self, address: str) -> str:
        """At which MAC the client looks for an address."""
        words = ("ip", "-j", "neigh", "show", "dev", "eth0", "to", address)
        entries = json.loads(self.net.run("client", *words).stdout or "[]")
        return str(entries[0].get("lladdr", "")) if entries else ""

    def mac(self, name: str) -> str:
        (link,) = json.loads(self.net.run(name, "ip", "-j", "link", "show", "dev", "eth0").stdout)
        return str(link["address"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with network() as net:
        yield Scene(net, tmp_path_factory.mktemp("wire"))


def now_us() -> int:
    return time.monotonic_ns() // 1000


@pytest.mark.req("B-07")
@pytest.mark.req("B-09")
def test_a_foreign_claim_is_told_within_a_second_and_contradicted(scene: Scene) -> None:
    scene.visit()
    owner = scene.mac("lb1")
    eventually(lambda: (scene.believed(VIP4), scene.believed(VIP6)) == (owner, owner))
    began = scene.claim(VIP4, VIP6)
    for address in (VIP4, VIP6):
        eventually(lambda address=address: scene.believed(address) == owner, what="the client looks at the owner again")  # type: ignore[misc]
    for node in ("lb1", "lb2"):
        eventually(lambda node=node: len(scene.told(node, "ForeignClaim", began)) >= 2, what=scene.nodes[node].text)  # type: ignore[misc]
        told = [claim for claim in scene.told(node, "ForeignClaim", began) if claim["mac"] == INTRUDER]
        assert {claim["address"] for claim in told} == {VIP4, VIP6}
        assert {(claim["mac"], claim["interface"]) for claim in told} == {(INTRUDER, "eth0")}
        assert all(claim["at"] - began < 1_000_000 for claim in told), told
        assert all(claim["count"] >= 1 for claim in told)
    scene.visit()
    assert (scene.believed(VIP4), scene.believed(VIP6)) == (owner, owner)


def test_a_node_is_shown_claims_and_not_every_packet(scene: Scene) -> None:
    """A packet socket of all protocols (0003) would delay each packet that the balancer sends on at ingress."""
    sockets = scene.net.run("lb1", "cat", "/proc/net/packet").stdout.splitlines()[1:]
    protocols = {line.split()[3] for line in sockets}
    assert "0003" not in protocols
    assert protocols >= {"0806", "86dd"}


@pytest.mark.req("B-21")
def test_an_owner_that_nobody_hears_answer_is_told_of(scene: Scene) -> None:
    began = now_us()
    rules = "add table arp deaf; add chain arp deaf out { type filter hook output priority 0; policy drop; }"
    scene.net.run("lb1", "nft", rules)
    eventually(lambda: bool(scene.told("lb2", "OwnedButSilent", began)), what=scene.nodes["lb2"].text)
    (silent,) = scene.told("lb2", "OwnedButSilent", began)
    assert (silent["address"], silent["peer"]) == (VIP4, "192.0.2.11")
    scene.net.run("lb1", "nft", "delete table arp deaf")
    eventually(lambda: bool(scene.told("lb2", "OneAnswers", began)), what=scene.nodes["lb2"].text)
    assert [(each["address"], each["member"]) for each in scene.told("lb2", "OneAnswers", began)] == [(VIP4, "lb1")]


@pytest.mark.req("B-21")
def test_two_nodes_that_answer_are_told_of_by_the_owner(scene: Scene) -> None:
    began = now_us()
    # By hand, so it has not our mark and the speaker leaves it alone.
    scene.net.run("lb2", "ip", "address", "add", f"{VIP4}/24", "dev", "eth0")
    try:
        for kind in ("TwoOwnersSeen", "AnsweredUnadvertised"):
            eventually(lambda kind=kind: bool(scene.told("lb1", kind, began)), what=scene.nodes["lb1"].text)  # type: ignore[misc]
    finally:
        scene.net.run("lb2", "ip", "address", "del", f"{VIP4}/24", "dev", "eth0")
    (two,) = scene.told("lb1", "TwoOwnersSeen", began)
    assert (two["nodes"], two["macs"]) == (["lb1", "lb2"], [scene.mac("lb2")])
    (unadvertised,) = scene.told("lb1", "AnsweredUnadvertised", began)
    assert (unadvertised["member"], unadvertised["address"]) == ("lb2", VIP4)
    eventually(lambda: bool(scene.told("lb1", "OneAnswers", began)), what=scene.nodes["lb1"].text)


def changes(scene: Scene, since_us: int) -> set[tuple[str, str, str]]:
    """The members whose MAC has changed, as lb1 told it."""
    return {(e["member"], e["address"], e["mac"]) for e in scene.told("lb1", "MemberMacChanged", since_us)}


def test_a_member_with_another_card_is_no_intruder(scene: Scene) -> None:
    began, before = now_us(), scene.mac("lb2")
    another = "02:00:00:00:12:12"
    for mac in (another, before):
        scene.net.run("lb2", "ip", "link", "set", "dev", "eth0", "address", mac)
        # Of its IPv6 address, which it does not speak from unasked, it is noticed later.
        news = ("lb2", "192.0.2.12", mac)
        eventually(lambda news=news: news in changes(scene, began), what=scene.nodes["lb1"].text)  # type: ignore[misc]
    foreign = [claim for node in ("lb1", "lb2") for claim in scene.told(node, "ForeignClaim", began)]
    assert not [claim for claim in foreign if claim["mac"] not in (INTRUDER, FLOODER)]
    eventually(lambda: scene.seen("lb2") == {VIP4: "lb1", VIP6: "lb1"}, what=lambda: str(scene.seen("lb2")))


@pytest.mark.req("B-08")
def test_a_node_shows_what_it_believes_and_how_long_a_stale_entry_may_last(scene: Scene) -> None:
    shown = scene.nodes["lb2"].ask("show", "neighbour").stdout
    (lb1,) = [line.split() for line in shown.splitlines() if line.startswith("lb1 ") and "192.0.2.11" in line]
    assert lb1[:4] == ["lb1", "192.0.2.11", "eth0", scene.mac("lb1")]
    assert "IPv4 on eth0: without an announcement a stale entry lasts 53 s at most" in shown


@pytest.mark.req("B-09")
def test_a_flood_of_claims_is_one_event_and_costs_little(scene: Scene) -> None:
    before = cpu_seconds(scene.nodes["lb1"].part("yaoki.cli"))
    began = scene.claim(VIP4, VIP6, mac=FLOODER, times=20_000, pause=0.0)
    took = (now_us() - began) / 1_000_000
    eventually(lambda: bool(scene.told("lb1", "WireFlooded", began)), what=scene.nodes["lb1"].text)
    spent = cpu_seconds(scene.nodes["lb1"].part("yaoki.cli")) - before
    assert len(scene.told("lb1", "WireFlooded", began)) == 1
    assert len(scene.told("lb1", "ForeignClaim", began)) <= 2 + 2 * int(took / 10)
    assert spent < 0.3 * max(took, 3.0), f"{spent} s of processor time in {took} s"
    eventually(lambda: scene.believed(VIP4) in ("", scene.mac("lb1")))


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
