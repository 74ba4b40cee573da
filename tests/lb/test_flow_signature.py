"""The trailer of a flow copier's datagram: octets by hand, every refusal, and what is never taken for one."""

import hashlib
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lb.test_flow_datagram import BOOT, FLOW, GOLDEN, NAMES
from yaoki.core.address import IPAddress
from yaoki.core.secret import SecretRef
from yaoki.lb.flow import Flow
from yaoki.lb.flow_datagram import MAX_OCTETS, DatagramFlaw, End, FlowDatagram, Hello, Told, decode, encode, portions
from yaoki.lb.flow_signature import FLOW_SIGNATURE, divided
from yaoki.packet.authentication import LENGTH, Key, SignatureFlaw, Verifier
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Mode, Replay
from yaoki.vrrp.heartbeat_signature import HEARTBEAT_SIGNATURE

KEY, OTHER = Key(1, bytes(range(32))), Key(1, bytes(range(32, 64)))
REF = KeyRef(1, SecretRef("vrrp51"))
PARAMS = AuthenticationParams((REF,))
OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
NOW_S = 0x68000000
NOW = NOW_S * 1_000_000_000
SEQUENCE = 0x6800000080000000
PLAIN = bytes.fromhex(GOLDEN[Told((FLOW, NAMES))])
SIGNED = FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, KEY, SEQUENCE)
HEADERS_IPV6_UDP = 48


def judged(
    payload: bytes, source: IPAddress = PEER, own: IPAddress = OWN, *, verifier: Verifier | None = None
) -> SignatureFlaw | None:
    datagram, trailer = divided(payload)
    verifier = verifier or Verifier(PARAMS, (KEY,))
    return verifier.judge(trailer, source, NOW, lambda: FLOW_SIGNATURE.covered(datagram, source, own))


def test_the_trailer_is_an_hmac_over_both_addresses_the_datagram_and_its_own_head() -> None:
    """By the definition of HMAC (RFC 2104), without its library."""
    head = bytes.fromhex("0101000068000000 8000 0000")
    addresses = "c000020c" + "00" * 12 + "c000020b" + "00" * 12
    text = bytes.fromhex("04005946" + addresses) + PLAIN + head + bytes(16)
    padded = KEY.octets.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in padded) + text).digest()
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in padded) + inner).digest()
    assert bytes.fromhex("5946 02") + PLAIN[3:] + head + outer[:16] == SIGNED


@pytest.mark.parametrize("message", GOLDEN, ids=lambda value: type(value).__name__)
def test_what_is_signed_is_the_datagram_that_it_was(message: Told | End | Hello) -> None:
    datagram = FlowDatagram(BOOT, 7, message)
    six = IPv6Address("2001:db8:1::12"), IPv6Address("2001:db8:1::11")
    for source, own in ((PEER, OWN), six):
        payload = FLOW_SIGNATURE.signed(encode(datagram), source, own, KEY, SEQUENCE)
        assert decode(divided(payload)[0]) == datagram
        assert judged(payload, source, own) is None


@given(bit=st.integers(0, len(SIGNED) * 8 - 1))
def test_no_bit_of_it_can_be_changed(bit: int) -> None:
    changed = bytearray(SIGNED)
    changed[bit // 8] ^= 1 << bit % 8
    assert judged(bytes(changed)) is not None


@given(flows=st.lists(st.sampled_from([FLOW, NAMES]), min_size=1, max_size=60), cut=st.integers(1, LENGTH))
def test_no_number_of_records_hides_a_trailer_or_makes_one(flows: list[Flow], cut: int) -> None:
    """Eight IPv6 records are as long as eighteen IPv4 ones and a trailer."""
    for part in portions(flows):
        plain = encode(FlowDatagram(BOOT, 7, part))
        assert divided(plain) == (plain, None)
        payload = FLOW_SIGNATURE.signed(plain, PEER, OWN, KEY, SEQUENCE)
        assert divided(payload)[0] == plain
        assert len(payload) + HEADERS_IPV6_UDP <= 1280
        assert judged(payload[:-cut]) is not None


def test_the_largest_datagram_still_fits_with_its_trailer() -> None:
    assert MAX_OCTETS + LENGTH + HEADERS_IPV6_UDP <= 1280


@pytest.mark.parametrize(
    ("payload", "source", "own", "flaw"),
    [
        (PLAIN, PEER, OWN, SignatureFlaw.UNSIGNED),
        (SIGNED[:3], PEER, OWN, SignatureFlaw.UNSIGNED),
        (bytes.fromhex("5946 01") + SIGNED[3:], PEER, OWN, SignatureFlaw.UNSIGNED),
        (SIGNED, PEER + 1, OWN, SignatureFlaw.WRONG_HMAC),
        (SIGNED, PEER, OWN + 1, SignatureFlaw.WRONG_HMAC),
        # What a node said to us says nothing that it says itself.
        (SIGNED, OWN, PEER, SignatureFlaw.WRONG_HMAC),
        (FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, OTHER, SEQUENCE), PEER, OWN, SignatureFlaw.WRONG_HMAC),
        (HEARTBEAT_SIGNATURE.signed(SIGNED[:-LENGTH], PEER, OWN, KEY, SEQUENCE), PEER, OWN, SignatureFlaw.WRONG_HMAC),
        (FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, Key(3, KEY.octets), SEQUENCE), PEER, OWN, SignatureFlaw.UNKNOWN_KEY),
        (FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, KEY, NOW_S - 6 << 32), PEER, OWN, SignatureFlaw.STALE),
        (FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, KEY, NOW_S - 5 << 32), PEER, OWN, None),
    ],
)
def test_what_is_not_this_peers_word_to_us_is_refused(
    payload: bytes, source: IPAddress, own: IPAddress, flaw: SignatureFlaw | None
) -> None:
    assert judged(payload, source, own) is flaw


