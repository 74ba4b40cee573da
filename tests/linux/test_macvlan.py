"""Interfaces of virtual MACs: names, the rules beside them, and the frames that leave from them. Pure."""

import zlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.linux.frame_sender import advertisement_frame
from yaoki.linux.mac_rules import Place, rules
from yaoki.linux.macvlan import LONGEST_NAME, is_ours, name_of
from yaoki.packet import ethernet, ipv4, ipv6
from yaoki.vrrp.virtual_mac import is_virtual, virtual_mac

MAC = MacAddress.parse("00:00:5e:00:01:33")


@pytest.mark.rfc("9568", "7.3")
def test_the_virtual_mac_has_the_family_and_the_vrid() -> None:
    assert str(virtual_mac(Family.IPV4, 51)) == "00:00:5e:00:01:33"
    assert str(virtual_mac(Family.IPV6, 255)) == "00:00:5e:00:02:ff"
    assert is_virtual(MAC)
    assert not is_virtual(MacAddress.parse("00:00:5e:00:03:33"))


def test_names_tell_family_vrid_and_interface() -> None:
    assert name_of(Family.IPV4, 51, "eth0") == "yk4-51-eth0"
    assert name_of(Family.IPV6, 255, "enp0s31") == "yk6-255-enp0s31"
    assert name_of(Family.IPV6, 1, "enp0s31f6np1") == f"yk6-1-{zlib.crc32(b'enp0s31f6np1'):08x}"
    assert is_ours("yk4-51-eth0", "macvlan", MAC)
    assert not is_ours("yk4-51-eth0", "dummy", MAC)
    assert not is_ours("vrrp.51", "macvlan", MAC)
    assert not is_ours("yk4-51-eth0", "macvlan", MacAddress.parse("02:00:00:00:00:01"))
    assert not is_ours("yk4-51-eth0", "macvlan", None)


@given(st.sampled_from(Family), st.integers(1, 255), st.text("abcdefghij0123456789.-_", min_size=1, max_size=15))
def test_names_fit(family: Family, vrid: int, parent: str) -> None:
    name = name_of(family, vrid, parent)
    assert len(name) <= LONGEST_NAME
    assert is_ours(name, "macvlan", virtual_mac(family, vrid))


@pytest.mark.rfc("9568", "7.2")
@pytest.mark.parametrize(
    ("source", "group", "destination"),
    [("192.0.2.11", "224.0.0.18", "01:00:5e:00:00:12"), ("fe80::11", "ff02::12", "33:33:00:00:00:12")],
)
def test_an_advertisement_leaves_from_the_virtual_mac_to_the_group(source: str, group: str, destination: str) -> None:
    sent = ethernet.decode(advertisement_frame(MAC, ip_address(source), ip_address(group), b"\x31\x33payload"))
    assert isinstance(sent, ethernet.EthernetFrame)
    assert (str(sent.source), str(sent.destination)) == (str(MAC), destination)
    packet: object
    if ":" in source:
        assert sent.ethertype == ethernet.ETHERTYPE_IPV6
        packet = ipv6.decode(sent.payload)
        assert isinstance(packet, ipv6.IPv6Packet)
        assert (packet.hop_limit, packet.next_header, packet.traffic_class) == (255, 112, 0xC0)
    else:
        assert sent.ethertype == ethernet.ETHERTYPE_IPV4
        packet = ipv4.decode(sent.payload)
        assert isinstance(packet, ipv4.IPv4Packet)
        assert (packet.hop_limit, packet.protocol, packet.type_of_service) == (255, 112, 0xC0)
    addresses: tuple[IPAddress, IPAddress] = (packet.source, packet.destination)
    assert addresses == (ip_address(source), ip_address(group))
    assert packet.payload == b"\x31\x33payload"


def test_without_a_place_nothing_is_left() -> None:
    assert list(rules(())) == ["add table netdev yaoki-mac", "delete table netdev yaoki-mac"]


def test_what_the_interfaces_own_mac_may_not_say() -> None:
    addresses = tuple(map(ip_address, ("192.0.2.50", "192.0.2.51", "2001:db8:1::50")))
    own = ip_address("192.0.2.11")
    assert own.version == 4
    text = list(rules((Place("eth0", 7, own, addresses),)))
    chain = "add rule netdev yaoki-mac out/eth0/7"
    assert text[4:] == [
        f"{chain} ether saddr & ff:ff:ff:ff:ff:00 == 00:00:5e:00:02:00 icmpv6 type {{ 131, 132, 143 }} drop",
        f"{chain} ether saddr & ff:ff:ff:ff:ff:00 == 00:00:5e:00:01:00 accept",
        f"{chain} arp operation request arp saddr ip {{ 192.0.2.50, 192.0.2.51 }} arp saddr ip set 192.0.2.11 accept",
        f"{chain} arp saddr ip {{ 192.0.2.50, 192.0.2.51 }} drop",
    ]
