"""Signed advertisements: the keys that a speaker reads, and real speakers that believe nobody without them."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.runtime.signing_keys import FIRST, SECOND, put
from tests.runtime.speakers import VIP, VIP_6, RunningSpeaker, Segment, eventually, never, params
from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.messages import KeysFound, RouterState, SendAdvertisement
from yaoki.node.speaker_events import KeyUnavailable
from yaoki.packet.authentication import LENGTH
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Mode
from yaoki.runtime.speaker_authentication import SpeakerAuthentication
from yaoki.vrrp.advertisement import GROUP_IPV4, Advertisement, Rejection
from yaoki.vrrp.events import PacketRejected
from yaoki.vrrp.params import RouterParams

BOTH = (Family.IPV4, Family.IPV6)
SOURCE = IPv4Address("192.0.2.11")
MESSAGE = Advertisement(3, 51, 150, timedelta(milliseconds=100), (IPv4Address("192.0.2.50"),)).encode(
    SOURCE, GROUP_IPV4
)
SENT = SendAdvertisement("eth0", Family.IPV4, SOURCE, GROUP_IPV4, MESSAGE)


def router(*keys: KeyRef, mode: Mode = Mode.ENFORCE, family: Family = Family.IPV4, priority: int = 150) -> RouterParams:
    return replace(params(priority, family=family), authentication=AuthenticationParams(keys, mode))


def reader(*keys: KeyRef, mode: Mode = Mode.ENFORCE) -> tuple[SpeakerAuthentication, list[EventBody], KeysFound]:
    told: list[EventBody] = []
    found = SpeakerAuthentication(told.append)
    return found, told, found.configure([router(*keys, mode=mode)])


def judged(by: SpeakerAuthentication, payload: bytes) -> Rejection | None:
    return by.judge("eth0", Family.IPV4, Datagram(SOURCE, GROUP_IPV4, 255, payload, 0))[1]


@pytest.mark.usefixtures("secrets")
def test_what_one_signs_the_other_believes_once() -> None:
    sender, told, found = reader(FIRST)
    assert (told, found.missing) == ([], ())
    hearer, _, _ = reader(SECOND, FIRST)
    payload = sender.sign(SENT)
    assert payload is not None
    assert len(payload) == len(MESSAGE) + LENGTH
    assert hearer.judge("eth0", Family.IPV4, Datagram(SOURCE, GROUP_IPV4, 255, payload, 0)) == (MESSAGE, None)
    assert judged(hearer, payload) is Rejection.REPLAYED
    again = sender.sign(SENT)
    assert again is not None
    assert judged(hearer, again) is None
    assert judged(reader(SECOND)[0], payload) is Rejection.UNKNOWN_KEY
    assert judged(hearer, MESSAGE) is Rejection.UNSIGNED


@pytest.mark.usefixtures("secrets")
def test_keys_are_changed_without_a_lost_advertisement() -> None:
    """Every router accepts the next key before any of them signs with it."""
    a, b = reader(FIRST)[0], reader(FIRST)[0]
    for step in ((FIRST, SECOND), (SECOND, FIRST), (SECOND,)):
        for changed in (a, b):
            changed.configure([router(*step)])
            for sender, hearer in ((a, b), (b, a)):
                payload = sender.sign(SENT)
                assert payload is not None
                assert judged(hearer, payload) is None


@pytest.mark.usefixtures("secrets")
def test_who_only_receives_signs_nothing_and_verifies_what_is_signed() -> None:
    hearer, _, _ = reader(FIRST, mode=Mode.RECEIVE_ONLY)
    assert hearer.sign(SENT) == MESSAGE
    assert judged(hearer, MESSAGE) is None
    payload = reader(FIRST)[0].sign(SENT)
    assert payload is not None
    assert judged(hearer, payload) is None
    assert judged(hearer, payload[:-1] + bytes((payload[-1] ^ 1,))) is Rejection.WRONG_HMAC


def test_a_router_without_authentication_is_not_touched() -> None:
    plain = SpeakerAuthentication(lambda _: None)
    assert plain.configure([params(150)]) == KeysFound(())
    assert plain.sign(SENT) == MESSAGE
    assert plain.judge("eth0", Family.IPV4, Datagram(SOURCE, GROUP_IPV4, 255, b"\x31", 0)) == (b"\x31", None)


@pytest.mark.parametrize(
    ("value", "mode", "why"),
    [
        (None, 0o600, "No such file or directory"),
        ("too short", 0o600, "it does not hold 32 to 64 characters"),
        ("hex:0", 0o600, "it does not hold 32 to 64 characters"),
        ("a passphrase of 32 characters ..", 0o644, "open to others"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_its_value(
    secrets: Path, value: str | None, mode: int, why: str
) -> None:
    (secrets / "first").unlink()
    if value is not None:
        put(secrets, "first", value)
        (secrets / "first").chmod(mode)
    found, told, answer = reader(FIRST)
    (body,) = told
    assert isinstance(body, KeyUnavailable)
    assert why in body.why
    assert value is None or value not in body.why
    assert answer.missing == (router(FIRST).key,)
    assert found.sign(SENT) is None


def test_a_key_that_was_read_serves_on_when_its_file_goes(secrets: Path) -> None:
    found, told, _ = reader(FIRST)
    (secrets / "first").unlink()
    assert found.configure([router(FIRST)]) == KeysFound(())
    assert len(told) == 1
    assert found.sign(SENT) is not None


# --- real speakers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        for name, number in (("a", 11), ("b", 12), ("c", 13)):
            segment.add(name, number)
        yield segment


INTRUDER = """
import socket, struct, time
four = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
index = socket.if_nametoindex("eth0")
four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
for data in ("3133ff01000a0d8ec0000232", "3133ff01000a0d8ec0000232" "010100006800000080000000" + "00" * 16):
    for _ in range(20):
        four.sendto(bytes.fromhex(data), ("224.0.0.18", 0))
        time.sleep(0.02)
