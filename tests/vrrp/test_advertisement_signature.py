"""Signed advertisements: the draft's wire images both ways, every refusal, and what time does to them."""

import hashlib
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import IPAddress
from yaoki.core.secret import SecretRef
from yaoki.packet.authentication import LENGTH, MAX_SENDERS, Key, SignatureFlaw, Verifier
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Mode, Replay
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, Advertisement, Rejection, decode
from yaoki.vrrp.advertisement_signature import covered, divided, signed
from yaoki.vrrp.params import ChecksumForm

KEY = Key(1, bytes(range(32)))
REF = KeyRef(1, SecretRef("vrrp51"))
PARAMS = AuthenticationParams((REF,))
ORDERED = AuthenticationParams((REF,), replay=Replay.MONOTONIC)
SECOND = timedelta(seconds=1)
S = 1_000_000_000
NOW_S = 0x68000000
NOW = NOW_S * S

# The appendix of draft-cassen-vrrp-auth-hmac: key 00..1f with id 1, VRID 51, priority 200, sequence 0x6800000080000000.
# Worked out again from its text with `openssl dgst -sha256 -mac HMAC`.
SEQUENCE = 0x6800000080000000
SOURCE_4, SOURCE_6, TARGET_6 = IPv4Address("198.51.100.10"), IPv6Address("fe80::10"), IPv6Address("fe80::20")
IPV4 = bytes.fromhex("3133c80100644402c00002640101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265")
IPV6 = bytes.fromhex(
    "3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78"
)
ADVERT_4 = Advertisement(3, 51, 200, SECOND, (IPv4Address("192.0.2.100"),), ChecksumForm.MESSAGE_ONLY)
ADVERT_6 = Advertisement(3, 51, 200, SECOND, (IPv6Address("fe80::100"),))
IMAGES = [
    pytest.param(IPV4, ADVERT_4, SOURCE_4, IPv4Address("192.0.2.10"), id="IPv4"),
    pytest.param(IPV6, ADVERT_6, SOURCE_6, TARGET_6, id="IPv6"),
]


def judged(
    payload: bytes,
    source: IPAddress = SOURCE_6,
    *,
    verifier: Verifier | None = None,
    params: AuthenticationParams = PARAMS,
    wall_ns: int = NOW,
) -> SignatureFlaw | None:
    message, trailer = divided(payload, source, TARGET_6 if source.version == 6 else GROUP_IPV4)
    verifier = verifier or Verifier(params, (KEY,))
    return verifier.judge(trailer, source, wall_ns, lambda: covered(message, source))


@pytest.mark.parametrize(("image", "advertisement", "source", "target"), IMAGES)
def test_the_drafts_images_both_ways(
    image: bytes, advertisement: Advertisement, source: IPAddress, target: IPAddress
) -> None:
    message = advertisement.encode(source, target)
    assert signed(message, source, target, KEY, SEQUENCE) == image
    found, trailer = divided(image, source, target)
    assert found == message
    assert decode(found, source=source, destination=target, hop_limit=255) == advertisement
    assert trailer is not None
    assert trailer.sequence == SEQUENCE
    assert Verifier(PARAMS, (KEY,)).judge(trailer, source, NOW, lambda: covered(found, source)) is None


def test_the_tag_is_rfc_2104_over_what_the_draft_says() -> None:
    """By the definition of HMAC, without its library."""
    covered = bytes.fromhex("04033300c633640a" + "00" * 12 + "3133c80100640000c0000264010100006800000080000000")
    covered += bytes(16)
    padded = KEY.octets.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in padded) + covered).digest()
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in padded) + inner).digest()
    assert IPV4[-16:] == outer[:16]


# One bit of one octet of the IPv6 image: where, and what it is refused for.
TAMPERED = [
    ("priority", 2, SignatureFlaw.WRONG_HMAC),
    ("interval", 5, SignatureFlaw.WRONG_HMAC),
    ("checksum", 7, None),
    ("address", 23, SignatureFlaw.WRONG_HMAC),
    ("type", 24, SignatureFlaw.TRAILER),
    ("key id", 25, SignatureFlaw.UNKNOWN_KEY),
    ("reserved", 27, SignatureFlaw.TRAILER),
    ("seconds", 31, SignatureFlaw.WRONG_HMAC),
    ("counter", 35, SignatureFlaw.WRONG_HMAC),
    ("HMAC", 51, SignatureFlaw.WRONG_HMAC),
]


@pytest.mark.parametrize(("octet", "flaw"), [case[1:] for case in TAMPERED], ids=[case[0] for case in TAMPERED])
def test_a_changed_bit_is_refused_for_what_it_changes(octet: int, flaw: SignatureFlaw | None) -> None:
    changed = bytearray(IPV6)
    changed[octet] ^= 1
    assert judged(bytes(changed), params=ORDERED) is flaw


def test_a_checksum_that_is_wrong_is_left_wrong_for_the_decoder() -> None:
    changed = bytearray(IPV6)
    changed[7] ^= 1
    message, _ = divided(bytes(changed), SOURCE_6, TARGET_6)
    assert not isinstance(decode(message, source=SOURCE_6, destination=TARGET_6, hop_limit=255), Advertisement)


def test_another_source_or_virtual_router_cannot_use_it() -> None:
    assert judged(IPV6, IPv6Address("fe80::20"), params=ORDERED) is SignatureFlaw.WRONG_HMAC
    other = bytearray(IPV6)
    other[1] = 52
    assert judged(bytes(other), params=ORDERED) is SignatureFlaw.WRONG_HMAC


