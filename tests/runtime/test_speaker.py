"""Two real speakers in namespaces: elections, faults, restarts, hostile packets, and what goes over the wire."""

import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

from tests.runtime.speakers import VIP, VIP_6, RunningSpeaker, Segment, eventually, ip, params
from yaoki.core.address import BROADCAST, Family, MacAddress
from yaoki.core.instant import Instant
from yaoki.node.messages import ConfigureRouters, RouterState
from yaoki.node.speaker_events import (
    AddressNotOurs,
    HeartbeatRejected,
    KernelRefused,
    OrderUnreadable,
    PeerOwnsNoMore,
    PeerPathSilent,
    PeerSilent,
    PunctualityRefused,
)
from yaoki.packet import arp, ethernet, ipv4, ipv6, neighbour
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.events import (
    AddressLost,
    Barred,
    BecameActive,
    ChecksumFormLearnt,
    NoBetterOwner,
    PacketRejected,
    Reason,
    SecondOwnerSuspected,
)
from yaoki.vrrp.heartbeat import PORT, Heartbeat
from yaoki.vrrp.params import ChecksumForm, InterfaceTrack
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

pytestmark = pytest.mark.netns

ACTIVE, BACKUP = RouterState.ACTIVE, RouterState.BACKUP
BOTH = (Family.IPV4, Family.IPV6)


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        segment.add("a", 11)
        segment.add("b", 12)
        yield segment


