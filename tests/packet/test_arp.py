"""ARP: golden frames of the kernel, iputils arping and keepalived 2.2.7, both ways."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import BROADCAST, MacAddress
from yaoki.packet import arp, ethernet
from yaoki.packet.arp import ArpPacket, Operation
from yaoki.packet.ethernet import EthernetFrame
from yaoki.packet.malformed import Flaw, Malformed

A = MacAddress.parse("02:00:00:00:00:0a")
B = MacAddress.parse("02:00:00:00:00:0b")
IP_A, IP_B, VIP = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"), IPv4Address("192.0.2.50")

KERNEL_REQUEST = bytes.fromhex("ffffffffffff02000000000a0806000108000604000102000000000ac000020b000000000000c000020c")
KERNEL_REPLY = bytes.fromhex("02000000000a02000000000b0806000108000604000202000000000bc000020c02000000000ac000020b")
ARPING_U = bytes.fromhex("ffffffffffff02000000000a0806000108000604000102000000000ac000020bffffffffffffc000020b")
ARPING_A = bytes.fromhex("ffffffffffff02000000000a0806000108000604000202000000000ac000020b02000000000ac000020b")
KEEPALIVED = bytes.fromhex("ffffffffffff02000000000a0806000108000604000102000000000ac0000232ffffffffffffc0000232")


def decoded(frame: bytes) -> ArpPacket:
    outer = ethernet.decode(frame)
    assert isinstance(outer, EthernetFrame)
    packet = arp.decode(outer.payload)
    assert isinstance(packet, ArpPacket)
    return packet


def test_kernel_request_both_ways() -> None:
    packet = arp.request(A, IP_A, IP_B)
    assert decoded(KERNEL_REQUEST) == packet
    assert packet.frame() == KERNEL_REQUEST
    assert not packet.gratuitous


def test_kernel_reply_both_ways() -> None:
    packet = ArpPacket(Operation.REPLY, B, IP_B, A, IP_A)
    assert decoded(KERNEL_REPLY) == packet
    assert packet.frame(A) == KERNEL_REPLY


@pytest.mark.req("B-09")
@pytest.mark.parametrize(("frame", "address"), [(ARPING_U, IP_A), (KEEPALIVED, VIP)])
def test_gratuitous_request_is_what_arping_and_keepalived_send(frame: bytes, address: IPv4Address) -> None:
    assert arp.gratuitous_request(A, address).frame() == frame
    assert decoded(frame).gratuitous


@pytest.mark.req("B-09")
def test_gratuitous_reply_is_what_arping_sends() -> None:
    assert arp.gratuitous_reply(A, IP_A).frame() == ARPING_A
    assert decoded(ARPING_A).gratuitous


@pytest.mark.req("B-07")
@pytest.mark.rfc("9568", "6.4.2", "timer")
def test_announcement_is_broadcast_in_request_and_reply_form() -> None:
    packets = [decoded(frame) for frame in arp.announcement(A, VIP)]
    assert [packet.operation for packet in packets] == [Operation.REQUEST, Operation.REPLY]
    assert {(packet.sender_mac, packet.sender_ip, packet.target_ip) for packet in packets} == {(A, VIP, VIP)}
    assert all(frame[:6] == BROADCAST.octets for frame in arp.announcement(A, VIP))


@pytest.mark.parametrize("length", range(28))
def test_truncated_packet_says_where(length: int) -> None:
    assert arp.decode(KERNEL_REQUEST[14 : 14 + length]) == Malformed(Flaw.TRUNCATED, length)


@pytest.mark.parametrize(
    ("offset", "value", "flaw"),
    [(1, 6, Malformed(Flaw.HARDWARE, 0)), (2, 0x86, Malformed(Flaw.HARDWARE, 0)), (4, 8, Malformed(Flaw.HARDWARE, 0)),
     (5, 16, Malformed(Flaw.HARDWARE, 0)), (7, 3, Malformed(Flaw.TYPE, 6))],
)  # fmt: skip
def test_foreign_arp_is_refused(offset: int, value: int, flaw: Malformed[Flaw]) -> None:
    data = bytearray(KERNEL_REQUEST[14:])
    data[offset] = value
    assert arp.decode(bytes(data)) == flaw


def test_padding_is_ignored() -> None:
    assert arp.decode(KERNEL_REQUEST[14:] + b"\0" * 18) == decoded(KERNEL_REQUEST)


@given(st.binary(max_size=60))
def test_random_bytes_never_raise(data: bytes) -> None:
    packet = arp.decode(data)
    assert isinstance(packet, Malformed) or packet.encode() == data[: arp.LENGTH]


macs = st.binary(min_size=6, max_size=6).map(MacAddress)


@given(st.builds(ArpPacket, st.sampled_from(Operation), macs, st.ip_addresses(v=4), macs, st.ip_addresses(v=4)))
def test_round_trip(packet: ArpPacket) -> None:
    assert decoded(packet.frame()) == packet
