"""The trailer of a heartbeat: golden octets both ways, every refusal, and what is never taken for one."""

import hashlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vrrp.test_heartbeat import BEAT, GOLDEN
from yaoki.core.address import IPAddress
from yaoki.core.secret import SecretRef
from yaoki.packet.authentication import LENGTH, Key, SignatureFlaw, Verifier
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Mode, Replay, strictest
from yaoki.vrrp.heartbeat import Heartbeat, HeartbeatFlaw, decode, length_of
from yaoki.vrrp.heartbeat_signature import HEARTBEAT_SIGNATURE, divided

KEY, OTHER = Key(1, bytes(range(32))), Key(1, bytes(range(32, 64)))
REF, NEXT = KeyRef(1, SecretRef("vrrp51")), KeyRef(2, SecretRef("next"))
PARAMS = AuthenticationParams((REF,))
OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
NOW_S = 0x68000000
NOW = NOW_S * 1_000_000_000
SEQUENCE = 0x6800000080000000
SIGNED = HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, KEY, SEQUENCE)


def judged(
    payload: bytes, source: IPAddress = PEER, own: IPAddress = OWN, *, verifier: Verifier | None = None
) -> SignatureFlaw | None:
    heartbeat, trailer = divided(payload)
    return (verifier or Verifier(PARAMS, (KEY,))).judge(
        trailer, source, NOW, lambda: HEARTBEAT_SIGNATURE.covered(heartbeat, source, own)
    )


def test_the_trailer_is_an_hmac_over_both_addresses_the_heartbeat_and_its_own_head() -> None:
    """By the definition of HMAC (RFC 2104), without its library."""
    head = bytes.fromhex("0101000068000000 8000 0000")
    addresses = "c000020c" + "00" * 12 + "c000020b" + "00" * 12
    text = bytes.fromhex("04005948" + addresses) + GOLDEN + head + bytes(16)
    padded = KEY.octets.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in padded) + text).digest()
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in padded) + inner).digest()
    assert GOLDEN + head + outer[:16] == SIGNED


def test_what_is_signed_is_the_heartbeat_that_it_was() -> None:
    heartbeat, trailer = divided(SIGNED)
    assert decode(heartbeat, hop_limit=255) == BEAT
    assert trailer is not None
    assert trailer.sequence == SEQUENCE
    assert judged(SIGNED) is None
    six = IPv6Address("2001:db8:1::12"), IPv6Address("2001:db8:1::11")
    assert judged(HEARTBEAT_SIGNATURE.signed(GOLDEN, *six, KEY, SEQUENCE), *six) is None


@given(bit=st.integers(0, len(SIGNED) * 8 - 1))
def test_no_bit_of_it_can_be_changed(bit: int) -> None:
    changed = bytearray(SIGNED)
    changed[bit // 8] ^= 1 << bit % 8
    assert judged(bytes(changed)) is not None


@pytest.mark.parametrize(
    ("payload", "source", "own", "flaw"),
    [
        (GOLDEN, PEER, OWN, SignatureFlaw.UNSIGNED),
        (SIGNED[:-1], PEER, OWN, SignatureFlaw.UNSIGNED),
        (SIGNED, PEER + 1, OWN, SignatureFlaw.WRONG_HMAC),
        # What one peer was told, it alone was told: that it was replaced, for one.
        (SIGNED, PEER, OWN + 1, SignatureFlaw.WRONG_HMAC),
        (HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, OTHER, SEQUENCE), PEER, OWN, SignatureFlaw.WRONG_HMAC),
        (
            HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, Key(3, KEY.octets), SEQUENCE),
            PEER,
            OWN,
            SignatureFlaw.UNKNOWN_KEY,
        ),
        (HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, KEY, NOW_S - 6 << 32), PEER, OWN, SignatureFlaw.STALE),
        (HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, KEY, NOW_S - 5 << 32), PEER, OWN, None),
    ],
)
def test_what_is_not_this_peers_word_to_us_is_refused(
    payload: bytes, source: IPAddress, own: IPAddress, flaw: SignatureFlaw | None
) -> None:
    assert judged(payload, source, own) is flaw


def test_what_was_heard_is_not_heard_again() -> None:
    verifier = Verifier(PARAMS, (KEY,))
    assert judged(SIGNED, verifier=verifier) is None
    assert judged(SIGNED, verifier=verifier) is SignatureFlaw.REPLAYED
    assert judged(HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, KEY, SEQUENCE + 1), verifier=verifier) is None


def test_one_number_may_stand_for_the_keys_of_two_vips() -> None:
    verifier = Verifier(PARAMS, (OTHER, KEY))
    assert judged(SIGNED, verifier=verifier) is None
    assert judged(HEARTBEAT_SIGNATURE.signed(GOLDEN, PEER, OWN, OTHER, SEQUENCE + 1), verifier=verifier) is None


@given(payload=st.binary(max_size=120))
def test_whatever_comes_is_divided_and_judged(payload: bytes) -> None:
    heartbeat, trailer = divided(payload)
    assert heartbeat + (b"" if trailer is None else trailer.head + trailer.tag) == payload
    assert judged(payload) is not None


@pytest.mark.parametrize(
    ("beat", "length"),
    [(BEAT, len(GOLDEN)), (replace(BEAT, replaced=True), len(GOLDEN)), (replace(BEAT, node="", routers=()), 40)],
)
def test_the_header_says_how_long_a_heartbeat_is(beat: Heartbeat, length: int) -> None:
    assert length_of(beat.encode()) == length_of(beat.encode() + bytes(LENGTH)) == length
    assert length_of(beat.encode()[:23]) is None


def test_every_reason_of_a_signature_has_its_word_for_heartbeats() -> None:
    assert [HeartbeatFlaw(flaw.value).name for flaw in SignatureFlaw] == [flaw.name for flaw in SignatureFlaw]


def test_of_several_vips_the_one_that_demands_most_says_how_and_the_keys_of_all_are_known() -> None:
    open_, begun = AuthenticationParams((REF,), Mode.RECEIVE_ONLY), AuthenticationParams((REF,), Mode.PERMISSIVE)
    done = AuthenticationParams((NEXT, REF), replay=Replay.MONOTONIC)
    assert strictest(()) is None
    assert strictest((open_, begun)) == begun
    assert strictest((open_, done, begun)) == done
    assert strictest((PARAMS, done)) == replace(PARAMS, keys=(REF, NEXT))
