"""TCP: golden segments of a Linux kernel (tcpdump on a veth pair, checksum offload off), refusals, round trip."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.packet import tcp
from yaoki.packet.malformed import Flaw, Malformed
from yaoki.packet.tcp import TcpFlags, TcpSegment

A4, B4 = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
A6, B6 = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::12")
SYN = bytes.fromhex("9b0e0050df77ea0300000000a002faf012d10000020405b40402080aa139b00f000000000103030a")
RESET = bytes.fromhex("00509b0e00000000df77ea0450140000c6dd0000")
SYN_6 = bytes.fromhex("e2b00050c8cf214f00000000a002fd20dde20000020405a00402080a13113146000000000103030a")


def test_syn_both_ways() -> None:
    segment = TcpSegment(0x9B0E, 80, 0xDF77EA03, 0, TcpFlags.SYN, window=0xFAF0, options=SYN[20:])
    assert tcp.decode(SYN, A4, B4) == segment
    assert segment.encode(A4, B4) == SYN


def test_reset_both_ways() -> None:
    segment = TcpSegment(80, 0x9B0E, 0, 0xDF77EA04, TcpFlags.RST | TcpFlags.ACK)
    assert tcp.decode(RESET, B4, A4) == segment
    assert segment.encode(B4, A4) == RESET


def test_syn_over_ipv6_both_ways() -> None:
    segment = tcp.decode(SYN_6, A6, B6)
    assert isinstance(segment, TcpSegment)
    assert (segment.destination_port, segment.flags) == (80, TcpFlags.SYN)
    assert segment.encode(A6, B6) == SYN_6


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (SYN[:19], Malformed(Flaw.TRUNCATED, 19)),
        (SYN[:30], Malformed(Flaw.TRUNCATED, 30)),
        (SYN[:12] + b"\x40" + SYN[13:], Malformed(Flaw.LENGTH, 12)),
        (SYN[:-1] + b"\0", Malformed(Flaw.CHECKSUM, 16)),
    ],
)
def test_broken_segment_is_refused(data: bytes, flaw: Malformed[Flaw]) -> None:
    assert tcp.decode(data, A4, B4) == flaw


@given(st.binary(max_size=80))
def test_random_bytes_never_raise(data: bytes) -> None:
    tcp.decode(data, A4, B4)
    tcp.decode(data, A6, B6)


words, longs = st.integers(0, 65535), st.integers(0, 2**32 - 1)


@given(
    st.builds(
        TcpSegment,
        words,
        words,
        longs,
        longs,
        st.integers(0, 255).map(TcpFlags),
        window=words,
        urgent=words,
        options=st.sampled_from([b"", b"\x01\x01\x01\x00", b"\x01" * 40]),
        payload=st.binary(max_size=40),
    )
)
def test_round_trip(segment: TcpSegment) -> None:
    assert tcp.decode(segment.encode(A4, B4), A4, B4) == segment
