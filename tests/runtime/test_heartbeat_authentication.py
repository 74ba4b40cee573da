"""Signed heartbeats: the keys that a speaker reads for its peers, and real speakers that a forger cannot move."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.runtime.speakers import RunningSpeaker, Segment, eventually, params
from tests.runtime.test_speaker_authentication import FIRST, SECOND, put
from yaoki.core.event import EventBody
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.messages import ConfigureRouters, RouterState, SendHeartbeat
from yaoki.node.speaker_events import HeartbeatKeyUnavailable, HeartbeatRejected, NodeReplaced, PeerSilent
from yaoki.packet.ipv4 import PROTOCOL_UDP, IPv4Packet
from yaoki.packet.udp import UdpDatagram
from yaoki.runtime.heartbeat_authentication import HeartbeatAuthentication
from yaoki.runtime.speaker_authentication import wall_ns
from yaoki.vrrp.authentication import LENGTH, Key, clock_sequence
from yaoki.vrrp.authentication_params import AuthenticationParams, KeyRef, Mode
from yaoki.vrrp.heartbeat import PORT, Heartbeat, HeartbeatFlaw
from yaoki.vrrp.heartbeat_signature import signed
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

ADDRESSES = {"a": IPv4Address("192.0.2.11"), "b": IPv4Address("192.0.2.12")}
TENTH = timedelta(milliseconds=100)
BEAT = Heartbeat("a", "g1", 1, 1, TENTH).encode()
SENT = SendHeartbeat("eth0", ADDRESSES["a"], ADDRESSES["b"], BEAT)


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    monkeypatch.setenv("YAOKI_SECRETS", str(directory))
    put(directory, "first", "hex:" + bytes(range(32)).hex())
    put(directory, "second", "a passphrase of 32 characters ..")
    return directory


def heartbeats(node: str, *keys: KeyRef, mode: Mode = Mode.ENFORCE) -> HeartbeatParams:
    """Of `a` or `b`, with the other as its peer."""
    peer = "b" if node == "a" else "a"
    path = PeerPath("eth0", ADDRESSES[node], ADDRESSES[peer])
    signed_how = AuthenticationParams(keys, mode) if keys else None
    return HeartbeatParams(node, "g1", TENTH, (PeerParams(peer, ("web-vip",), (path,), authentication=signed_how),))


def way(node: str, *keys: KeyRef, mode: Mode = Mode.ENFORCE) -> tuple[HeartbeatAuthentication, list[EventBody]]:
    told: list[EventBody] = []
    found = HeartbeatAuthentication(told.append)
    found.configure(heartbeats(node, *keys, mode=mode))
    return found, told


def judged(by: HeartbeatAuthentication, payload: bytes | None) -> tuple[bytes, HeartbeatFlaw | None]:
    assert payload is not None
    return by.judge("eth0", Datagram(ADDRESSES["a"], ADDRESSES["b"], 255, payload, 0))


@pytest.mark.usefixtures("secrets")
def test_what_one_signs_the_other_believes_once() -> None:
    a, told = way("a", FIRST)
    b, _ = way("b", SECOND, FIRST)
    payload = a.sign(SENT)
    assert told == []
    assert payload is not None
    assert len(payload) == len(BEAT) + LENGTH
    assert judged(b, payload) == (BEAT, None)
    assert judged(b, payload) == (BEAT, HeartbeatFlaw.REPLAYED)
    assert judged(b, a.sign(SENT)) == (BEAT, None)
    assert judged(b, BEAT) == (BEAT, HeartbeatFlaw.UNSIGNED)
    assert judged(way("b", SECOND)[0], payload) == (BEAT, HeartbeatFlaw.UNKNOWN_KEY)


@pytest.mark.usefixtures("secrets")
def test_a_site_begins_to_sign_and_changes_its_key_without_a_lost_heartbeat() -> None:
    """Each step is taken by one node after the other."""
    a, b = way("a")[0], way("b")[0]
    steps = [((FIRST,), mode) for mode in Mode] + [
        (k, Mode.ENFORCE) for k in ((FIRST, SECOND), (SECOND, FIRST), (SECOND,))
    ]
    for keys, mode in steps:
        for node, changed in (("a", a), ("b", b)):
            changed.configure(heartbeats(node, *keys, mode=mode))
            assert judged(b, a.sign(SENT)) == (BEAT, None)


@pytest.mark.usefixtures("secrets")
def test_given_the_same_again_a_way_goes_on_where_it_was() -> None:
    a, b = way("a", FIRST)[0], way("b", FIRST)[0]
    payload = a.sign(SENT)
    assert judged(b, payload) == (BEAT, None)
    b.configure(heartbeats("b", FIRST))
    assert judged(b, payload) == (BEAT, HeartbeatFlaw.REPLAYED)


def test_without_keys_nothing_is_touched() -> None:
    plain = way("b")[0]
    assert plain.sign(SENT) == BEAT
    assert judged(plain, b"any") == (b"any", None)


def test_without_its_key_nothing_is_sent_and_what_was_read_serves_on(secrets: Path) -> None:
    a, _ = way("a", FIRST)
    (secrets / "first").unlink()
    a.configure(heartbeats("a", FIRST))
    assert a.sign(SENT) is not None
    late, told = way("a", FIRST)
    assert late.sign(SENT) is None
    (body,) = told
    assert isinstance(body, HeartbeatKeyUnavailable)
    assert (body.peer, "first" in body.why) == ("b", True)


# --- real speakers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        for name, number in (("a", 11), ("b", 12), ("c", 13)):
            segment.add(name, number)
        yield segment


FORGER = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for packet in sys.argv[1:]:
    for _ in range(20):
        sock.sendto(bytes.fromhex(packet), ("192.0.2.11", 0))
        time.sleep(0.02)
"""


