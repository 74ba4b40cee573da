"""Netlink attributes: length, kind, value, padding to four octets (linux/netlink.h, struct nlattr)."""

import struct
from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port."""

_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_KIND = 0x3FFF
"""The upper two bits say that a value is nested or in network byte order."""


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    """An attribute whose value is attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and value of each attribute; stops at one that is cut short."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            return
        yield kind & _KIND, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def find_attribute(data: bytes, kind: int, *, start: int = 0) -> bytes:
    """The value of the first attribute of a kind, empty if there is none: `attributes` without what is not wanted."""
    offset, end = start, len(data) - _ATTRIBUTE.size
    unpack = _ATTRIBUTE.unpack_from
    while offset <= end:
        length, found = unpack(data, offset)
        if length < _ATTRIBUTE.size:
            break
        if found & _KIND == kind:
            return data[offset + _ATTRIBUTE.size : offset + length] if offset + length <= len(data) else b""
        offset += (length + 3) & ~3
    return b""


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A whole netlink message."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each message in a datagram; stops at one that is cut short."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, _, sequence, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            return
        yield kind, sequence, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3
