"""Signed heartbeats and flow copies: the keys that are read for peers, and real speakers that a forger cannot move."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.runtime.forger import FORGER
from tests.runtime.forger import packet as forged
from tests.runtime.signing_keys import FIRST, SECOND, put
from tests.runtime.speakers import RunningSpeaker, Segment, eventually, params
from yaoki.lb.flow_datagram import FlowDatagram, Hello, encode
from yaoki.lb.flow_signature import FLOW_SIGNATURE
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.messages import ConfigureRouters, RouterState
from yaoki.node.speaker_events import HeartbeatRejected, NodeReplaced, PeerSilent
from yaoki.packet.authentication import LENGTH, Key, SignatureFlaw, clock_sequence
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Mode
from yaoki.packet.datagram_signature import DatagramSignature
from yaoki.runtime.peer_authentication import PeerAuthentication
from yaoki.runtime.signing import wall_ns
from yaoki.vrrp.heartbeat import PORT, Heartbeat, HeartbeatFlaw
from yaoki.vrrp.heartbeat_signature import HEARTBEAT_SIGNATURE
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

ADDRESSES = {"a": IPv4Address("192.0.2.11"), "b": IPv4Address("192.0.2.12")}
TENTH = timedelta(milliseconds=100)
BEAT = Heartbeat("a", "g1", 1, 1, TENTH).encode()
COPY = encode(FlowDatagram(1, 1, Hello()))
SENT = "eth0", ADDRESSES["a"], ADDRESSES["b"]


@dataclass(frozen=True)
class Kind:
    """A kind of datagram, and one of it."""

    signature: DatagramSignature
    message: bytes


@pytest.fixture(params=[Kind(HEARTBEAT_SIGNATURE, BEAT), Kind(FLOW_SIGNATURE, COPY)], ids=["heartbeat", "copy"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def peers(node: str, *keys: KeyRef, mode: Mode = Mode.ENFORCE) -> tuple[PeerParams, ...]:
    """Of `a` or `b`: the other."""
    peer = "b" if node == "a" else "a"
    path = PeerPath("eth0", ADDRESSES[node], ADDRESSES[peer])
    signed_how = AuthenticationParams(keys, mode) if keys else None
    return (PeerParams(peer, ("web-vip",), (path,), authentication=signed_how),)


def way(
    kind: Kind, node: str, *keys: KeyRef, mode: Mode = Mode.ENFORCE
) -> tuple[PeerAuthentication, list[tuple[str, str]]]:
    missing: list[tuple[str, str]] = []
    found = PeerAuthentication(kind.signature, lambda peer, why: missing.append((peer, why)))
    found.configure(peers(node, *keys, mode=mode))
    return found, missing


def judged(by: PeerAuthentication, payload: bytes | None) -> tuple[bytes, SignatureFlaw | None]:
    assert payload is not None
    return by.judge("eth0", Datagram(ADDRESSES["a"], ADDRESSES["b"], 255, payload, 0))


@pytest.mark.usefixtures("secrets")
def test_what_one_signs_the_other_believes_once(kind: Kind) -> None:
    a, missing = way(kind, "a", FIRST)
    b, _ = way(kind, "b", SECOND, FIRST)
    payload = a.sign(SENT, kind.message)
    assert missing == []
    assert payload is not None
    assert len(payload) == len(kind.message) + LENGTH
    assert judged(b, payload) == (kind.message, None)
    assert judged(b, payload) == (kind.message, SignatureFlaw.REPLAYED)
    assert judged(b, a.sign(SENT, kind.message)) == (kind.message, None)
    assert judged(b, kind.message) == (kind.message, SignatureFlaw.UNSIGNED)
    assert judged(way(kind, "b", SECOND)[0], payload) == (kind.message, SignatureFlaw.UNKNOWN_KEY)


@pytest.mark.usefixtures("secrets")
def test_a_sender_that_starts_anew_is_believed_and_what_it_said_before_is_not(kind: Kind) -> None:
    b = way(kind, "b", FIRST)[0]
    before = way(kind, "a", FIRST)[0].sign(SENT, kind.message)
    assert judged(b, before) == (kind.message, None)
    assert judged(b, way(kind, "a", FIRST)[0].sign(SENT, kind.message)) == (kind.message, None)
    assert judged(b, before) == (kind.message, SignatureFlaw.REPLAYED)


@pytest.mark.usefixtures("secrets")
def test_a_site_begins_to_sign_and_changes_its_key_without_a_lost_datagram(kind: Kind) -> None:
    """Each step is taken by one node after the other."""
    a, b = way(kind, "a")[0], way(kind, "b")[0]
    steps = [((FIRST,), mode) for mode in Mode] + [
        (k, Mode.ENFORCE) for k in ((FIRST, SECOND), (SECOND, FIRST), (SECOND,))
    ]
    for keys, mode in steps:
        for node, changed in (("a", a), ("b", b)):
            changed.configure(peers(node, *keys, mode=mode))
            assert judged(b, a.sign(SENT, kind.message)) == (kind.message, None)


@pytest.mark.usefixtures("secrets")
def test_given_the_same_again_a_way_goes_on_where_it_was(kind: Kind) -> None:
    a, b = way(kind, "a", FIRST)[0], way(kind, "b", FIRST)[0]
    payload = a.sign(SENT, kind.message)
    assert judged(b, payload) == (kind.message, None)
    b.configure(peers("b", FIRST))
    assert judged(b, payload) == (kind.message, SignatureFlaw.REPLAYED)


def test_a_key_that_was_changed_in_its_file_is_used_from_the_next_configuration_on(kind: Kind, secrets: Path) -> None:
    a, b = way(kind, "a", FIRST)[0], way(kind, "b", FIRST)[0]
    put(secrets, "first", "f" * 32)
    assert judged(b, a.sign(SENT, kind.message)) == (kind.message, None)
    a.configure(peers("a", FIRST))
    assert judged(b, a.sign(SENT, kind.message)) == (kind.message, SignatureFlaw.WRONG_HMAC)
    b.configure(peers("b", FIRST))
    assert judged(b, a.sign(SENT, kind.message)) == (kind.message, None)


def test_without_keys_nothing_is_touched(kind: Kind) -> None:
    plain = way(kind, "b")[0]
    assert plain.sign(SENT, kind.message) == kind.message
    assert judged(plain, b"any") == (b"any", None)


def test_without_its_key_nothing_is_sent_and_what_was_read_serves_on(kind: Kind, secrets: Path) -> None:
    a, _ = way(kind, "a", FIRST)
    (secrets / "first").unlink()
    a.configure(peers("a", FIRST))
    assert a.sign(SENT, kind.message) is not None
    late, missing = way(kind, "a", FIRST)
    assert late.sign(SENT, kind.message) is None
    ((peer, why),) = missing
    assert (peer, "first" in why) == ("b", True)


# --- real speakers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        for name, number in (("a", 11), ("b", 12), ("c", 13)):
            segment.add(name, number)
        yield segment


def rejected(speaker: RunningSpeaker, *reasons: HeartbeatFlaw) -> bool:
    told = [body.reason for body in speaker.told(HeartbeatRejected) if isinstance(body, HeartbeatRejected)]
    return set(reasons) <= set(told)


def packet(payload: bytes) -> str:
    """From b, as far as its address goes, to a."""
    return forged(payload, PORT, ADDRESSES["b"], ADDRESSES["a"])


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
        speakers[name].tell(
            ConfigureRouters((router,), heartbeat=HeartbeatParams(name, "g1", TENTH, peers(name, FIRST)))
        )
    a, b = speakers["a"], speakers["b"]

    def a_hears_b() -> bool:
        a.listen()
        return "b" in a.peers and a.peers["b"].alive

    eventually(lambda: a.state() is RouterState.ACTIVE and a_hears_b(), "a owns, and hears b")
    gone = Heartbeat("b", "g9", 9, 2**60, timedelta(seconds=60), replaced=True).encode()
    stranger = Key(FIRST.id, bytes(32))
    foreign = HEARTBEAT_SIGNATURE.signed(gone, ADDRESSES["b"], ADDRESSES["a"], stranger, clock_sequence(wall_ns()))
    segment.run("c", sys.executable, "-c", FORGER, packet(gone), packet(foreign)).wait(20)
    eventually(partial(rejected, a, HeartbeatFlaw.UNSIGNED, HeartbeatFlaw.WRONG_HMAC), "each reason was told")
    assert a.told(NodeReplaced) == []
    assert a.state() is RouterState.ACTIVE
    assert a_hears_b()
    b.process.kill()
    eventually(lambda: bool(a.told(PeerSilent)), "a hears b no more")
