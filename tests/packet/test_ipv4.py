"""IPv4 packets: golden bytes of the kernel, refusals, round trip."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.packet import ipv4
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.malformed import Flaw, Malformed

# tcpdump on a veth pair, Linux 6.18: ping -c1 -s8 192.0.2.12
PING = bytes.fromhex("45000024e21c40004001d4a4c000020bc000020c0800d08d1b6100010001020304050607")


def test_kernel_packet_both_ways() -> None:
    packet = ipv4.decode(PING)
    assert packet == IPv4Packet(
        IPv4Address("192.0.2.11"),
        IPv4Address("192.0.2.12"),
        ipv4.PROTOCOL_ICMP,
        PING[20:],
        hop_limit=64,
        identification=0xE21C,
        dont_fragment=True,
    )
    assert packet.encode() == PING


def test_options_are_kept() -> None:
    packet = IPv4Packet(
        IPv4Address("192.0.2.11"), IPv4Address("224.0.0.22"), 2, b"12345678", hop_limit=1, options=b"\x94\x04\0\0"
    )
    assert packet.encode()[:1] == b"\x46"
    assert ipv4.decode(packet.encode()) == packet


def test_padding_is_cut_off() -> None:
    assert ipv4.decode(PING + b"\0" * 10) == ipv4.decode(PING)


@pytest.mark.parametrize("length", range(len(PING)))
def test_truncated_packet_says_where(length: int) -> None:
    assert ipv4.decode(PING[:length]) == Malformed(Flaw.TRUNCATED, length)


@pytest.mark.parametrize(
    ("offset", "value", "flaw"),
    [
        (0, 0x65, Malformed(Flaw.VERSION, 0)),
        (0, 0x44, Malformed(Flaw.LENGTH, 0)),
        (3, 19, Malformed(Flaw.LENGTH, 2)),
        (8, 63, Malformed(Flaw.CHECKSUM, 10)),
    ],
)
def test_broken_header_is_refused(offset: int, value: int, flaw: Malformed[Flaw]) -> None:
    data = bytearray(PING)
    data[offset] = value
    assert ipv4.decode(bytes(data)) == flaw


@given(st.binary(max_size=80))
def test_random_bytes_never_raise(data: bytes) -> None:
    ipv4.decode(data)


@given(
    st.builds(
        IPv4Packet,
        st.ip_addresses(v=4),
        st.ip_addresses(v=4),
        st.integers(0, 255),
        st.binary(max_size=40),
        hop_limit=st.integers(0, 255),
        type_of_service=st.integers(0, 255),
        identification=st.integers(0, 65535),
        dont_fragment=st.booleans(),
        more_fragments=st.booleans(),
        fragment_offset=st.integers(0, 8191).map(lambda n: n * 8),
        options=st.sampled_from([b"", b"\x94\x04\0\0", b"\x01" * 40]),
    )
)
def test_round_trip(packet: IPv4Packet) -> None:
    assert ipv4.decode(packet.encode()) == packet