def test_version_2_has_its_own_eight_octets_before_the_trailer() -> None:
    advertisement = Advertisement(2, 51, 200, SECOND, (IPv4Address("192.0.2.100"),), ChecksumForm.MESSAGE_ONLY)
    message = advertisement.encode(SOURCE_4, GROUP_IPV4)
    payload = signed(message, SOURCE_4, GROUP_IPV4, KEY, SEQUENCE)
    assert (len(message), len(payload)) == (20, 48)
    assert divided(payload, SOURCE_4, GROUP_IPV4)[0] == message
    assert judged(payload, SOURCE_4) is None


@pytest.mark.parametrize(
    ("mode", "flaw"), [(Mode.ENFORCE, SignatureFlaw.UNSIGNED), (Mode.PERMISSIVE, None), (Mode.RECEIVE_ONLY, None)]
)
def test_what_is_not_signed_is_refused_only_where_all_must_be(mode: Mode, flaw: SignatureFlaw | None) -> None:
    message = ADVERT_4.encode(SOURCE_4, GROUP_IPV4)
    assert divided(message, SOURCE_4, GROUP_IPV4) == (message, None)
    assert judged(message, SOURCE_4, params=AuthenticationParams((REF,), mode=mode)) is flaw
    forged = signed(message, SOURCE_4, GROUP_IPV4, Key(1, bytes(32)), SEQUENCE)
    assert judged(forged, SOURCE_4, params=AuthenticationParams((REF,), mode=mode)) is SignatureFlaw.WRONG_HMAC


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off_s", "flaw"), [(-6, SignatureFlaw.STALE), (-5, None), (0, None), (5, None), (6, SignatureFlaw.STALE)]
)
def test_the_window_is_five_seconds_to_either_side(off_s: int, flaw: SignatureFlaw | None) -> None:
    assert judged(IPV6, wall_ns=NOW + off_s * S) is flaw
    assert judged(IPV6, params=ORDERED, wall_ns=NOW + off_s * S) is None


def test_what_was_heard_once_is_refused_and_each_sender_counts_for_itself() -> None:
    verifier = Verifier(PARAMS, (KEY,))
    message = ADVERT_4.encode(SOURCE_4, GROUP_IPV4)
    other = SOURCE_4 + 1
    first, second = (signed(message, SOURCE_4, GROUP_IPV4, KEY, SEQUENCE + n) for n in range(2))
    assert judged(second, SOURCE_4, verifier=verifier) is None
    assert judged(second, SOURCE_4, verifier=verifier) is SignatureFlaw.REPLAYED
    assert judged(first, SOURCE_4, verifier=verifier) is SignatureFlaw.REPLAYED
    assert judged(signed(message, other, GROUP_IPV4, KEY, SEQUENCE), other, verifier=verifier) is None


def test_a_forgery_moves_no_mark() -> None:
    verifier = Verifier(ORDERED, (KEY,))
    forged = signed(ADVERT_6.encode(SOURCE_6, TARGET_6), SOURCE_6, TARGET_6, Key(1, bytes(32)), SEQUENCE + 1000)
    assert judged(forged, verifier=verifier) is SignatureFlaw.WRONG_HMAC
    assert judged(IPV6, verifier=verifier) is None


def test_a_mark_beyond_the_window_gives_way_to_a_clock_that_was_mended() -> None:
    message = ADVERT_6.encode(SOURCE_6, TARGET_6)
    ahead = signed(message, SOURCE_6, TARGET_6, KEY, SEQUENCE + (3600 << 32))
    verifier = Verifier(PARAMS, (KEY,))
    assert judged(ahead, verifier=verifier, wall_ns=NOW + 3600 * S) is None
    assert judged(IPV6, verifier=verifier) is None, "the clocks of both were set back"
    strict = Verifier(ORDERED, (KEY,))
    assert judged(ahead, verifier=strict) is None
    assert judged(IPV6, verifier=strict) is SignatureFlaw.REPLAYED


def test_the_sender_heard_longest_ago_is_forgotten_first() -> None:
    verifier = Verifier(ORDERED, (KEY,))
    message = ADVERT_4.encode(SOURCE_4, GROUP_IPV4)
    packets = {n: signed(message, SOURCE_4 + n, GROUP_IPV4, KEY, SEQUENCE) for n in range(MAX_SENDERS + 1)}
    for n, packet in packets.items():
        assert judged(packet, SOURCE_4 + n, verifier=verifier) is None
    assert judged(packets[1], SOURCE_4 + 1, verifier=verifier) is SignatureFlaw.REPLAYED
    assert judged(packets[0], SOURCE_4, verifier=verifier) is None


@given(st.binary(max_size=120), st.sampled_from([SOURCE_4, SOURCE_6]))
def test_no_octets_make_it_stumble(payload: bytes, source: IPAddress) -> None:
    target = GROUP_IPV4 if source.version == 4 else GROUP_IPV6
    message, trailer = divided(payload, source, target)
    assert len(message) + (0 if trailer is None else LENGTH) == len(payload)
    if trailer is not None:
        assert Verifier(PARAMS, (KEY,)).judge(trailer, source, NOW, lambda: covered(message, source)) is not None


def test_every_reason_of_a_signature_has_its_word_for_advertisements() -> None:
    assert [Rejection(flaw.value).name for flaw in SignatureFlaw] == [flaw.name for flaw in SignatureFlaw]
