"""VIPs at virtual MACs with real speakers: neighbours keep their entries whoever owns, and nobody else speaks so."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.runtime.speakers import MAC, VIP, VIP_6, RunningSpeaker, Segment, eventually, ip, params
from yaoki.core.address import Family
from yaoki.node.messages import ConfigureRouters, RouterState
from yaoki.node.speaker_events import GateArmed, KernelRefused
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

pytestmark = [pytest.mark.netns, pytest.mark.req("B-06")]

BOTH = (Family.IPV4, Family.IPV6)
SEAT = {Family.IPV4: "yk4-51-eth0", Family.IPV6: "yk6-51-eth0"}
VIRTUAL = {Family.IPV4: "00:00:5e:00:01:33", Family.IPV6: "00:00:5e:00:02:33"}
ADDRESS = {Family.IPV4: VIP.partition("/")[0], Family.IPV6: VIP_6.partition("/")[0]}
NUMBERS = {"a": 11, "b": 12, "c": 13}

# What c counts: who says where a VIP, or a's own address, is. Two owners would be two answers to one question.
COUNTS = """
table netdev heard {
  counter true4 { }
  counter false4 { }
  counter true6 { }
  counter false6 { }
  counter own4 { }
  chain in {
    type filter hook ingress device "eth0" priority 0; policy accept;
    arp operation reply arp saddr ip 192.0.2.50 arp daddr ip != 192.0.2.50 \\
      arp saddr ether 00:00:5e:00:01:33 counter name true4
    arp saddr ip 192.0.2.50 arp saddr ether != 00:00:5e:00:01:33 counter name false4
    arp saddr ip 192.0.2.11 arp saddr ether != 02:00:00:00:00:0b counter name own4
    icmpv6 type 136 ip6 saddr 2001:db8:1::50 ip6 daddr != ff02::1 ether saddr 00:00:5e:00:02:33 counter name true6
    icmpv6 type 136 ip6 saddr 2001:db8:1::50 ether saddr != 00:00:5e:00:02:33 counter name false6
  }
}
"""
# What the switch counts: frames that come from a machine with a virtual MAC.
SPEAKING = """
table netdev speaking {{
  counter virtual {{ }}
  chain in {{
    type filter hook ingress device "{port}" priority 0; policy accept;
    ether saddr & ff:ff:ff:ff:00:00 == 00:00:5e:00:00:00 counter name virtual
  }}
}}
"""
DEAF = """
table netdev deaf {
  chain in {
    type filter hook ingress device "eth0" priority 1; policy accept;
    arp saddr ip 192.0.2.50 drop
    icmpv6 type 136 ip6 saddr 2001:db8:1::50 drop
  }
}
"""


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        for name, number in NUMBERS.items():
            segment.add(name, number)
        segment.nft("c", COUNTS)
        yield segment


def start(segment: Segment, tmp_path: Path, name: str, *, virtual: bool = True, peers: bool = True) -> RunningSpeaker:
    """Speaker a (150) or b (100), with the other as its peer."""
    directory = tmp_path / name
    directory.mkdir(exist_ok=True)
    speaker = segment.speaker(name, directory)
    configure(speaker, name, virtual=virtual, peers=peers)
    return speaker


def configure(speaker: RunningSpeaker, name: str, *, virtual: bool = True, peers: bool = True) -> None:
    peer = "b" if name == "a" else "a"
    path = PeerPath("eth0", ip_address(f"192.0.2.{NUMBERS[name]}"), ip_address(f"192.0.2.{NUMBERS[peer]}"))
    known = (PeerParams(peer, ("web-vip",), (path,)),) if peers else ()
    heartbeat = HeartbeatParams(name, "g1", timedelta(milliseconds=100), known)
    priority = 150 if name == "a" else 100
    routers = tuple(replace(params(priority, family=family), virtual_mac=virtual) for family in BOTH)
    speaker.tell(ConfigureRouters(routers, heartbeat=heartbeat))


def owns(speaker: RunningSpeaker) -> bool:
    return all(speaker.state(family) is RouterState.ACTIVE for family in BOTH)


def stands_by(speaker: RunningSpeaker) -> bool:
    return all(speaker.state(family) is RouterState.BACKUP for family in BOTH)


def count(segment: Segment, machine: str, name: str) -> int:
    command = ["ip", "netns", "exec", segment.namespace(machine), "nft", "-j", "list", "counters"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)
    return sum(item["counter"]["packets"] for item in found["nftables"] if item.get("counter", {}).get("name") == name)


def asked(segment: Segment, family: Family) -> str:
    """What c believes after it has asked anew."""
    client = segment.namespace("c")
    ip("-n", client, "neighbour", "flush", "dev", "eth0")
    command = ["ip", "netns", "exec", client, "ping", "-c1", "-W1", ADDRESS[family]]
    subprocess.run(command, capture_output=True, check=False, timeout=30)
    return ip("-n", client, "neighbour", "show", ADDRESS[family])


def seats(segment: Segment, machine: str) -> dict[str, tuple[int, bool, set[str]]]:
    """The interfaces of virtual MACs: their numbers, whether they are up, their addresses."""
    found = json.loads(ip("-n", segment.namespace(machine), "-j", "address"))
    return {
        link["ifname"]: (
            link["ifindex"],
            "UP" in link["flags"],
            {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]},
        )
        for link in found
        if link["ifname"].startswith("yk")
    }


def left_behind(segment: Segment, machine: str) -> str:
    command = ["ip", "netns", "exec", segment.namespace(machine), "nft", "list", "ruleset"]
    rules = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    return rules + "".join(seats(segment, machine))


@pytest.mark.rfc("9568", "7.3")
@pytest.mark.req("B-07", "B-09")
def test_neighbours_that_hear_no_announcement_reach_whoever_owns(segment: Segment, tmp_path: Path) -> None:
    a = start(segment, tmp_path, "a")
    eventually(lambda: owns(a), "a owns both")
    segment.nft("net", SPEAKING.format(port="b"))
    b = start(segment, tmp_path, "b")
    eventually(lambda: stands_by(b), "b stands by")
    for family in BOTH:
        assert VIRTUAL[family] in asked(segment, family)
        assert VIP not in segment.addresses("a")
    assert {name: (up, held) for name, (_, up, held) in seats(segment, "a").items()} == {
        SEAT[Family.IPV4]: (True, {VIP}),
        SEAT[Family.IPV6]: (True, {VIP_6}),
    }
    assert {name: (up, held) for name, (_, up, held) in seats(segment, "b").items()} == {
        name: (False, set()) for name in SEAT.values()
    }
    assert count(segment, "net", "virtual") == 0, "who stands by has said nothing with a virtual MAC"

    segment.nft("c", DEAF)
    for family in BOTH:
        words = ("neighbour", "replace", ADDRESS[family], "lladdr", VIRTUAL[family], "dev", "eth0", "nud", "permanent")
        ip("-n", segment.namespace("c"), *words)
    pings = {family: segment.pings("c", ADDRESS[family], tmp_path) for family in BOTH}
    a.process.kill()
    a.process.wait()
    eventually(lambda: owns(b), "b owns both")
    for each in pings.values():
        each.lost()
    again = start(segment, tmp_path, "a")
    pings = {family: segment.pings("c", ADDRESS[family], tmp_path) for family in BOTH}
    eventually(lambda: owns(again) and stands_by(b), "a owns both again")
    eventually(lambda: not any(up for _, up, _ in seats(segment, "b").values()), "b takes no frames for them")
    assert {family: each.lost() for family, each in pings.items()} == dict.fromkeys(BOTH, 0)
    assert count(segment, "c", "false4") == count(segment, "c", "false6") == count(segment, "c", "own4") == 0
    assert not again.told(KernelRefused)
    assert not b.told(KernelRefused)
    assert again.release() == 0
    assert b.release() == 0
    for name in ("a", "b"):
        assert "yaoki" not in left_behind(segment, name)
        assert "yk" not in left_behind(segment, name)


@pytest.mark.req("B-19")
def test_a_killed_owner_is_silenced_at_its_virtual_mac_as_well(segment: Segment, tmp_path: Path) -> None:
    a = start(segment, tmp_path, "a")
    b = start(segment, tmp_path, "b")
    eventually(lambda: len(a.told(GateArmed)) >= 2 and owns(a) and stands_by(b), "a owns, and is armed")
    a.process.kill()
    a.process.wait()
    eventually(lambda: owns(b), "b owns both")
    segment.nft("net", SPEAKING.format(port="a"))
    before = {name: count(segment, "c", name) for name in ("true4", "true6")}
    for family in BOTH:
        for _ in range(3):
            assert VIRTUAL[family] in asked(segment, family)
    after = {name: count(segment, "c", name) for name in ("true4", "true6")}
    for name, number in after.items():
        assert 3 <= number - before[name] < 6, "one answer to each question, of which one may have been repeated"
    assert count(segment, "net", "virtual") == 0
    # Found without addresses, for they have run out, they are taken down.
    eventually(lambda: not any(held for _, _, held in seats(segment, "a").values()), "the addresses of a have run out")
    again = start(segment, tmp_path, "a")
    eventually(lambda: owns(again) and stands_by(b), "a owns both again")
    assert not again.told(KernelRefused)


@pytest.mark.req("B-21")
def test_two_owners_of_one_virtual_mac_hear_each_other_once_the_network_is_whole(
    segment: Segment, tmp_path: Path
) -> None:
    """In private mode, Linux takes the other's frames for an echo of its own."""
    a = start(segment, tmp_path, "a")
    b = start(segment, tmp_path, "b")
    eventually(lambda: owns(a) and stands_by(b), "a owns, b stands by")
    for state, met in (("on", lambda: owns(a) and owns(b)), ("off", lambda: owns(a) and stands_by(b))):
        for name in ("a", "b"):
            words = ("link", "set", "dev", name, "type", "bridge_slave", "isolated", state)
            ip("-n", segment.namespace("net"), *words)
        eventually(met, f"isolated is {state}")
    eventually(lambda: not any(up for _, up, _ in seats(segment, "b").values()), "b takes no frames for them")


@pytest.mark.rfc("9568", "6.4.2", "virtual MAC")
@pytest.mark.rfc("9568", "6.4.3", "forward")
def test_what_comes_to_the_virtual_mac_is_forwarded_by_the_owner_alone(segment: Segment, tmp_path: Path) -> None:
    """Of a switch that sends everything everywhere, both hear it: b, the destination itself, and a, the way to it."""
    for name in ("a", "b"):
        segment.sysctl(name, "net.ipv4.conf.eth0.forwarding", "1")
        segment.sysctl(name, "net.ipv6.conf.all.forwarding", "1")
    a = start(segment, tmp_path, "a")
    b = start(segment, tmp_path, "b")
    eventually(lambda: owns(a) and stands_by(b), "a owns, b stands by")
    ip("-n", segment.namespace("net"), "link", "set", "br0", "type", "bridge", "ageing_time", "0")
    for family, behind, via in (("-4", "203.0.113.7", "192.0.2.12"), ("-6", "2001:db8:7::7", "2001:db8:1::12")):
        vip = ADDRESS[Family(int(family[1:]))]
        ip("-n", segment.namespace("b"), family, "address", "add", behind, "dev", "lo")
        ip("-n", segment.namespace("a"), family, "route", "add", behind, "via", via)
        ip("-n", segment.namespace("c"), family, "route", "add", behind, "via", vip)
        command = ["ip", "netns", "exec", segment.namespace("c"), "ping", "-n", "-c5", "-i0.2", "-W2", behind]
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
        assert "5 packets transmitted, 5 received, 0% packet loss" in said, said
        assert "DUP" not in said


