"""IPv6 packets (RFC 8200, section 3) and the well-known groups (RFC 4291, section 2.7.1).

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------+---------------+---------------------------------------+
     |ver 6  | traffic class |              flow label               |
     +-------------------------------+---------------+---------------+
     |        payload length         |  next header  |   hop limit   |
     +-------------------------------+---------------+---------------+
     |            source address (16), destination address (16)      |
     +---------------------------------------------------------------+

Deliberately absent: extension headers. `next_header` is the first one's number; what is spoken here (ND, VRRP, ICMPv6)
is refused behind an extension header.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address

from yaoki.packet.malformed import Flaw, Malformed

NEXT_HEADER_TCP = 6
NEXT_HEADER_UDP = 17
NEXT_HEADER_ICMPV6 = 58
NEXT_HEADER_VRRP = 112

ALL_NODES = IPv6Address("ff02::1")
UNSPECIFIED = IPv6Address("::")

HEADER_LENGTH = 40
_HEADER = struct.Struct("!IHBB16s16s")
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]


@dataclass(frozen=True, slots=True)
class IPv6Packet:
    """One IPv6 packet."""

    source: IPv6Address
    destination: IPv6Address
    next_header: int
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0

    def encode(self) -> bytes:
        first = 6 << 28 | self.traffic_class << 20 | self.flow_label
        return (
            _HEADER.pack(
                first,
                len(self.payload),
                self.next_header,
                self.hop_limit,
                self.source.packed,
                self.destination.packed,
            )
            + self.payload
        )


def decode(data: bytes) -> IPv6Packet | Malformed[Flaw]:
    """The packet in `data`; what follows its payload length (Ethernet padding) is cut off."""
    if len(data) < HEADER_LENGTH:
        return Malformed(Flaw.TRUNCATED, len(data))
    first, length, next_header, hop_limit, source, destination = _HEADER.unpack_from(data)
    if first >> 28 != 6:
        return Malformed(Flaw.VERSION, 0)
    if len(data) < HEADER_LENGTH + length:
        return Malformed(Flaw.TRUNCATED, len(data))
    return IPv6Packet(
        IPv6Address(source),
        IPv6Address(destination),
        next_header,
        data[HEADER_LENGTH : HEADER_LENGTH + length],
        hop_limit=hop_limit,
        traffic_class=first >> 20 & 0xFF,
        flow_label=first & 0xFFFFF,
    )


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The group to which neighbour solicitations for `address` go: ff02::1:ff and its last 24 bits."""
    return IPv6Address(_SOLICITED_NODE + address.packed[-3:])
