"""IPv6 packets and the solicited-node group."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.packet import ipv6
from yaoki.packet.ipv6 import IPv6Packet, solicited_node
from yaoki.packet.malformed import Flaw, Malformed

# tcpdump on a veth pair, Linux 6.18: ping -c1 -s8 2001:db8:1::12
PING = bytes.fromhex(
    "600cb26b00103a4020010db800010000000000000000001120010db80001000000000000000000128000fcaa1b6200010001020304050607"
)


def test_kernel_packet_both_ways() -> None:
    packet = ipv6.decode(PING)
    assert packet == IPv6Packet(
        IPv6Address("2001:db8:1::11"),
        IPv6Address("2001:db8:1::12"),
        ipv6.NEXT_HEADER_ICMPV6,
        PING[40:],
        hop_limit=64,
        flow_label=0xCB26B,
    )
    assert packet.encode() == PING


def test_padding_is_cut_off() -> None:
    assert ipv6.decode(PING + b"\0" * 10) == ipv6.decode(PING)


@pytest.mark.parametrize("length", range(len(PING)))
def test_truncated_packet_says_where(length: int) -> None:
    assert ipv6.decode(PING[:length]) == Malformed(Flaw.TRUNCATED, length)


def test_other_version_is_refused() -> None:
    assert ipv6.decode(b"\x45" + PING[1:]) == Malformed(Flaw.VERSION, 0)


@pytest.mark.rfc("4291", "2.7.1")
@pytest.mark.parametrize(
    ("address", "group"),
    [("4037::01:800:200e:8c6c", "ff02::1:ff0e:8c6c"), ("2001:db8:1::50", "ff02::1:ff00:50")],
)
def test_solicited_node_group(address: str, group: str) -> None:
    assert solicited_node(IPv6Address(address)) == IPv6Address(group)


@given(st.binary(max_size=120))
def test_random_bytes_never_raise(data: bytes) -> None:
    packet = ipv6.decode(data)
    assert isinstance(packet, Malformed) or data.startswith(packet.encode())


@given(
    st.builds(
        IPv6Packet,
        st.ip_addresses(v=6),
        st.ip_addresses(v=6),
        st.integers(0, 255),
        st.binary(max_size=40),
        hop_limit=st.integers(0, 255),
        traffic_class=st.integers(0, 255),
        flow_label=st.integers(0, 0xFFFFF),
    )
)
def test_round_trip(packet: IPv6Packet) -> None:
    assert ipv6.decode(packet.encode()) == packet
