"""How datagrams between two nodes are signed: with the trailer of an advertisement (yaoki.packet.authentication), over
a pseudo-header of their own. Pure.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +---------------+---------------+-------------------------------+
     |    4 or 6     |       0       |            purpose            |
     +---------------+---------------+-------------------------------+
     |  source, then destination: 16 octets each, IPv4 padded with zeros
     +---------------------------------------------------------------+

The HMAC covers this pseudo-header, the message, and the trailer with the HMAC read as zero. A version of 0 is no
advertisement's, and each kind of datagram has its purpose, so what signs one never signs another; the destination is
covered because what a node is told may be for it alone.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from yaoki.core.address import Family, IPAddress
from yaoki.packet.authentication import Key, Trailer, trailer

_PSEUDO = struct.Struct("!BBH16s16s")


class Purpose(IntEnum):
    """What is signed: the magic number of its kind of datagram."""

    HEARTBEAT = 0x5948
    FLOWS = 0x5946


@dataclass(frozen=True, slots=True)
class DatagramSignature:
    """The signature of one kind. `divided` tells a message from its trailer, if there is one; `marked` is the message
    as it stands before its trailer, for kinds that say there that one follows."""

    purpose: Purpose
    divided: Callable[[bytes], tuple[bytes, Trailer | None]]
    marked: Callable[[bytes], bytes] = bytes

    def signed(self, message: bytes, source: IPAddress, destination: IPAddress, key: Key, sequence: int) -> bytes:
        """The payload with its trailer."""
        return self.marked(message) + trailer(self.covered(message, source, destination), key, sequence)

    def covered(self, message: bytes, source: IPAddress, destination: IPAddress) -> bytes:
        """What the trailer signs."""
        return _PSEUDO.pack(Family.of(source).value, 0, self.purpose, source.packed, destination.packed) + message
