"""TCP segments (RFC 9293, section 3.1).

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------------------------------+-------------------------------+
     |          source port          |       destination port        |
     +-------------------------------+-------------------------------+
     |                        sequence number                        |
     |                     acknowledgement number                    |
     +-------+-------+---------------+-------------------------------+
     |offset | rsrvd | flags         |            window             |
     +-------+-------+---------------+-------------------------------+
     |           checksum            |        urgent pointer         |
     +-------------------------------+-------------------------------+

Deliberately absent: the meaning of options; they are kept as they stand.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag

from yaoki.core.address import IPAddress
from yaoki.packet.checksum import upper_layer_checksum
from yaoki.packet.malformed import Flaw, Malformed

PROTOCOL = 6
HEADER_LENGTH = 20
_HEADER = struct.Struct("!HHIIBBHHH")


class TcpFlags(IntFlag):
    """The control bits."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128


@dataclass(frozen=True, slots=True)
class TcpSegment:
    """One segment; `options` are padded to 32 bits by who made them."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: TcpFlags
    window: int = 0
    urgent: int = 0
    options: bytes = b""
    payload: bytes = b""

    def encode(self, source: IPAddress, destination: IPAddress) -> bytes:
        header = _HEADER.pack(
            self.source_port,
            self.destination_port,
            self.sequence,
            self.acknowledgement,
            (HEADER_LENGTH + len(self.options)) // 4 << 4,
            self.flags,
            self.window,
            0,
            self.urgent,
        )
        data = header + self.options + self.payload
        checksum = upper_layer_checksum(source, destination, protocol=PROTOCOL, data=data)
        return data[:16] + checksum.to_bytes(2, "big") + data[18:]


def decode(data: bytes, source: IPAddress, destination: IPAddress) -> TcpSegment | Malformed[Flaw]:
    """The segment in the payload of an IP packet."""
    if len(data) < HEADER_LENGTH:
        return Malformed(Flaw.TRUNCATED, len(data))
    source_port, destination_port, sequence, acknowledgement, offset, flags, window, _, urgent = _HEADER.unpack_from(
        data
    )
    header_length = (offset >> 4) * 4
    if header_length < HEADER_LENGTH:
        return Malformed(Flaw.LENGTH, 12)
    if header_length > len(data):
        return Malformed(Flaw.TRUNCATED, len(data))
    if upper_layer_checksum(source, destination, protocol=PROTOCOL, data=data) != 0:
        return Malformed(Flaw.CHECKSUM, 16)
    return TcpSegment(
        source_port,
        destination_port,
        sequence,
        acknowledgement,
        TcpFlags(flags),
        window,
        urgent,
        data[HEADER_LENGTH:header_length],
        data[header_length:],
    )
