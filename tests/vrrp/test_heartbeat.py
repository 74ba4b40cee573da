"""Heartbeats: golden octets both ways, every refusal, hostile input, round trips."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import Family
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.heartbeat import (
    HOP_LIMIT,
    MAX_NAME,
    MAX_ROUTERS,
    Heartbeat,
    HeartbeatFlaw,
    Role,
    RouterKeyOnWire,
    RouterWord,
    decode,
)

TENTH = timedelta(milliseconds=100)
WORDS = (
    RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), Role.ACTIVE, 150),
    RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV6), Role.INITIALIZE, 0),
)
BEAT = Heartbeat("lb1", "0123456789abcdef", 0x1122334455667788, 7, TENTH, WORDS)
# By hand from the drawing in the module; the CRC of "web-vip" as gzip appends it, in network order.
GOLDEN = bytes.fromhex(
    "5948 01 02 03 10 0064"
    "1122334455667788 0000000000000007"
    "6c6231 30313233343536373839616263646566"
    "e97649cc 04 02 96 00"
    "e97649cc 06 00 00 00"
)


def heard(data: bytes) -> Heartbeat | Malformed[HeartbeatFlaw]:
    return decode(data, hop_limit=HOP_LIMIT)


def test_golden_heartbeat_both_ways() -> None:
    assert BEAT.encode() == GOLDEN
    assert heard(GOLDEN) == BEAT


@pytest.mark.parametrize(
    ("data", "flaw", "offset"),
    [
        (b"", HeartbeatFlaw.TRUNCATED, 0),
        (GOLDEN[:23], HeartbeatFlaw.TRUNCATED, 23),
        (GOLDEN[:-1], HeartbeatFlaw.TRUNCATED, len(GOLDEN) - 1),
        (GOLDEN + b"\0", HeartbeatFlaw.TRAILING, len(GOLDEN)),
        (b"XX" + GOLDEN[2:], HeartbeatFlaw.NOT_A_HEARTBEAT, 0),
        (GOLDEN[:2] + b"\x02" + GOLDEN[3:], HeartbeatFlaw.VERSION, 2),
        (GOLDEN[:3] + b"\x65" + GOLDEN[4:], HeartbeatFlaw.ROUTER, 3),
        (GOLDEN[:6] + bytes(2) + GOLDEN[8:], HeartbeatFlaw.INTERVAL, 6),
        (GOLDEN[:24] + b"\xff" + GOLDEN[25:], HeartbeatFlaw.TEXT, 24),
        (GOLDEN[:47] + b"\x05" + GOLDEN[48:], HeartbeatFlaw.ROUTER, 47),
        (GOLDEN[:48] + b"\x04" + GOLDEN[49:], HeartbeatFlaw.ROUTER, 47),
        (GOLDEN[:-8] + GOLDEN[-16:-8], HeartbeatFlaw.ROUTER, 51),
    ],
)
def test_what_is_no_heartbeat_is_refused_with_its_reason(data: bytes, flaw: HeartbeatFlaw, offset: int) -> None:
    assert heard(data) == Malformed(flaw, offset)


def test_a_heartbeat_that_has_crossed_a_router_is_refused() -> None:
    assert decode(GOLDEN, hop_limit=254) == Malformed(HeartbeatFlaw.HOP_LIMIT, 0)


def test_the_reserved_bits_are_ignored() -> None:
    assert heard(GOLDEN[:-1] + b"\x7f") == BEAT


def test_who_yields_says_so_in_the_last_octet() -> None:
    yielding = replace(BEAT, routers=(BEAT.routers[0], replace(BEAT.routers[1], yields=True)))
    assert yielding.encode() == GOLDEN[:-1] + b"\x80"
    assert heard(GOLDEN[:-1] + b"\x80") == yielding


def test_the_longest_fits_a_packet_that_every_ipv6_link_carries() -> None:
    words = tuple(RouterWord(RouterKeyOnWire(n, Family.IPV4), Role.BACKUP, 100) for n in range(MAX_ROUTERS))
    octets = len(replace(BEAT, node="n" * 63, routers=words).encode())
    assert octets + 8 + 40 <= 1280


@pytest.mark.parametrize(
    "wrong",
    [
        {"routers": tuple(RouterWord(RouterKeyOnWire(n, Family.IPV4), Role.BACKUP, 1) for n in range(101))},
        {"node": "n" * (MAX_NAME + 1)},
        {"generation": "g" * (MAX_NAME + 1)},
        {"interval": timedelta(0)},
        {"interval": timedelta(seconds=66)},
    ],
)
def test_what_does_not_fit_is_not_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        replace(BEAT, **wrong)  # type: ignore[arg-type] # the point of the test


words = st.builds(
    RouterWord,
    st.builds(RouterKeyOnWire, st.integers(0, 2**32 - 1), st.sampled_from(Family)),
    st.sampled_from(Role),
    st.integers(0, 255),
    st.booleans(),
)
names = st.text(st.characters(codec="utf-8"), max_size=20)
beats = st.builds(
    Heartbeat,
    names,
    names,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(1, 0xFFFF).map(lambda ms: timedelta(milliseconds=ms)),
    st.lists(words, max_size=10, unique_by=lambda word: word.key).map(tuple),
)


@given(beats)
def test_what_is_encoded_is_what_is_decoded(beat: Heartbeat) -> None:
    assert heard(beat.encode()) == beat


@given(st.binary(max_size=200))
def test_any_octets_are_an_answer_and_no_exception(data: bytes) -> None:
    assert isinstance(heard(data), Heartbeat | Malformed)


@given(beats, st.data())
def test_a_damaged_heartbeat_is_an_answer_and_no_exception(beat: Heartbeat, data: st.DataObject) -> None:
    octets = bytearray(beat.encode())
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    answer = heard(bytes(octets))
    assert isinstance(answer, Heartbeat | Malformed)
