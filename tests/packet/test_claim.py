"""Which claim an ARP or neighbour-discovery frame makes."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import BROADCAST, IPAddress, MacAddress
from yaoki.packet import arp, neighbour
from yaoki.packet.claim import Claim, Form, decode
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame, multicast_mac
from yaoki.packet.ipv6 import ALL_NODES, NEXT_HEADER_ICMPV6, UNSPECIFIED, IPv6Packet, solicited_node
from yaoki.packet.malformed import Flaw, Malformed

MAC, OTHER = MacAddress.parse("02:00:00:00:00:01"), MacAddress.parse("02:00:00:00:00:02")
VIP, OWN = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.11")
VIP6, OWN6 = IPv6Address("2001:db8:1::50"), IPv6Address("fe80::11")


def discovery(message: neighbour.NeighbourMessage, source: IPv6Address, to: IPv6Address, *, mac: MacAddress) -> bytes:
    destination = multicast_mac(to) if to.is_multicast else OTHER
    packet = IPv6Packet(source, to, NEXT_HEADER_ICMPV6, message.encode(source, to), hop_limit=255)
    return EthernetFrame(destination, mac, ETHERTYPE_IPV6, packet.encode()).encode()


@pytest.mark.parametrize(
    ("frame", "form", "to"),
    [
        (arp.gratuitous_request(MAC, VIP).frame(), Form.ANNOUNCEMENT, BROADCAST),
        (arp.gratuitous_reply(MAC, VIP).frame(), Form.ANNOUNCEMENT, BROADCAST),
        (arp.request(MAC, VIP, OWN).frame(), Form.QUESTION, BROADCAST),
        (arp.ArpPacket(arp.Operation.REPLY, MAC, VIP, OTHER, OWN).frame(OTHER), Form.ANSWER, OTHER),
    ],
)
@pytest.mark.rfc("826", "Packet Reception")
def test_every_arp_packet_of_a_sender_claims_its_address(frame: bytes, form: Form, to: MacAddress) -> None:
    assert decode(frame) == Claim(VIP, MAC, form, to)


@pytest.mark.rfc("5227", "2.1.1")
def test_an_arp_probe_claims_nothing() -> None:
    assert decode(arp.request(MAC, IPv4Address(0), VIP).frame()) is None


@pytest.mark.rfc("4861", "7.2.5")
def test_an_advertisement_claims_its_target() -> None:
    frame = neighbour.announcement(MAC, VIP6, router=True)
    assert decode(frame) == Claim(VIP6, MAC, Form.ANNOUNCEMENT, multicast_mac(ALL_NODES))
    answer = neighbour.NeighbourAdvertisement(VIP6, MAC, solicited=True, override=True)
    assert decode(discovery(answer, VIP6, OWN6, mac=MAC)) == Claim(VIP6, MAC, Form.ANSWER, OTHER)


@pytest.mark.rfc("4861", "4.4")
def test_an_answer_without_the_option_claims_the_address_for_its_sender() -> None:
    answer = neighbour.NeighbourAdvertisement(VIP6, None, solicited=True)
    assert decode(discovery(answer, VIP6, OWN6, mac=MAC)) == Claim(VIP6, MAC, Form.ANSWER, OTHER)


@pytest.mark.rfc("4861", "7.2.3")
def test_a_solicitation_claims_its_source() -> None:
    group = multicast_mac(solicited_node(VIP6))
    assert decode(neighbour.solicitation(MAC, OWN6, VIP6)) == Claim(OWN6, MAC, Form.QUESTION, group)
    duplicate_detection = neighbour.NeighbourSolicitation(VIP6, None)
    assert decode(discovery(duplicate_detection, UNSPECIFIED, solicited_node(VIP6), mac=MAC)) is None


def test_the_mac_in_the_message_counts_not_that_of_the_frame() -> None:
    answer = neighbour.NeighbourAdvertisement(VIP6, MAC)
    claim = decode(discovery(answer, VIP6, ALL_NODES, mac=OTHER))
    assert isinstance(claim, Claim)
    assert claim.mac == MAC


def test_other_traffic_claims_nothing_and_damage_is_named() -> None:
    assert decode(EthernetFrame(OTHER, MAC, ETHERTYPE_IPV4, bytes(20)).encode()) is None
    assert decode(b"short") == Malformed(Flaw.TRUNCATED, 5)
    assert decode(arp.gratuitous_request(MAC, VIP).frame()[:30]) == Malformed(Flaw.TRUNCATED, 16)
    assert isinstance(decode(neighbour.announcement(MAC, VIP6, router=False)[:-1]), Malformed)


@given(st.binary(max_size=120))
def test_no_frame_is_too_strange(frame: bytes) -> None:
    assert isinstance(decode(frame), Claim | Malformed | None)


@given(st.sampled_from((b"\x08\x06", b"\x86\xdd")), st.binary(max_size=120))
def test_no_payload_is_too_strange(ethertype: bytes, payload: bytes) -> None:
    assert isinstance(decode(bytes(12) + ethertype + payload), Claim | Malformed | None)


def test_addresses_of_both_families_are_told_apart() -> None:
    addresses: list[IPAddress] = [VIP, VIP6]
    frames = [arp.gratuitous_reply(MAC, VIP).frame(), neighbour.announcement(MAC, VIP6, router=False)]
    assert [claim.address for claim in map(decode, frames) if isinstance(claim, Claim)] == addresses