def test_what_is_there_is_adopted_and_another_mac_is_taken_on_the_way(segment: Segment, tmp_path: Path) -> None:
    a = start(segment, tmp_path, "a", peers=False)
    eventually(lambda: owns(a), "a owns both")
    first = seats(segment, "a")
    assert {family: VIRTUAL[family] in asked(segment, family) for family in BOTH} == dict.fromkeys(BOTH, True)
    a.process.send_signal(signal.SIGKILL)
    a.process.wait()
    again = start(segment, tmp_path, "a", peers=False)
    eventually(lambda: owns(again), "a goes on")
    assert seats(segment, "a") == first
    configure(again, "a", virtual=False, peers=False)
    eventually(lambda: VIP in segment.addresses("a") and VIP_6 in segment.addresses("a"), "they are at a's own MAC")
    eventually(lambda: not seats(segment, "a"), "and at no other")
    for family in BOTH:
        assert MAC.format(11) in asked(segment, family)
    configure(again, "a", peers=False)
    eventually(lambda: VIP in seats(segment, "a")[SEAT[Family.IPV4]][2], "at the virtual one")
    for family in BOTH:
        assert VIRTUAL[family] in asked(segment, family)
    assert not {VIP, VIP_6} & segment.addresses("a")
    # Somebody takes it down, or away.
    ip("-n", segment.namespace("a"), "link", "set", SEAT[Family.IPV4], "down")
    eventually(lambda: seats(segment, "a")[SEAT[Family.IPV4]][1:] == (True, {VIP}), "it is taken up again")
    ip("-n", segment.namespace("a"), "link", "delete", SEAT[Family.IPV6])
    eventually(lambda: seats(segment, "a").get(SEAT[Family.IPV6], (0,))[1:] == (True, {VIP_6}), "it is made again")
    assert not again.told(KernelRefused)
    assert again.release() == 0
    assert not re.search("yaoki|yk", left_behind(segment, "a"))