def rejected(speaker: RunningSpeaker, *reasons: HeartbeatFlaw) -> bool:
    told = [body.reason for body in speaker.told(HeartbeatRejected) if isinstance(body, HeartbeatRejected)]
    return set(reasons) <= set(told)


def packet(payload: bytes) -> str:
    """From b, as far as its address goes, to a."""
    source, target = ADDRESSES["b"], ADDRESSES["a"]
    datagram = UdpDatagram(PORT, PORT, payload).encode(source, target)
    return IPv4Packet(source, target, PROTOCOL_UDP, datagram, hop_limit=255).encode().hex()


@pytest.mark.netns
@pytest.mark.req("B-02")
@pytest.mark.usefixtures("secrets")
def test_a_forger_on_the_link_can_neither_replace_a_node_nor_keep_a_dead_peer_alive(
    segment: Segment, tmp_path: Path
) -> None:
    speakers = {}
    for name, priority in (("a", 150), ("b", 100)):
        (tmp_path / name).mkdir()
        speakers[name] = segment.speaker(name, tmp_path / name)
        router = replace(params(priority), authentication=AuthenticationParams((FIRST,)))
        speakers[name].tell(ConfigureRouters((router,), heartbeat=heartbeats(name, FIRST)))
    a, b = speakers["a"], speakers["b"]

    def a_hears_b() -> bool:
        a.listen()
        return "b" in a.peers and a.peers["b"].alive

    eventually(lambda: a.state() is RouterState.ACTIVE and a_hears_b(), "a owns, and hears b")
    gone = Heartbeat("b", "g9", 9, 2**60, timedelta(seconds=60), replaced=True).encode()
    stranger = Key(FIRST.id, bytes(32))
    foreign = signed(gone, ADDRESSES["b"], ADDRESSES["a"], stranger, clock_sequence(wall_ns()))
    segment.run("c", sys.executable, "-c", FORGER, packet(gone), packet(foreign)).wait(20)
    eventually(partial(rejected, a, HeartbeatFlaw.UNSIGNED, HeartbeatFlaw.WRONG_HMAC), "each reason was told")
    assert a.told(NodeReplaced) == []
    assert a.state() is RouterState.ACTIVE
    assert a_hears_b()
    b.process.kill()
    eventually(lambda: bool(a.told(PeerSilent)), "a hears b no more", within=5)