"""
"""Advertises priority 255 as RFC 9568 has it: without a signature, and with one that is none."""


def refused(speaker: RunningSpeaker, *reasons: Rejection) -> bool:
    told = [body.reason for body in speaker.told(PacketRejected) if isinstance(body, PacketRejected)]
    return set(reasons) <= set(told)


@pytest.mark.netns
@pytest.mark.req("B-07")
def test_speakers_of_one_key_elect_an_owner_whom_a_stranger_cannot_depose(
    segment: Segment, tmp_path: Path, secrets: Path
) -> None:
    speakers = {}
    for name, priority in (("a", 150), ("b", 100)):
        (tmp_path / name).mkdir()
        speakers[name] = segment.speaker(name, tmp_path / name)
        speakers[name].configure(*[router(FIRST, family=family, priority=priority) for family in BOTH])
    a, b = speakers["a"], speakers["b"]
    eventually(lambda: segment.holders(VIP) == segment.holders(VIP_6) == ["a"], "a owns both")
    eventually(lambda: all(b.hears(150, family) for family in BOTH), "b believes a")
    segment.run("c", sys.executable, "-c", INTRUDER).wait(20)
    for speaker in (a, b):
        eventually(partial(refused, speaker, Rejection.UNSIGNED, Rejection.STALE), "each reason was told")
    assert (a.state(), b.state()) == (RouterState.ACTIVE, RouterState.BACKUP)
    assert a.release() == 0
    eventually(lambda: segment.holders(VIP) == segment.holders(VIP_6) == ["b"], "b follows the priority zero of a")

    (secrets / "first").unlink()
    (tmp_path / "c").mkdir()
    c = segment.speaker("c", tmp_path / "c")
    c.configure(*[router(FIRST, family=family, priority=200) for family in BOTH])
    eventually(lambda: len(c.told(KeyUnavailable)) == 2, "c has no key")
    never(lambda: "c" in segment.holders(VIP), "c owns without a key", within=1.5)
