"""Headers of frames that were cut short, or have no checksum yet."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import MacAddress
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.headers import Headers, TcpHeader, decode
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.malformed import Flaw, Malformed
from yaoki.packet.tcp import TcpFlags, TcpSegment
from yaoki.packet.udp import UdpDatagram

A4, B4 = IPv4Address("198.51.100.9"), IPv4Address("192.0.2.50")
A6, B6 = IPv6Address("2001:db8:2::9"), IPv6Address("2001:db8:1::50")
MAC_A, MAC_B = MacAddress(b"\2\0\0\0\0\1"), MacAddress(b"\2\0\0\0\0\2")
SEGMENT = TcpSegment(51000, 80, 7, 9, TcpFlags.PSH | TcpFlags.ACK, options=bytes(12), payload=bytes(1000))


def frame(kind: int, payload: bytes) -> bytes:
    return EthernetFrame(MAC_B, MAC_A, kind, payload).encode()


WHOLE4 = frame(ETHERTYPE_IPV4, IPv4Packet(A4, B4, 6, SEGMENT.encode(A4, B4), hop_limit=63, options=bytes(4)).encode())
WHOLE6 = frame(ETHERTYPE_IPV6, IPv6Packet(A6, B6, 6, SEGMENT.encode(A6, B6), hop_limit=63).encode())


@pytest.mark.parametrize(("whole", "source", "destination"), [(WHOLE4, A4, B4), (WHOLE6, A6, B6)])
@pytest.mark.parametrize("snap", [100, 2000])
def test_a_segment(whole: bytes, source: IPv4Address, destination: IPv4Address, snap: int) -> None:
    header = TcpHeader(7, 9, TcpFlags.PSH | TcpFlags.ACK)
    expected = Headers(MAC_A, MAC_B, source, destination, 6, 63, 51000, 80, header, 1000)
    assert decode(whole[:snap], len(whole)) == expected


def test_a_checksum_that_the_network_card_has_not_made_yet_does_not_matter() -> None:
    assert decode(WHOLE4[:54] + b"\0\0" + WHOLE4[56:], len(WHOLE4)) == decode(WHOLE4, len(WHOLE4))


def test_a_segment_too_large_for_the_length_field_has_zero_there() -> None:
    huge = WHOLE4[:16] + b"\0\0" + WHOLE4[18:100]
    found = decode(huge, 14 + 24 + 32 + 150_000)
    assert isinstance(found, Headers)
    assert found.payload == 150_000


def test_a_datagram_and_its_padding() -> None:
    packet = IPv4Packet(A4, B4, 17, UdpDatagram(51000, 7, b"alive?").encode(A4, B4)).encode()
    padded = frame(ETHERTYPE_IPV4, packet + bytes(20))
    assert decode(padded, len(padded)) == Headers(MAC_A, MAC_B, A4, B4, 17, 64, 51000, 7, None, 6)


def test_a_later_fragment_has_no_ports() -> None:
    fragment = IPv4Packet(A4, B4, 6, bytes(800), fragment_offset=1480)
    whole = frame(ETHERTYPE_IPV4, fragment.encode())
    assert decode(whole, len(whole)) == Headers(MAC_A, MAC_B, A4, B4, 6, 64, payload=800)
    for offset, ports in ((0, (51000, 80)), (185 << 3 | 1, (0, 0))):
        extension = bytes((6, 0)) + offset.to_bytes(2, "big") + bytes(4)
        packet = IPv6Packet(A6, B6, 44, extension + SEGMENT.encode(A6, B6))
        whole = frame(ETHERTYPE_IPV6, packet.encode())
        found = decode(whole, len(whole))
        assert isinstance(found, Headers)
        assert (found.protocol, found.source_port, found.destination_port) == (6, *ports)


@pytest.mark.parametrize(
    ("octets", "flaw"),
    [
        (frame(ETHERTYPE_ARP, bytes(28)), Flaw.TYPE),
        (WHOLE4[:20], Flaw.TRUNCATED),
        (WHOLE4[:40], Flaw.TRUNCATED),
        (WHOLE6[:60], Flaw.TRUNCATED),
        (WHOLE4[:14] + b"\x60" + WHOLE4[15:], Flaw.VERSION),
        (WHOLE4[:14] + b"\x44" + WHOLE4[15:], Flaw.LENGTH),
        (WHOLE4[:50] + b"\x10" + WHOLE4[51:], Flaw.LENGTH),
    ],
)
def test_what_is_no_packet_is_said_to_be_none(octets: bytes, flaw: Flaw) -> None:
    found = decode(octets, len(octets))
    assert isinstance(found, Malformed)
    assert found.reason is flaw


@given(st.binary(max_size=120), st.sampled_from([WHOLE4, WHOLE6]), st.integers(0, 100), st.integers(0, 3000))
def test_no_octets_raise(noise: bytes, whole: bytes, keep: int, length: int) -> None:
    found = decode(whole[:keep] + noise, length)
    assert isinstance(found, Headers | Malformed)
