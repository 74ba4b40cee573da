"""Ethernet II frames (IEEE 802.3 clause 3.2.6) and the multicast addresses made of IP groups.

     +--------+--------+-----------+------------
     | dst 6  | src 6  | type 2    | payload ...
     +--------+--------+-----------+------------

Deliberately absent: VLAN tags (the kernel's VLAN interfaces strip them) and the frame check sequence.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from yaoki.core.address import IPAddress, MacAddress
from yaoki.packet.malformed import Flaw, Malformed

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD

HEADER_LENGTH = 14
_HEADER = struct.Struct("!6s6sH")


@dataclass(frozen=True, slots=True)
class EthernetFrame:
    """One frame without its check sequence; `payload` may carry the padding of a short frame."""

    destination: MacAddress
    source: MacAddress
    ethertype: int
    payload: bytes

    def encode(self) -> bytes:
        return _HEADER.pack(self.destination.octets, self.source.octets, self.ethertype) + self.payload


def decode(data: bytes) -> EthernetFrame | Malformed[Flaw]:
    """The frame in `data`, as read from a packet socket."""
    if len(data) < HEADER_LENGTH:
        return Malformed(Flaw.TRUNCATED, len(data))
    destination, source, ethertype = _HEADER.unpack_from(data)
    return EthernetFrame(MacAddress(destination), MacAddress(source), ethertype, data[HEADER_LENGTH:])


def multicast_mac(group: IPAddress) -> MacAddress:
    """Where frames for an IP multicast group go: RFC 1112 6.4 (23 low bits), RFC 2464 7 (32 low bits)."""
    if not group.is_multicast:
        raise ValueError(f"{group} is not a multicast group")
    packed = group.packed
    if isinstance(group, IPv4Address):
        return MacAddress(bytes((0x01, 0x00, 0x5E, packed[1] & 0x7F, packed[2], packed[3])))
    return MacAddress(b"\x33\x33" + packed[-4:])
