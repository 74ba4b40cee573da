"""The vectors come from the kernel's own jhash.h, compiled; a netns test holds the same functions against nftables."""

import pytest

from yaoki.core.address import parse_address
from yaoki.lb.kernel_hash import SEED, flow_slot, jhash, register, scaled, source_slot

VECTORS = [
    ("", 0x20141EA9, 0xFEC1DD98),
    ("c5", 0x2DCDB57F, 0x4D7DA97C),
    ("2efa3a43", 0x6B247C25, 0x52C350A4),
    ("fa056f3a2d", 0x333FFCB9, 0x5B7D6083),
    ("3cdbe539abde19a7", 0xDB1D6F15, 0x80A8B303),
    ("f46c988b1b59ae8a9cc27b96", 0x40AFC865, 0x2F462CB0),
    ("f8b9374e6771c67ba823a87ce8", 0x3235DC6F, 0xF6C3EE1B),
    ("6c7fee25d158527dddb04d41b5b9bee10b0dd8a0", 0x13C6C7D5, 0x5C2CA280),
    (
        "49cef4a24a49280075f785182395816dfb9b0fa42778b27b74af291233c1d2acab11e49dc03c50b5",
        0xE15CB082,
        0x3FBACFA6,
    ),
]


@pytest.mark.parametrize(("key", "seed", "expected"), VECTORS)
def test_jhash_is_the_kernels(key: str, seed: int, expected: int) -> None:
    assert jhash(bytes.fromhex(key), seed) == expected


@pytest.mark.parametrize(("hash_", "modulus", "expected"), [(0, 7, 0), (0xFFFFFFFF, 7, 6), (1 << 31, 10, 5)])
def test_a_hash_is_scaled_and_not_divided(hash_: int, modulus: int, expected: int) -> None:
    assert scaled(hash_, modulus) == expected


def test_fields_are_filled_up_to_four_octets() -> None:
    assert register(b"\x01\x02") == b"\x01\x02\0\0"
    assert register(b"1234") == b"1234"


@pytest.mark.parametrize("address", ["198.51.100.9", "2001:db8:2::9"])
def test_slots_are_within_the_table_and_every_source_has_one(address: str) -> None:
    source = parse_address(address)
    assert 0 <= source_slot(source, 1021) < 1021
    assert source_slot(source, 1021) == scaled(jhash(source.packed, SEED), 1021)
    assert flow_slot(source, 40000, 3) == scaled(jhash(b"\x9c\x40\0\0" + source.packed, SEED), 3)
