"""The Internet checksum: RFC 1071's own example, real packets, and the properties every user relies on."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.packet.checksum import internet_checksum, pseudo_header, upper_layer_checksum


def word_by_word(data: bytes) -> int:
    """RFC 1071, section 1, as written there."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@pytest.mark.rfc("1071", "3")
def test_example_of_rfc_1071() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


def test_header_of_a_kernel_packet_sums_to_zero() -> None:
    assert internet_checksum(bytes.fromhex("45000024e21c40004001d4a4c000020bc000020c")) == 0


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 20])
def test_zeros_have_checksum_all_ones(data: bytes) -> None:
    assert internet_checksum(data) == 0xFFFF


def test_sum_of_all_ones_is_not_taken_for_zero() -> None:
    assert internet_checksum(b"\xff\xff") == 0
    assert internet_checksum(b"\xff\xfe\x00\x01") == 0


@given(st.binary(max_size=200))
def test_equals_the_sum_word_by_word(data: bytes) -> None:
    assert internet_checksum(data) == word_by_word(data)


@given(st.binary(min_size=2, max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_bytes_with_their_checksum_sum_to_zero(data: bytes) -> None:
    assert internet_checksum(data + internet_checksum(data).to_bytes(2, "big")) == 0


def test_pseudo_header_of_ipv4() -> None:
    header = pseudo_header(IPv4Address("192.0.2.11"), IPv4Address("224.0.0.18"), protocol=112, length=12)
    assert header == bytes.fromhex("c000020b e0000012 00 70 000c")


def test_pseudo_header_of_ipv6() -> None:
    header = pseudo_header(IPv6Address("fe80::a"), IPv6Address("ff02::12"), protocol=112, length=40)
    assert header == IPv6Address("fe80::a").packed + IPv6Address("ff02::12").packed + bytes.fromhex(
        "00000028 000000 70"
    )


def test_pseudo_header_refuses_two_families() -> None:
    with pytest.raises(ValueError, match="two families"):
        pseudo_header(IPv4Address("192.0.2.11"), IPv6Address("ff02::12"), protocol=112, length=12)


def test_upper_layer_checksum_of_a_kernel_datagram_is_zero() -> None:
    datagram = bytes.fromhex("d2550007000d579279616f6b69")
    assert upper_layer_checksum(IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"), protocol=17, data=datagram) == 0
