"""A packet inside another: the outer headers octet by octet, and what is inside found again, however it is cut."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.packet import headers
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.headers import Headers
from yaoki.packet.ipv4 import PROTOCOL_TCP, IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.tcp import TcpFlags, TcpSegment
from yaoki.packet.tunnel import Encapsulation, Tunnel, Wrapping, inside

A, B = (MacAddress(bytes((2, 0, 0, 0, 0, number))) for number in (1, 2))
IPIP, GUE = Tunnel(), Tunnel(Encapsulation.GUE, 6081)
ENDS: dict[int, tuple[IPAddress, IPAddress]] = {
    4: (IPv4Address("192.0.2.11"), IPv4Address("203.0.113.21")),
    6: (IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:9::21")),
}


def packet(version: int) -> bytes:
    """A SYN to a VIP."""
    if version == 4:
        source, vip = IPv4Address("198.51.100.9"), IPv4Address("192.0.2.50")
        return IPv4Packet(source, vip, PROTOCOL_TCP, segment().encode(source, vip)).encode()
    source6, vip6 = IPv6Address("2001:db8:2::9"), IPv6Address("2001:db8:1::50")
    return IPv6Packet(source6, vip6, PROTOCOL_TCP, segment().encode(source6, vip6)).encode()


def segment() -> TcpSegment:
    return TcpSegment(40000, 80, 7, 0, TcpFlags.SYN, window=1000)


def framed(version: int, octets: bytes) -> bytes:
    return EthernetFrame(B, A, ETHERTYPE_IPV4 if version == 4 else ETHERTYPE_IPV6, octets).encode()


@pytest.mark.rfc("2003", "3.1")
def test_outer_headers_of_ipv4() -> None:
    assert Wrapping(IPIP, *ENDS[4]).wrap(b"\x45") == bytes.fromhex(
        "4500 0015 0000 4000 40 04 3cc4 c000020b cb007115 45".replace(" ", "")
    )
    assert Wrapping(GUE, *ENDS[4], source_port=0xC001).wrap(b"\x45") == bytes.fromhex(
        "4500 001d 0000 4000 40 11 3caf c000020b cb007115 c001 17c1 0009 0000 45".replace(" ", "")
    )


@pytest.mark.rfc("2473", "3")
def test_outer_headers_of_ipv6() -> None:
    ends = ENDS[6][0].packed + ENDS[6][1].packed
    assert Wrapping(IPIP, *ENDS[6]).wrap(b"\x60") == bytes.fromhex("6000000000012940") + ends + b"\x60"
    assert Wrapping(GUE, *ENDS[6], source_port=0xC001).wrap(b"\x60") == (
        bytes.fromhex("6000000000091140") + ends + bytes.fromhex("c00117c10009000060")
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tunnel", [IPIP, GUE], ids=str)
def test_what_is_inside_is_the_packet_as_it_was(version: int, tunnel: Tunnel) -> None:
    bare = framed(version, packet(version))
    wrapped = framed(version, Wrapping(tunnel, *ENDS[version]).wrap(packet(version)))
    assert len(wrapped) - len(bare) == tunnel.overhead(Family(version))
    assert inside(wrapped, len(wrapped), 6081) == headers.decode(bare, len(bare))


@pytest.mark.parametrize("version", [4, 6])
def test_nothing_is_inside_a_plain_packet_or_another_port(version: int) -> None:
    bare = framed(version, packet(version))
    assert inside(bare, len(bare), 6081) is None
    gue = framed(version, Wrapping(GUE, *ENDS[version]).wrap(packet(version)))
    assert inside(gue, len(gue), 6080) is None
    assert inside(gue, len(gue)) is None


def test_of_another_version_or_none_there_is_nothing() -> None:
    for octets in (packet(6), b"\0" * 40, b""):
        wrapped = framed(4, Wrapping(IPIP, *ENDS[4]).wrap(octets))
        assert inside(wrapped, len(wrapped)) is None
    with pytest.raises(ValueError, match="a tunnel from"):
        Wrapping(IPIP, ENDS[4][0], ENDS[6][1]).wrap(b"")


@given(
    version=st.sampled_from([4, 6]), tunnel=st.sampled_from([IPIP, GUE]), cut=st.integers(0, 120), flipped=st.binary()
)
def test_any_octets_are_looked_at_to_their_end(version: int, tunnel: Tunnel, cut: int, flipped: bytes) -> None:
    whole = framed(version, Wrapping(tunnel, *ENDS[version]).wrap(packet(version)))
    frame = whole[:cut] + flipped
    found = inside(frame, len(frame), 6081)
    assert found is None or isinstance(found, Headers)
