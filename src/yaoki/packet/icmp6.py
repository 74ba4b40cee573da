"""ICMPv6 (RFC 4443): echo (section 4) and destination unreachable (section 3.1).

The layout is ICMP's (see icmp.py) with types 128, 129 and 1. Unlike ICMP the checksum covers the pseudo-header, so both
addresses are needed; a ping socket has had it checked and filled in by the kernel. Neighbour discovery is in
neighbour.py.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address

from yaoki.packet.checksum import upper_layer_checksum
from yaoki.packet.ipv6 import NEXT_HEADER_ICMPV6
from yaoki.packet.malformed import Flaw, Malformed

UNREACHABLE = 1
ECHO_REQUEST = 128
ECHO_REPLY = 129

_HEADER = struct.Struct("!BBHHH")


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo request, or the reply to one."""

    request: bool
    identifier: int
    sequence: int
    data: bytes = b""

    def encode(self, source: IPv6Address, destination: IPv6Address) -> bytes:
        kind = ECHO_REQUEST if self.request else ECHO_REPLY
        message = _HEADER.pack(kind, 0, 0, self.identifier, self.sequence) + self.data
        return _with_checksum(message, source, destination)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Destination unreachable; `original` begins with the refused IPv6 header."""

    code: int
    original: bytes

    def encode(self, source: IPv6Address, destination: IPv6Address) -> bytes:
        return _with_checksum(_HEADER.pack(UNREACHABLE, self.code, 0, 0, 0) + self.original, source, destination)


def decode(data: bytes, source: IPv6Address, destination: IPv6Address) -> Echo | Unreachable | Malformed[Flaw]:
    """The message in the payload of an IPv6 packet. Types spoken by nobody here are Flaw.TYPE."""
    if len(data) < _HEADER.size:
        return Malformed(Flaw.TRUNCATED, len(data))
    if upper_layer_checksum(source, destination, protocol=NEXT_HEADER_ICMPV6, data=data) != 0:
        return Malformed(Flaw.CHECKSUM, 2)
    kind, code, _, first, second = _HEADER.unpack_from(data)
    rest = data[_HEADER.size :]
    if kind in (ECHO_REQUEST, ECHO_REPLY) and code == 0:
        return Echo(kind == ECHO_REQUEST, first, second, rest)
    if kind == UNREACHABLE:
        return Unreachable(code, rest)
    return Malformed(Flaw.TYPE, 0)


def _with_checksum(message: bytes, source: IPv6Address, destination: IPv6Address) -> bytes:
    checksum = upper_layer_checksum(source, destination, protocol=NEXT_HEADER_ICMPV6, data=message)
    return message[:2] + checksum.to_bytes(2, "big") + message[4:]
