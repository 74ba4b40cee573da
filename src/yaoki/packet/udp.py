"""UDP datagrams (RFC 768; over IPv6 RFC 8200, section 8.1).

+-------------------------------+-------------------------------+
|          source port          |       destination port        |
+-------------------------------+-------------------------------+
|            length             |           checksum            |
+-------------------------------+-------------------------------+
"""

import struct
from dataclasses import dataclass

from yaoki.core.address import Family, IPAddress
from yaoki.packet.checksum import upper_layer_checksum
from yaoki.packet.malformed import Flaw, Malformed

PROTOCOL = 17
_HEADER = struct.Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """One datagram."""

    source_port: int
    destination_port: int
    payload: bytes

    def encode(self, source: IPAddress, destination: IPAddress) -> bytes:
        """With its checksum; one that comes out as zero is sent as 0xffff, because zero means "none"."""
        length = _HEADER.size + len(self.payload)
        data = _HEADER.pack(self.source_port, self.destination_port, length, 0) + self.payload
        checksum = upper_layer_checksum(source, destination, protocol=PROTOCOL, data=data) or 0xFFFF
        return data[:6] + checksum.to_bytes(2, "big") + self.payload


def decode(data: bytes, source: IPAddress, destination: IPAddress) -> UdpDatagram | Malformed[Flaw]:
    """The datagram in the payload of an IP packet. A checksum of zero is "none" over IPv4 and refused over IPv6."""
    if len(data) < _HEADER.size:
        return Malformed(Flaw.TRUNCATED, len(data))
    source_port, destination_port, length, checksum = _HEADER.unpack_from(data)
    if length < _HEADER.size:
        return Malformed(Flaw.LENGTH, 4)
    if length > len(data):
        return Malformed(Flaw.TRUNCATED, len(data))
    data = data[:length]
    without = checksum == 0 and Family.of(source) is Family.IPV4
    if checksum == 0 and not without:
        return Malformed(Flaw.CHECKSUM, 6)
    if not without and upper_layer_checksum(source, destination, protocol=PROTOCOL, data=data) != 0:
        return Malformed(Flaw.CHECKSUM, 6)
    return UdpDatagram(source_port, destination_port, data[_HEADER.size :])
