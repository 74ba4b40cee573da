"""UDP: golden datagrams of a Linux kernel (tcpdump on a veth pair, checksum offload off), refusals, round trip."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import IPAddress
from yaoki.packet import udp
from yaoki.packet.malformed import Flaw, Malformed
from yaoki.packet.udp import UdpDatagram

A4, B4 = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
A6, B6 = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::12")
OVER_IPV4 = bytes.fromhex("d2550007000d579279616f6b69")
OVER_IPV6 = bytes.fromhex("99db0007000db88d79616f6b69")


@pytest.mark.parametrize(
    ("data", "port", "source", "destination"), [(OVER_IPV4, 0xD255, A4, B4), (OVER_IPV6, 0x99DB, A6, B6)]
)
def test_kernel_datagram_both_ways(data: bytes, port: int, source: IPAddress, destination: IPAddress) -> None:
    datagram = UdpDatagram(port, 7, b"yaoki")
    assert udp.decode(data, source, destination) == datagram
    assert datagram.encode(source, destination) == data


@pytest.mark.rfc("768", "1")
def test_no_checksum_is_accepted_over_ipv4_only() -> None:
    assert udp.decode(OVER_IPV4[:6] + b"\0\0" + OVER_IPV4[8:], A4, B4) == UdpDatagram(0xD255, 7, b"yaoki")
    assert udp.decode(OVER_IPV6[:6] + b"\0\0" + OVER_IPV6[8:], A6, B6) == Malformed(Flaw.CHECKSUM, 6)


@pytest.mark.rfc("768", "1")
def test_checksum_that_comes_out_zero_is_sent_as_all_ones() -> None:
    plain = UdpDatagram(0xD255, 7, b"\0\0").encode(A4, B4)
    cancelling = UdpDatagram(0xD255, 7, plain[6:8]).encode(A4, B4)
    assert cancelling[6:8] == b"\xff\xff"
    assert udp.decode(cancelling, A4, B4) == UdpDatagram(0xD255, 7, plain[6:8])


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (OVER_IPV4[:7], Malformed(Flaw.TRUNCATED, 7)),
        (OVER_IPV4[:12], Malformed(Flaw.TRUNCATED, 12)),
        (OVER_IPV4[:5] + b"\x07" + OVER_IPV4[6:], Malformed(Flaw.LENGTH, 4)),
        (OVER_IPV4[:-1] + b"\0", Malformed(Flaw.CHECKSUM, 6)),
    ],
)
def test_broken_datagram_is_refused(data: bytes, flaw: Malformed[Flaw]) -> None:
    assert udp.decode(data, A4, B4) == flaw


@given(st.binary(max_size=60))
def test_random_bytes_never_raise(data: bytes) -> None:
    udp.decode(data, A4, B4)
    udp.decode(data, A6, B6)


ports = st.integers(0, 65535)


@given(st.builds(UdpDatagram, ports, ports, st.binary(max_size=40)))
def test_round_trip(datagram: UdpDatagram) -> None:
    assert udp.decode(datagram.encode(A4, B4), A4, B4) == datagram
    assert udp.decode(datagram.encode(A6, B6), A6, B6) == datagram
