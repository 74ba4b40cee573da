"""The kernel's `jhash` (linux/jhash.h, after Bob Jenkins' lookup3) as nftables uses it, to foretell where a flow goes.

Registers hold what they hold in network byte order, each field filled up to four octets; the hash reads them as words
of the machine, which is taken to be little-endian.
"""

from itertools import pairwise

from yaoki.core.address import IPAddress

SEED = 0x59414F4B
"""Of everything that places flows: one on every node, so that two balancers agree."""

_WORD = 0xFFFFFFFF
_INITIAL = 0xDEADBEEF
_MIX = ((4, 0), (6, 1), (8, 2), (16, 0), (19, 1), (4, 2))


def source_slot(source: IPAddress, slots: int) -> int:
    """The slot of a source address under `jhash ip saddr mod SLOTS seed SEED`."""
    return scaled(jhash(source.packed, SEED), slots)


def flow_slot(source: IPAddress, port: int, slots: int) -> int:
    """The slot of a flow under `jhash th sport . ip saddr mod SLOTS seed SEED`."""
    return scaled(jhash(register(port.to_bytes(2, "big")) + source.packed, SEED), slots)


def register(field: bytes) -> bytes:
    """A field as it lies in nftables' registers."""
    return field + bytes(-len(field) % 4)


def scaled(hash_: int, modulus: int) -> int:
    """What nftables calls `mod`: the hash's place in 0..modulus-1, by multiplication (reciprocal_scale)."""
    return hash_ * modulus >> 32


def jhash(key: bytes, seed: int) -> int:
    """The hash of a key of any length."""
    words = [(_INITIAL + len(key) + seed) & _WORD] * 3
    position = 0
    while len(key) - position > 12:
        _add(words, key[position : position + 12])
        _mix(words)
        position += 12
    if position < len(key):
        _add(words, key[position:])
        _finish(words)
    return words[2]


def _add(words: list[int], octets: bytes) -> None:
    for index in range(3):
        words[index] = (words[index] + int.from_bytes(octets[4 * index : 4 * index + 4], "little")) & _WORD


def _mix(words: list[int]) -> None:
    # a -= c, a ^= rol(c), c += b; then the same with (b, a, c) and (c, b, a), twice round
    for bits, first in _MIX:
        target, other, third = first, (first + 2) % 3, (first + 1) % 3
        words[target] = ((words[target] - words[other]) & _WORD) ^ _rol(words[other], bits)
        words[other] = (words[other] + words[third]) & _WORD


def _finish(words: list[int]) -> None:
    # c ^= b, c -= rol(b, 14); a ^= c, ...; b ^= a, ...; and so on
    for bits, (source, target) in zip((14, 11, 25, 16, 4, 14, 24), pairwise((1, 2, 0, 1, 2, 0, 1, 2)), strict=True):
        words[target] = ((words[target] ^ words[source]) - _rol(words[source], bits)) & _WORD


def _rol(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD
