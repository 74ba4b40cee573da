"""ICMP and ICMPv6: golden messages of a Linux kernel (tcpdump on a veth pair), refusals, round trips."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.packet import icmp, icmp6, ipv4, udp
from yaoki.packet.checksum import internet_checksum
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.malformed import Flaw, Malformed
from yaoki.packet.udp import UdpDatagram

A, B = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::12")

REQUEST = bytes.fromhex("0800d08d1b6100010001020304050607")
REPLY = bytes.fromhex("0000d88d1b6100010001020304050607")
PORT_UNREACHABLE = bytes.fromhex("0303813300000000450000212903400040118db1c000020bc000020cd2550007000d579279616f6b69")
REQUEST_6 = bytes.fromhex("8000fcaa1b6200010001020304050607")
REPLY_6 = bytes.fromhex("8100fbaa1b6200010001020304050607")
PORT_UNREACHABLE_6 = bytes.fromhex(
    "0104132500000000600d1e8c000d114020010db800010000000000000000001120010db8000100000000000000000012"
    "99db0007000db88d79616f6b69"
)
DATA = bytes(range(8))


def test_echo_both_ways() -> None:
    assert icmp.decode(REQUEST) == icmp.Echo(True, 0x1B61, 1, DATA)
    assert icmp.decode(REPLY) == icmp.Echo(False, 0x1B61, 1, DATA)
    assert icmp.Echo(True, 0x1B61, 1, DATA).encode() == REQUEST
    assert icmp.Echo(False, 0x1B61, 1, DATA).encode() == REPLY


def test_unreachable_names_the_refused_datagram() -> None:
    message = icmp.decode(PORT_UNREACHABLE)
    assert isinstance(message, icmp.Unreachable)
    assert message.code == 3
    assert message.encode() == PORT_UNREACHABLE
    original = ipv4.decode(message.original)
    assert isinstance(original, IPv4Packet)
    datagram = udp.decode(original.payload, original.source, original.destination)
    assert datagram == UdpDatagram(0xD255, 7, b"yaoki")
    assert (original.source, original.destination) == (IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"))


def test_echo_of_ipv6_both_ways() -> None:
    assert icmp6.decode(REQUEST_6, A, B) == icmp6.Echo(True, 0x1B62, 1, DATA)
    assert icmp6.decode(REPLY_6, B, A) == icmp6.Echo(False, 0x1B62, 1, DATA)
    assert icmp6.Echo(True, 0x1B62, 1, DATA).encode(A, B) == REQUEST_6
    assert icmp6.Echo(False, 0x1B62, 1, DATA).encode(B, A) == REPLY_6


def test_unreachable_of_ipv6_both_ways() -> None:
    message = icmp6.decode(PORT_UNREACHABLE_6, B, A)
    assert isinstance(message, icmp6.Unreachable)
    assert message.code == 4
    assert message.encode(B, A) == PORT_UNREACHABLE_6


def mended(data: bytes) -> bytes:
    zeroed = data[:2] + b"\0\0" + data[4:]
    return data[:2] + internet_checksum(zeroed).to_bytes(2, "big") + data[4:]


@pytest.mark.parametrize("length", range(8))
def test_truncated_messages_say_where(length: int) -> None:
    assert icmp.decode(REQUEST[:length]) == Malformed(Flaw.TRUNCATED, length)
    assert icmp6.decode(REQUEST_6[:length], A, B) == Malformed(Flaw.TRUNCATED, length)


def test_wrong_checksum_and_foreign_types_are_refused() -> None:
    assert icmp.decode(REQUEST[:-1] + b"\xff") == Malformed(Flaw.CHECKSUM, 2)
    assert icmp.decode(mended(b"\x0d" + REQUEST[1:])) == Malformed(Flaw.TYPE, 0)
    assert icmp6.decode(REQUEST_6[:-1] + b"\xff", A, B) == Malformed(Flaw.CHECKSUM, 2)
    assert icmp6.decode(REQUEST_6, A, A) == Malformed(Flaw.CHECKSUM, 2)
    # RFC 4861 router solicitation, as the kernel sends it
    solicitation = bytes.fromhex("85007b1a00000000010102000000000a")
    router_group = IPv6Address("ff02::2")
    assert icmp6.decode(solicitation, IPv6Address("fe80::ff:fe00:a"), router_group) == Malformed(Flaw.TYPE, 0)


@given(st.binary(max_size=80), st.booleans())
def test_random_bytes_never_raise(data: bytes, mend: bool) -> None:
    icmp.decode(mended(data) if mend and len(data) >= 4 else data)
    icmp6.decode(data, A, B)


words = st.integers(0, 65535)


@given(
    st.builds(icmp.Echo, st.booleans(), words, words, st.binary(max_size=40))
    | st.builds(icmp.Unreachable, st.integers(0, 15), st.binary(max_size=40), words)
)
def test_round_trip(message: icmp.Echo | icmp.Unreachable) -> None:
    assert icmp.decode(message.encode()) == message


@given(
    st.builds(icmp6.Echo, st.booleans(), words, words, st.binary(max_size=40))
    | st.builds(icmp6.Unreachable, st.integers(0, 7), st.binary(max_size=40))
)
def test_round_trip_of_ipv6(message: icmp6.Echo | icmp6.Unreachable) -> None:
    assert icmp6.decode(message.encode(A, B), A, B) == message
