"""IPv4 packets (RFC 791, section 3.1).

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------+-------+---------------+-------------------------------+
     |ver 4  |  IHL  | type of service       total length            |
     +-------------------------------+-----+-------------------------+
     |        identification         |flags|     fragment offset     |
     +---------------+---------------+-----+-------------------------+
     | time to live  |   protocol    |        header checksum        |
     +---------------+---------------+-------------------------------+
     |              source address, destination address              |
     +---------------------------------------------------------------+

Deliberately absent: reassembly. A fragment decodes with its offset, for the reader to refuse.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from yaoki.packet.checksum import internet_checksum
from yaoki.packet.malformed import Flaw, Malformed

PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
PROTOCOL_VRRP = 112

HEADER_LENGTH = 20
_HEADER = struct.Struct("!BBHHHBBH4s4s")
_DONT_FRAGMENT = 0x4000
_MORE_FRAGMENTS = 0x2000


@dataclass(frozen=True, slots=True)
class IPv4Packet:
    """One IPv4 packet. `fragment_offset` is in octets; `options` are kept as they stand, padded to 32 bits."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes
    hop_limit: int = 64
    type_of_service: int = 0
    identification: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment_offset: int = 0
    options: bytes = b""

    def encode(self) -> bytes:
        header_length = HEADER_LENGTH + len(self.options)
        flags = (_DONT_FRAGMENT if self.dont_fragment else 0) | (_MORE_FRAGMENTS if self.more_fragments else 0)
        header = (
            _HEADER.pack(
                0x40 | header_length // 4,
                self.type_of_service,
                header_length + len(self.payload),
                self.identification,
                flags | self.fragment_offset // 8,
                self.hop_limit,
                self.protocol,
                0,
                self.source.packed,
                self.destination.packed,
            )
            + self.options
        )
        return b"".join((header[:10], internet_checksum(header).to_bytes(2, "big"), header[12:], self.payload))


def decode(data: bytes) -> IPv4Packet | Malformed[Flaw]:
    """The packet in `data`; what follows its total length (Ethernet padding) is cut off."""
    if len(data) < HEADER_LENGTH:
        return Malformed(Flaw.TRUNCATED, len(data))
    first, tos, total, identification, fragment, ttl, protocol, _, source, destination = _HEADER.unpack_from(data)
    if first >> 4 != 4:
        return Malformed(Flaw.VERSION, 0)
    header_length = (first & 15) * 4
    if header_length < HEADER_LENGTH:
        return Malformed(Flaw.LENGTH, 0)
    if total < header_length:
        return Malformed(Flaw.LENGTH, 2)
    if len(data) < total:
        return Malformed(Flaw.TRUNCATED, len(data))
    if internet_checksum(data[:header_length]) != 0:
        return Malformed(Flaw.CHECKSUM, 10)
    return IPv4Packet(
        IPv4Address(source),
        IPv4Address(destination),
        protocol,
        data[header_length:total],
        hop_limit=ttl,
        type_of_service=tos,
        identification=identification,
        dont_fragment=bool(fragment & _DONT_FRAGMENT),
        more_fragments=bool(fragment & _MORE_FRAGMENTS),
        fragment_offset=(fragment & 0x1FFF) * 8,
        options=data[HEADER_LENGTH:header_length],
    )