def run_dir(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir(exist_ok=True)
    return path


def pair(segment: Segment, tmp_path: Path) -> tuple[RunningSpeaker, RunningSpeaker]:
    """Speakers a (150) and b (100), of which a owns both addresses."""
    a, b = (segment.speaker(name, run_dir(tmp_path, name)) for name in ("a", "b"))
    a.configure(*[params(150, family=family) for family in BOTH])
    b.configure(*[params(100, family=family) for family in BOTH])
    eventually(lambda: settled(segment, "a", a=a, b=b), "a owns both, b stands by")
    return a, b


def settled(segment: Segment, owner: str, **speakers: RunningSpeaker) -> bool:
    states = all(
        speaker.state(family) is (ACTIVE if name == owner else BACKUP)
        for name, speaker in speakers.items()
        for family in BOTH
    )
    return states and segment.holders(VIP) == [owner] and segment.holders(VIP_6) == [owner]


@pytest.mark.req("B-05")
@pytest.mark.req("B-21")
def test_cut_link_moves_the_vip_and_the_mended_one_moves_it_back(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    segment.cut("a")
    eventually(lambda: segment.holders(VIP) == ["b"] and segment.holders(VIP_6) == ["b"], "b owns both")
    assert a.state() is RouterState.INITIALIZE
    segment.mend("a")
    eventually(lambda: settled(segment, "a", a=a, b=b), "a owns both again")


def answered(client: str, address: str) -> bool:
    command = ["ip", "netns", "exec", client, "ping", "-c1", "-W1", address]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def until_answered(client: str, address: str) -> None:
    eventually(lambda: answered(client, address), f"{address} answers")


@pytest.mark.rfc("9568", "6.4.2", "no answer")
@pytest.mark.rfc("9568", "6.4.2", "no accept")
@pytest.mark.rfc("9568", "6.4.3", "answer")
@pytest.mark.rfc("9568", "6.4.3", "accept")
def test_only_the_owner_answers_for_the_vips_and_takes_their_packets(segment: Segment, tmp_path: Path) -> None:
    pair(segment, tmp_path)
    segment.add("c", 13)
    segment.sysctl("b", "net.ipv4.ip_forward", "0")
    client = segment.namespace("c")
    owner, backup = "02:00:00:00:00:0b", "02:00:00:00:00:0c"
    for address in (vip.partition("/")[0] for vip in (VIP, VIP_6)):
        for _ in range(5):
            ip("-n", client, "neighbour", "flush", "dev", "eth0")
            until_answered(client, address)
            assert owner in ip("-n", client, "neighbour", "show", address)
        ip("-n", client, "neighbour", "replace", address, "lladdr", backup, "nud", "permanent", "dev", "eth0")
        assert not answered(client, address)
        ip("-n", client, "neighbour", "del", address, "dev", "eth0")


@pytest.mark.req("B-05")
def test_release_hands_over_without_a_lost_packet_and_ends(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    segment.add("c", 13)
    pings = segment.pings("c", VIP, tmp_path)
    assert a.release() == 0
    assert segment.holders(VIP) == segment.holders(VIP_6) == ["b"]
    assert pings.lost() == 0
    b.listen()
    reasons = [body.reason for body in b.told(BecameActive) if isinstance(body, BecameActive)]
    assert reasons == [Reason.ACTIVE_RELEASED] * 2


def test_sigterm_releases_too(segment: Segment, tmp_path: Path) -> None:
    a, _ = pair(segment, tmp_path)
    os.kill(child_of(a), signal.SIGTERM)
    assert a.process.wait(20) == 0
    assert "a" not in segment.holders(VIP) + segment.holders(VIP_6)


def child_of(speaker: RunningSpeaker) -> int:
    """`ip netns exec` replaces itself by the speaker, so it is the process itself."""
    return speaker.process.pid


def test_speaker_goes_on_without_its_node_process_and_repeats_its_state_to_the_next(
    segment: Segment, tmp_path: Path
) -> None:
    a, b = pair(segment, tmp_path)
    a.disconnect()
    time.sleep(0.5)
    assert segment.holders(VIP) == ["a"]
    a.statuses.clear()
    a.connect()
    eventually(lambda: a.state() is ACTIVE and a.state(Family.IPV6) is ACTIVE, "both states are repeated")
    assert b.state() is BACKUP
    assert a.displaced_by_another()


@pytest.mark.req("B-22")
def test_killed_speaker_leaves_the_addresses_and_the_next_one_adopts_them_at_once(
    segment: Segment, tmp_path: Path
) -> None:
    a, b = pair(segment, tmp_path)
    a.process.kill()
    a.process.wait()
    assert "a" in segment.holders(VIP)
    again = segment.speaker("a", run_dir(tmp_path, "a"))
    again.configure(*[params(150, family=family) for family in BOTH])
    eventually(lambda: settled(segment, "a", again=again) or again.state() is ACTIVE, "active again")
    eventually(lambda: settled(segment, "a", a=again, b=b), "and the other stands by")
    reasons = {body.reason for body in again.told(BecameActive) if isinstance(body, BecameActive)}
    assert reasons == {Reason.ADDRESSES_HELD}


def test_addresses_of_a_router_that_is_no_longer_configured_are_removed_at_the_next_start(
    segment: Segment, tmp_path: Path
) -> None:
    a, _ = pair(segment, tmp_path)
    a.process.kill()
    a.process.wait()
    again = segment.speaker("a", run_dir(tmp_path, "a"))
    again.configure(params(150))
    eventually(lambda: "a" not in segment.holders(VIP_6), "the leftover is gone")
    eventually(lambda: "a" in segment.holders(VIP), "the configured one is kept")


@pytest.mark.rfc("9568", "6.4.2")
def test_own_stall_is_not_taken_for_a_silence_of_the_peer(segment: Segment, tmp_path: Path) -> None:
    _, b = pair(segment, tmp_path)
    for _ in range(3):
        os.kill(child_of(b), signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(child_of(b), signal.SIGCONT)
        time.sleep(0.3)
    assert b.told(BecameActive) == []
    assert segment.holders(VIP) == ["a"]


@pytest.mark.req("B-21")
def test_owner_that_slept_converges_after_waking(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    os.kill(child_of(a), signal.SIGSTOP)
    eventually(lambda: b.state() is ACTIVE and b.state(Family.IPV6) is ACTIVE, "b takes over")
    os.kill(child_of(a), signal.SIGCONT)
    eventually(lambda: settled(segment, "a", a=a, b=b), "one owner again")


def test_address_taken_away_by_hand_is_put_back(segment: Segment, tmp_path: Path) -> None:
    a, _ = pair(segment, tmp_path)
    for vip in (VIP, VIP_6):
        ip("-n", segment.namespace("a"), "address", "del", vip, "dev", "eth0")
        eventually(lambda vip=vip: segment.holders(vip) == ["a"], "it is back")  # type: ignore[misc] # bound now
    eventually(lambda: len(a.told(AddressLost)) == 2, "it was told")
    assert a.state() is ACTIVE


def test_no_address_is_said_to_be_lost_in_ordinary_moves(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    for _ in range(3):
        segment.cut("a")
        eventually(lambda: segment.holders(VIP) == ["b"], "b owns")
        segment.mend("a")
        eventually(lambda: settled(segment, "a", a=a, b=b), "a owns")
    assert a.told(AddressLost) + b.told(AddressLost) == []


def test_vip_that_somebody_else_put_there_is_left_there_and_told(segment: Segment, tmp_path: Path) -> None:
    ip("-n", segment.namespace("a"), "address", "add", VIP, "dev", "eth0")
    a = segment.speaker("a", run_dir(tmp_path, "a"))
    a.configure(params(150))
    eventually(lambda: a.told(AddressNotOurs) != [], "it was told")
    assert a.release() == 0
    assert segment.holders(VIP) == ["a"]


def test_address_list_changes_under_a_living_owner(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    more = "192.0.2.51/24"
    for speaker, priority in ((b, 100), (a, 150)):
        speaker.configure(params(priority, vips=(VIP, more)), params(priority, family=Family.IPV6))
    eventually(lambda: segment.holders(more) == ["a"], "the new one is there")
    a.configure(params(150, vips=(more,)), params(150, family=Family.IPV6))
    eventually(lambda: segment.holders(VIP) == [], "the old one is gone")
    assert len(a.told(BecameActive)) == 2


@pytest.mark.req("B-24")
def test_tracked_interface_moves_the_vip_at_once_and_without_the_node_process(segment: Segment, tmp_path: Path) -> None:
    ip("-n", segment.namespace("a"), "link", "add", "eth1", "type", "veth", "peer", "name", "uplink")
    for name in ("eth1", "uplink"):
        ip("-n", segment.namespace("a"), "link", "set", name, "up")
    a, b = pair(segment, tmp_path)
    a.configure(*[replace(params(150, family=family), tracks=(InterfaceTrack("eth1"),)) for family in BOTH])
    a.listen(within=0.1)
    assert a.told(Barred) == []
    a.disconnect()
    ip("-n", segment.namespace("a"), "link", "set", "eth1", "down")
    eventually(lambda: segment.holders(VIP) == ["b"] and segment.holders(VIP_6) == ["b"], "b relieves a")
    a.connect()
    eventually(lambda: len(a.told(NoBetterOwner)) == len(BOTH), "a said that it kept until then")
    ip("-n", segment.namespace("a"), "link", "set", "eth1", "up")
    eventually(lambda: settled(segment, "a", a=a, b=b), "a is well again and retakes")


def test_two_speakers_of_one_node_do_not_run(segment: Segment, tmp_path: Path) -> None:
    segment.speaker("a", run_dir(tmp_path, "a"))
    words = ["--node", "a", "--run-dir", str(run_dir(tmp_path, "a"))]
    second = subprocess.run(
        [sys.executable, "-m", "yaoki.runtime.speaker", *words], check=False, capture_output=True, text=True, timeout=30
    )
    assert second.returncode == 75
    assert "runs already" in second.stderr


def test_unreadable_order_is_told_and_changes_nothing(segment: Segment, tmp_path: Path) -> None:
    a, _ = pair(segment, tmp_path)
    a.send(b'{"is": "OrderOfAnotherVersion"}')
    eventually(lambda: a.told(OrderUnreadable) != [], "it was told")
    assert segment.holders(VIP) == ["a"]


def test_sub_second_is_kept_at_10_ms(segment: Segment, tmp_path: Path) -> None:
    a, b = (segment.speaker(name, run_dir(tmp_path, name)) for name in ("a", "b"))
    fast = [replace(params(150, family=family), interval=timedelta(milliseconds=10)) for family in BOTH]
    a.configure(*fast)
    b.configure(*[replace(router, priority=100) for router in fast])
    eventually(lambda: settled(segment, "a", a=a, b=b), "a owns both")

    def a_quiet_second() -> bool:
        # On a machine with other work, one that stands still for 30 ms rightly loses its VIPs, and gets them back.
        before = len(b.told(BecameActive)) + len(a.told(SecondOwnerSuspected))
        time.sleep(1)
        after = len(b.told(BecameActive)) + len(a.told(SecondOwnerSuspected))
        return after == before and settled(segment, "a", a=a, b=b)

    eventually(a_quiet_second, "100 advertisements in time, one after the other")


@pytest.mark.rfc("9568", "5.2.8")
def test_form_of_the_checksum_is_learnt_from_a_peer_that_leaves_the_pseudo_header_out(
    segment: Segment, tmp_path: Path
) -> None:
    a, b = (segment.speaker(name, run_dir(tmp_path, name)) for name in ("a", "b"))
    a.configure(params(150, checksum=ChecksumForm.MESSAGE_ONLY))
    b.configure(params(100))
    eventually(lambda: b.told(ChecksumFormLearnt) != [] and segment.holders(VIP) == ["a"], "b learns the form")
    assert a.release() == 0
    eventually(lambda: segment.holders(VIP) == ["b"], "b owns")
    again = segment.speaker("a", run_dir(tmp_path, "a"))
    again.configure(params(50, checksum=ChecksumForm.MESSAGE_ONLY))
    eventually(lambda: again.hears(100), "and is understood")
    assert again.told(ChecksumFormLearnt) == []


def test_what_the_kernel_refuses_is_told_and_tried_again(segment: Segment, tmp_path: Path) -> None:
    quiet = "table ip6 quiet {\nchain c {\ntype filter hook output priority 0;\nip6 nexthdr 112 drop\n}\n}\n"
    segment.nft("a", quiet)
    a, b = (segment.speaker(name, run_dir(tmp_path, name)) for name in "ab")
    a.configure(params(150), params(150, family=Family.IPV6))
    eventually(lambda: a.told(KernelRefused) != [], "it was told")
    eventually(lambda: segment.holders(VIP) == ["a"], "the other family is not held up")
    segment.nft("a", "delete table ip6 quiet\n")
    b.configure(params(100), params(100, family=Family.IPV6))
    eventually(lambda: b.hears(150, Family.IPV6), "it works as soon as the kernel allows it")
    assert settled(segment, "a", a=a, b=b)


def test_speaker_that_may_not_be_punctual_says_so_and_works(segment: Segment, tmp_path: Path) -> None:
    a = segment.speaker("a", run_dir(tmp_path, "a"), "setpriv", "--bounding-set=-sys_nice")
    a.configure(params(150))
    eventually(lambda: segment.holders(VIP) == ["a"], "a owns")
    (told,) = a.told(PunctualityRefused)
    assert isinstance(told, PunctualityRefused)
    assert [refusal.partition(":")[0] for refusal in told.refused] == ["SCHED_FIFO"]


def test_speaker_is_scheduled_before_everything_else_and_is_never_paged_out(segment: Segment, tmp_path: Path) -> None:
    a = segment.speaker("a", run_dir(tmp_path, "a"))
    a.configure(params(150))
    eventually(lambda: segment.holders(VIP) == ["a"], "a owns")
    assert a.told(PunctualityRefused) == []
    assert os.sched_getscheduler(a.process.pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
    status = Path(f"/proc/{a.process.pid}/status").read_text()
    locked, resident = (int(re.findall(rf"^{name}:\s+(\d+) kB$", status, re.M)[0]) for name in ("VmLck", "VmRSS"))
    assert locked >= 0.9 * resident > 0, "all but what the kernel lends it"


def test_interface_that_is_made_anew_is_spoken_on_again(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    ip("-n", segment.namespace("a"), "link", "del", "eth0")
    eventually(lambda: b.state() is ACTIVE and b.state(Family.IPV6) is ACTIVE, "b takes over")
    assert a.state() is RouterState.INITIALIZE
    segment.plug("a", 11)
    eventually(lambda: settled(segment, "a", a=a, b=b), "a owns both again")


# --- on the wire ------------------------------------------------------------------------------------------------------


class Capture:
    """What passed the bridge, with the second of each frame."""

    def __init__(self, segment: Segment, path: Path) -> None:
        self._path = path
        self._process = segment.run("net", "tcpdump", "-i", "br0", "-U", "-q", "-w", str(path))
        eventually(lambda: path.exists() and path.stat().st_size >= 24, "tcpdump listens")

    def frames(self) -> list[tuple[float, ethernet.EthernetFrame]]:
        time.sleep(1.2)  # the kernel hands a capture over about once a second
        self._process.terminate()
        self._process.wait(20)
        data, offset, frames = self._path.read_bytes(), 24, []
        while offset + 16 <= len(data):
            seconds, micros, length, _ = struct.unpack_from("=IIII", data, offset)
            frame = ethernet.decode(data[offset + 16 : offset + 16 + length])
            assert isinstance(frame, ethernet.EthernetFrame)
            frames.append((seconds + micros / 1e6, frame))
            offset += 16 + length
        return frames


@pytest.mark.req("B-07")
@pytest.mark.req("B-09")
@pytest.mark.rfc("9568", "5.1.1")
@pytest.mark.rfc("9568", "5.1.2")
def test_takeover_on_the_wire(segment: Segment, tmp_path: Path) -> None:
    capture = Capture(segment, tmp_path / "takeover.pcap")
    a = segment.speaker("a", run_dir(tmp_path, "a"))
    a.configure(*[params(150, family=family) for family in BOTH])
    eventually(lambda: segment.holders(VIP) == segment.holders(VIP_6) == ["a"], "a owns both")
    time.sleep(2.5)
    frames = capture.frames()
    mac = MacAddress.parse("02:00:00:00:00:0b")
    packets = [packet for _, f in frames if isinstance(packet := ipv4.decode(f.payload), ipv4.IPv4Packet)]
    adverts = [packet for packet in packets if packet.protocol == ipv4.PROTOCOL_VRRP]
    assert len(adverts) > 15
    expected = (IPv4Address("192.0.2.11"), IPv4Address("224.0.0.18"), 255, 0xC0)
    assert {(p.source, p.destination, p.hop_limit, p.type_of_service) for p in adverts} == {expected}
    packets_6 = [six for _, f in frames if isinstance(six := ipv6.decode(f.payload), ipv6.IPv6Packet)]
    adverts_6 = [packet for packet in packets_6 if packet.next_header == ipv6.NEXT_HEADER_VRRP]
    assert len(adverts_6) > 15
    expected_6 = ("fe80::11", "ff02::12", 255, 0xC0)
    assert {(str(p.source), str(p.destination), p.hop_limit, p.traffic_class) for p in adverts_6} == {expected_6}
    announced = [
        (at, f.destination, gratuitous)
        for at, f in frames
        if f.ethertype == ethernet.ETHERTYPE_ARP
        and isinstance(gratuitous := arp.decode(f.payload), arp.ArpPacket)
        and gratuitous.gratuitous
        and gratuitous.sender_ip == IPv4Address("192.0.2.50")
    ]
    assert {destination for _, destination, _ in announced} == {BROADCAST}
    for form in arp.Operation:
        moments = [at for at, _, sent in announced if sent.operation is form and sent.sender_mac == mac]
        assert len(moments) == 5
        for moment, wanted in zip(moments, (0, 0.02, 0.1, 0.5, 2.0), strict=True):
            # What was to be said meanwhile follows at once: the first may be late by as much as the next are early.
            assert wanted - 0.05 <= moment - moments[0] < wanted + 0.5
    messages = [m for p in packets_6 if isinstance(m := neighbour.decode(p), neighbour.NeighbourAdvertisement)]
    advertised = [m for m in messages if str(m.target) == "2001:db8:1::50"]
    assert len(advertised) == 5
    assert {(m.target_mac, m.override, m.solicited) for m in advertised} == {(mac, True, False)}


HOSTILE = """
import os, socket, struct, time
four = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 112)
index = socket.if_nametoindex("eth0")
group = struct.pack("=4s4si", socket.inet_aton("224.0.0.18"), bytes(4), index)
four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
good = bytes.fromhex("31339601000ad3f3c0000232")
for limit in (255, 254, 1):
    time.sleep(1.5)
    four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, limit)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, limit)
    for data in (good, good[:11], good[:1], b"\\x31", good[:-1] + b"\\xff", b"\\x21" + good[1:], b"\\x41" + good[1:]):
        four.sendto(data, ("224.0.0.18", 0))
        six.sendto(data, ("ff02::12", 0))
    for length in range(1, 60):
        for head in (b"", b"\\x31", b"\\x31\\x33", b"\\x21\\x33"):
            data = head + os.urandom(length)
            four.sendto(data, ("224.0.0.18", 0))
            six.sendto(data, ("ff02::12", 0))
"""


def test_hostile_packets_become_counted_events_and_nothing_else(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    segment.add("c", 13)
    segment.run("c", sys.executable, "-c", HOSTILE).wait(30)
    wanted = {Rejection.HOP_LIMIT, Rejection.CHECKSUM, Rejection.TRUNCATED, Rejection.VERSION}
    eventually(
        lambda: wanted <= {body.reason for body in a.told(PacketRejected) if isinstance(body, PacketRejected)},
        "each reason was told",
    )
    assert len(a.told(PacketRejected)) <= 2 * len(Rejection)
    assert settled(segment, "a", a=a, b=b)
    assert len(a.told(BecameActive)) == 2
    assert b.told(BecameActive) == []


# --- heartbeats -------------------------------------------------------------------------------------------------------


def with_peer(
    segment: Segment,
    tmp_path: Path,
    *,
    front: tuple[str, str],
    back: tuple[str, str],
    interval: timedelta = timedelta(milliseconds=100),
) -> list[RunningSpeaker]:
    """Speakers a and b, told of each other on two paths by these addresses."""
    speakers = []
    for name, peer, mine, theirs in (("a", "b", 0, 1), ("b", "a", 1, 0)):
        paths = tuple(
            PeerPath(interface, ip_address(addresses[mine]), ip_address(addresses[theirs]))
            for interface, addresses in (("eth0", front), ("eth1", back))
        )
        heartbeat = HeartbeatParams(name, "g1", interval, (PeerParams(peer, ("web-vip",), paths),))
        speaker = segment.speaker(name, run_dir(tmp_path, name))
        router = params(150 if name == "a" else 100, interval=interval)
        speaker.tell(ConfigureRouters((router,), heartbeat=heartbeat))
        speakers.append(speaker)
    return speakers


def heard_on(speaker: RunningSpeaker, peer: str) -> set[str]:
    speaker.listen()
    status = speaker.peers.get(peer)
    return set() if status is None else {path.interface for path in status.paths if path.alive}


def test_speakers_hear_each_other_on_every_path_and_notice_silence_by_path(segment: Segment, tmp_path: Path) -> None:
    for name, number in (("a", 11), ("b", 12)):
        segment.plug(name, number, interface="eth1", prefix="198.51.100")
    a, b = with_peer(
        segment,
        tmp_path,
        front=("192.0.2.11", "192.0.2.12"),
        back=("2001:db8:2::11", "2001:db8:2::12"),
    )
    both = {"eth0", "eth1"}
    eventually(lambda: heard_on(a, "b") == both and heard_on(b, "a") == both, "a and b hear each other on both paths")
    segment.cut("b")
    eventually(lambda: heard_on(a, "b") == {"eth1"}, "a hears b on eth1 alone")
    assert a.told(PeerPathSilent) == [PeerPathSilent("b", "eth0")]
    segment.mend("b")
    eventually(lambda: heard_on(a, "b") == both, "a hears b on both again")
    b.process.kill()
    eventually(lambda: heard_on(a, "b") == set(), "a hears b no more")
    assert len(a.told(PeerSilent)) == 1
    again = segment.speaker("b", run_dir(tmp_path, "b"))
    assert again.process.poll() is None
    assert not a.told(KernelRefused)


@pytest.mark.req("B-02")
def test_an_owner_that_loses_its_link_is_relieved_by_news_from_another_network(
    segment: Segment, tmp_path: Path
) -> None:
    """With advertisements each second its silence alone would be waited for 3.6 s."""
    for name, number in (("a", 11), ("b", 12)):
        segment.plug(name, number, interface="eth1", prefix="198.51.100")
    a, b = with_peer(
        segment,
        tmp_path,
        front=("192.0.2.11", "192.0.2.12"),
        back=("198.51.100.11", "198.51.100.12"),
        interval=timedelta(seconds=1),
    )
    eventually(lambda: segment.holders(VIP) == ["a"] and b.hears(150), "a owns, and b hears it")
    eventually(lambda: heard_on(a, "b") == heard_on(b, "a") == {"eth0", "eth1"}, "they hear each other on both paths")
    segment.cut("a")
    cut_at = Instant(time.monotonic_ns() // 1000)
    eventually(lambda: segment.holders(VIP) == ["b"] and b.state() is ACTIVE, "b owns")
    (became_at,) = (event.at for event in b.published if isinstance(event.body, BecameActive))
    assert became_at - cut_at < timedelta(seconds=1.5)
    assert b.told(PeerOwnsNoMore) == [PeerOwnsNoMore("a", "web-vip", Family.IPV4)]


def test_a_heartbeat_from_elsewhere_does_not_even_reach_the_speaker(segment: Segment, tmp_path: Path) -> None:
    segment.add("c", 13)
    a, b = with_peer(segment, tmp_path, front=("192.0.2.11", "192.0.2.12"), back=("198.51.100.11", "198.51.100.12"))
    eventually(lambda: heard_on(a, "b") == {"eth0"}, "a hears b where both have an interface")
    forged = Heartbeat("b", "g9", 1, 2**60, timedelta(seconds=60)).encode()
    code = (
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        f"s.setsockopt(0, socket.IP_TTL, 255); s.bind(('192.0.2.13', {PORT}));"
        f"[s.sendto(bytes.fromhex(sys.argv[1]), ('192.0.2.11', {PORT})) for _ in range(20)]"
    )
    segment.run("c", sys.executable, "-c", code, forged.hex()).wait(30)
    b.process.kill()
    eventually(lambda: heard_on(a, "b") == set(), "a hears b no more")
    assert not a.told(HeartbeatRejected)
    assert a.peers["b"].generation == "g1"
