"""Neighbour discovery: golden frames of the kernel and keepalived 2.2.7, every refusal of RFC 4861 7.1."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import MacAddress
from yaoki.packet import ethernet, ipv6, neighbour
from yaoki.packet.checksum import upper_layer_checksum
from yaoki.packet.ethernet import EthernetFrame
from yaoki.packet.ipv6 import ALL_NODES, IPv6Packet
from yaoki.packet.malformed import Flaw, Malformed
from yaoki.packet.neighbour import NeighbourAdvertisement, NeighbourMessage, NeighbourSolicitation

A = MacAddress.parse("02:00:00:00:00:0a")
B = MacAddress.parse("02:00:00:00:00:0b")
IP_A, IP_B, VIP = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::12"), IPv6Address("2001:db8:1::50")

KERNEL_NS = bytes.fromhex(
    "3333ff00001202000000000a86dd6000000000203aff20010db8000100000000000000000011ff0200000000000000000001ff000012"
    "87001bec0000000020010db8000100000000000000000012010102000000000a"
)
KERNEL_NA = bytes.fromhex(
    "02000000000a02000000000b86dd6000000000203aff20010db800010000000000000000001220010db8000100000000000000000011"
    "88008a356000000020010db8000100000000000000000012020102000000000b"
)
KEEPALIVED_NA = bytes.fromhex(
    "33330000000102000000000a86dd6000000000203aff20010db8000100000000000000000050ff020000000000000000000000000001"
    "8800f8812000000020010db8000100000000000000000050020102000000000a"
)


def packet_in(frame: bytes) -> IPv6Packet:
    outer = ethernet.decode(frame)
    assert isinstance(outer, EthernetFrame)
    packet = ipv6.decode(outer.payload)
    assert isinstance(packet, IPv6Packet)
    return packet


def decoded(frame: bytes) -> NeighbourMessage | Malformed[Flaw]:
    return neighbour.decode(packet_in(frame))


def test_kernel_solicitation_both_ways() -> None:
    assert decoded(KERNEL_NS) == NeighbourSolicitation(IP_B, A)
    assert neighbour.solicitation(A, IP_A, IP_B) == KERNEL_NS


def test_kernel_advertisement_both_ways() -> None:
    message = NeighbourAdvertisement(IP_B, B, solicited=True, override=True)
    assert decoded(KERNEL_NA) == message
    assert message.encode(IP_B, IP_A) == packet_in(KERNEL_NA).payload


@pytest.mark.req("B-07")
def test_announcement_is_what_keepalived_sends() -> None:
    assert neighbour.announcement(A, VIP, router=False) == KEEPALIVED_NA


@pytest.mark.rfc("9568", "6.4.2", "timer")
def test_announcement_of_a_router_sets_r_and_o_and_clears_s() -> None:
    message = decoded(neighbour.announcement(A, VIP, router=True))
    assert message == NeighbourAdvertisement(VIP, A, router=True, solicited=False, override=True)


def test_solicitation_for_duplicate_detection_has_no_mac() -> None:
    group = ipv6.solicited_node(VIP)
    data = NeighbourSolicitation(VIP).encode(ipv6.UNSPECIFIED, group)
    packet = IPv6Packet(ipv6.UNSPECIFIED, group, ipv6.NEXT_HEADER_ICMPV6, data, hop_limit=255)
    assert neighbour.decode(packet) == NeighbourSolicitation(VIP, None)


def crafted(data: bytes, *, hop_limit: int = 255, next_header: int = 58, mend: bool = True) -> IPv6Packet:
    """An advertisement from VIP to all nodes made of `data`, its checksum mended unless told otherwise."""
    if mend and len(data) >= 4:
        zeroed = data[:2] + b"\0\0" + data[4:]
        value = upper_layer_checksum(VIP, ALL_NODES, protocol=58, data=zeroed)
        data = data[:2] + value.to_bytes(2, "big") + data[4:]
    return IPv6Packet(VIP, ALL_NODES, next_header, data, hop_limit=hop_limit)


GOOD = NeighbourAdvertisement(VIP, A, override=True).encode(VIP, ALL_NODES)


@pytest.mark.rfc("4861", "7.1.2")
@pytest.mark.parametrize(
    ("packet", "flaw"),
    [
        (crafted(GOOD, next_header=17), Malformed(Flaw.TYPE, 0)),
        (crafted(GOOD, hop_limit=254), Malformed(Flaw.HOP_LIMIT, 0)),
        (crafted(GOOD[:23]), Malformed(Flaw.TRUNCATED, 23)),
        (crafted(b"\x85" + GOOD[1:]), Malformed(Flaw.TYPE, 0)),
        (crafted(GOOD[:1] + b"\x01" + GOOD[2:]), Malformed(Flaw.TYPE, 0)),
        (crafted(GOOD[:-1] + b"\xee", mend=False), Malformed(Flaw.CHECKSUM, 2)),
        (crafted(GOOD[:8] + ALL_NODES.packed + GOOD[24:]), Malformed(Flaw.ADDRESS, 8)),
        (crafted(GOOD[:25] + b"\0" + GOOD[26:]), Malformed(Flaw.OPTION, 24)),
        (crafted(GOOD[:25] + b"\x02" + GOOD[26:]), Malformed(Flaw.OPTION, 24)),
        (crafted(GOOD + b"\x0e"), Malformed(Flaw.OPTION, 32)),
        (crafted(GOOD + b"\x0e\x00" + bytes(6)), Malformed(Flaw.OPTION, 32)),
        (crafted(GOOD[:24] + (b"\x0e\x01" + bytes(6)) * 17), Malformed(Flaw.OPTION, 24 + 16 * 8)),
    ],
)
def test_broken_advertisement_is_refused(packet: IPv6Packet, flaw: Malformed[Flaw]) -> None:
    assert neighbour.decode(packet) == flaw


def test_unknown_options_are_skipped() -> None:
    packet = crafted(GOOD[:24] + b"\x0e\x01" + bytes(6) + GOOD[24:])
    assert neighbour.decode(packet) == NeighbourAdvertisement(VIP, A, override=True)


@given(st.binary(max_size=80), st.sampled_from([b"\x87\0", b"\x88\0", b""]), st.booleans())
def test_random_bytes_never_raise(data: bytes, head: bytes, mend: bool) -> None:
    neighbour.decode(crafted(head + data, mend=mend))


macs = st.none() | st.binary(min_size=6, max_size=6).map(MacAddress)
targets = st.ip_addresses(v=6).filter(lambda address: not address.is_multicast)


@given(
    st.builds(NeighbourSolicitation, targets, macs)
    | st.builds(
        NeighbourAdvertisement,
        targets,
        macs,
        router=st.booleans(),
        solicited=st.booleans(),
        override=st.booleans(),
    )
)
def test_round_trip(message: NeighbourMessage) -> None:
    packet = IPv6Packet(VIP, ALL_NODES, ipv6.NEXT_HEADER_ICMPV6, message.encode(VIP, ALL_NODES), hop_limit=255)
    assert neighbour.decode(packet) == message
