"""Ethernet frames and multicast MACs."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import MacAddress
from yaoki.packet import ethernet
from yaoki.packet.ethernet import EthernetFrame, multicast_mac
from yaoki.packet.malformed import Flaw, Malformed

# tcpdump on a veth pair: Linux 6.18, ICMPv6 router solicitation
KERNEL = bytes.fromhex(
    "33330000000202000000000a86dd6000000000103afffe80000000000000000000fffe00000aff0200000000000000000000"
    "0000000285007b1a00000000010102000000000a"
)


def test_kernel_frame_both_ways() -> None:
    frame = ethernet.decode(KERNEL)
    assert isinstance(frame, EthernetFrame)
    assert frame.destination == MacAddress.parse("33:33:00:00:00:02")
    assert frame.source == MacAddress.parse("02:00:00:00:00:0a")
    assert frame.ethertype == ethernet.ETHERTYPE_IPV6
    assert frame.encode() == KERNEL


@pytest.mark.parametrize("length", range(14))
def test_truncated_frame_says_where(length: int) -> None:
    assert ethernet.decode(KERNEL[:length]) == Malformed(Flaw.TRUNCATED, length)


@given(st.binary(max_size=80))
def test_random_bytes_never_raise_and_round_trip(data: bytes) -> None:
    frame = ethernet.decode(data)
    assert isinstance(frame, Malformed) or frame.encode() == data


@pytest.mark.rfc("1112", "6.4")
@pytest.mark.parametrize(
    ("group", "mac"),
    [
        ("224.0.0.18", "01:00:5e:00:00:12"),
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("ff02::12", "33:33:00:00:00:12"),
        ("ff02::1:ff00:50", "33:33:ff:00:00:50"),
    ],
)
def test_multicast_mac(group: str, mac: str) -> None:
    assert multicast_mac(ip_address(group)) == MacAddress.parse(mac)


def test_unicast_address_has_no_multicast_mac() -> None:
    with pytest.raises(ValueError, match="not a multicast group"):
        multicast_mac(ip_address("192.0.2.1"))
