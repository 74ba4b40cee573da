"""ICMP for IPv4 (RFC 792): echo and destination unreachable. A ping socket sees exactly these bytes.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
|     type      |     code      |          checksum             |
+---------------+---------------+-------------------------------+
|  echo: identifier, sequence   |  unreachable: unused, MTU     |
+---------------------------------------------------------------+
|  echo: data   |  unreachable: the packet that could not be delivered, its first octets
+---------------------------------------------------------------+
"""

import struct
from dataclasses import dataclass

from yaoki.packet.checksum import internet_checksum
from yaoki.packet.malformed import Flaw, Malformed

ECHO_REPLY = 0
UNREACHABLE = 3
ECHO_REQUEST = 8

_HEADER = struct.Struct("!BBHHH")


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo request, or the reply to one. The kernel overwrites the identifier on a ping socket."""

    request: bool
    identifier: int
    sequence: int
    data: bytes = b""

    def encode(self) -> bytes:
        kind = ECHO_REQUEST if self.request else ECHO_REPLY
        return _with_checksum(_HEADER.pack(kind, 0, 0, self.identifier, self.sequence) + self.data)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Destination unreachable; `mtu` is set with code 4 (RFC 1191); `original` begins with the refused IP header."""

    code: int
    original: bytes
    mtu: int = 0

    def encode(self) -> bytes:
        return _with_checksum(_HEADER.pack(UNREACHABLE, self.code, 0, 0, self.mtu) + self.original)


def decode(data: bytes) -> Echo | Unreachable | Malformed[Flaw]:
    """The message in the payload of an IPv4 packet of protocol 1. Types spoken by nobody here are Flaw.TYPE."""
    if len(data) < _HEADER.size:
        return Malformed(Flaw.TRUNCATED, len(data))
    if internet_checksum(data) != 0:
        return Malformed(Flaw.CHECKSUM, 2)
    kind, code, _, first, second = _HEADER.unpack_from(data)
    rest = data[_HEADER.size :]
    if kind in (ECHO_REQUEST, ECHO_REPLY) and code == 0:
        return Echo(kind == ECHO_REQUEST, first, second, rest)
    if kind == UNREACHABLE:
        return Unreachable(code, rest, second)
    return Malformed(Flaw.TYPE, 0)


def _with_checksum(data: bytes) -> bytes:
    return data[:2] + internet_checksum(data).to_bytes(2, "big") + data[4:]