@pytest.mark.parametrize(
    ("mode", "plain", "forged"),
    [
        (Mode.ENFORCE, SignatureFlaw.UNSIGNED, SignatureFlaw.WRONG_HMAC),
        (Mode.PERMISSIVE, None, SignatureFlaw.WRONG_HMAC),
        (Mode.RECEIVE_ONLY, None, SignatureFlaw.WRONG_HMAC),
    ],
)
def test_what_is_not_signed_is_refused_only_where_all_must_be(
    mode: Mode, plain: SignatureFlaw | None, forged: SignatureFlaw
) -> None:
    params = AuthenticationParams((REF,), mode)
    assert judged(PLAIN, verifier=Verifier(params, (KEY,))) is plain
    assert judged(FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, OTHER, SEQUENCE), verifier=Verifier(params, (KEY,))) is forged


@pytest.mark.parametrize(("replay", "late"), [(Replay.TIME, SignatureFlaw.STALE), (Replay.MONOTONIC, None)])
def test_what_was_heard_is_not_heard_again_and_a_restart_forgets_what_the_window_does_not(
    replay: Replay, late: SignatureFlaw | None
) -> None:
    """A receiver that starts has no marks: by its clock it refuses what is old all the same; without, one capture is
    taken until the sender is heard."""
    params = AuthenticationParams((REF,), replay=replay)
    verifier, old = Verifier(params, (KEY,)), FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, KEY, NOW_S - 60 << 32)
    assert judged(SIGNED, verifier=verifier) is None
    assert judged(SIGNED, verifier=verifier) is SignatureFlaw.REPLAYED
    assert judged(FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, KEY, SEQUENCE + 1), verifier=verifier) is None
    restarted = Verifier(params, (KEY,))
    assert judged(old, verifier=restarted) is late
    assert judged(SIGNED, verifier=restarted) is None
    assert judged(old, verifier=restarted) is not None


@given(
    replay=st.sampled_from(Replay),
    heard=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([KEY, OTHER])), max_size=40),
)
def test_however_often_and_in_whatever_order_they_come_each_is_taken_once_at_most_and_none_after_a_later_one(
    replay: Replay, heard: list[tuple[int, Key]]
) -> None:
    verifier = Verifier(AuthenticationParams((REF,), replay=replay), (KEY,))
    taken = [
        number
        for number, key in heard
        if judged(FLOW_SIGNATURE.signed(PLAIN, PEER, OWN, key, SEQUENCE + number), verifier=verifier) is None
    ]
    true = [number for number, key in heard if key is KEY]
    records = [number for place, number in enumerate(true) if number > max(true[:place], default=-1)]
    assert taken == records


@given(payload=st.binary(max_size=120) | st.binary(max_size=120).map(lambda rest: b"YF\x02" + rest))
def test_whatever_comes_is_divided_and_judged(payload: bytes) -> None:
    datagram, trailer = divided(payload)
    assert len(datagram) + (0 if trailer is None else LENGTH) == len(payload)
    assert judged(payload) is not None
    assert isinstance(decode(datagram), FlowDatagram | DatagramFlaw)


def test_without_a_key_what_is_signed_says_so() -> None:
    assert decode(SIGNED) is DatagramFlaw.NO_KEY


def test_every_reason_of_a_signature_has_its_word_for_copies() -> None:
    assert [DatagramFlaw(flaw.value).name for flaw in SignatureFlaw] == [flaw.name for flaw in SignatureFlaw]
