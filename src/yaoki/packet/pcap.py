"""Capture files in the older format, which `tcpdump -w` writes: of one interface, without names and directions.

| magic, version (2.4), zone, accuracy, longest packet, link type |
| seconds, fraction, octets kept, octets on the wire | octets |  for each packet
"""

import struct

from yaoki.packet.malformed import Malformed
from yaoki.packet.pcapng import LINKTYPE_ETHERNET, PcapngFlaw
from yaoki.packet.recording import LONGEST_PACKET, CapturedPacket, CaptureInterface, Recording

_HEADER = struct.Struct("<IHHiIII")
_ORDERS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order, and nanoseconds in a unit of the fraction, by the magic."""


def is_pcap(data: bytes) -> bool:
    """Whether a file is of this format."""
    return data[:4] in _ORDERS


def decode(data: bytes, node: str) -> Recording | Malformed[PcapngFlaw]:
    """The recording in a file, made on `node`."""
    if not is_pcap(data) or len(data) < _HEADER.size:
        return Malformed(PcapngFlaw.NOT_PCAPNG, 0)
    order, unit_ns = _ORDERS[data[:4]]
    (link,) = struct.unpack_from(order + "I", data, 20)
    if link & 0xFFFF != LINKTYPE_ETHERNET:
        return Malformed(PcapngFlaw.LINK, 20)
    packets = []
    offset = _HEADER.size
    while offset < len(data):
        if len(data) < offset + 16:
            return Malformed(PcapngFlaw.TRUNCATED, offset)
        seconds, fraction, kept, length = struct.unpack_from(order + "IIII", data, offset)
        octets = data[offset + 16 : offset + 16 + kept]
        if kept > LONGEST_PACKET:
            return Malformed(PcapngFlaw.LENGTH, offset + 8)
        if len(octets) < kept:
            return Malformed(PcapngFlaw.TRUNCATED, offset)
        packets.append(CapturedPacket(0, seconds * 1_000_000_000 + fraction * unit_ns, length, octets))
        offset += 16 + kept
    packets.sort(key=lambda packet: packet.at_ns)
    return Recording((CaptureInterface(node, ""),), tuple(packets))
