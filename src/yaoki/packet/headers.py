"""What the headers of a captured frame say: who sent what to whom, of a frame that may be cut short.

Other decoders of this package want whole packets with right checksums. A capture has neither: it keeps the beginning of
each frame, and of what this machine sends it sees frames before the network card has put checksums in or cut large
segments into packets. So lengths come from the headers, and no checksum is looked at.

Deliberately absent: VLAN tags, IPv6 extension headers but the fragment header.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress, MacAddress
from yaoki.packet import ethernet, ipv4, ipv6, tcp, udp
from yaoki.packet.malformed import Flaw, Malformed
from yaoki.packet.tcp import TcpFlags

NEXT_HEADER_FRAGMENT = 44

_IPV4 = struct.Struct("!BxHxxHBBxx4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_FRAGMENT = struct.Struct("!BxHI")
_TCP = struct.Struct("!HHIIBB")
_PORTS = struct.Struct("!HH")
_UDP_HEADER = 8
_FRAGMENT_OFFSET = 0x1FFF


@dataclass(frozen=True, slots=True)
class TcpHeader:
    """The part of a TCP header that tells one segment from another."""

    sequence: int
    acknowledgement: int
    flags: TcpFlags


@dataclass(frozen=True, slots=True)
class Headers:
    """One IP packet in its frame. `payload` is the number of octets behind the last header; the ports are 0 where the
    packet has none: ICMP, and fragments but the first."""

    source_mac: MacAddress
    destination_mac: MacAddress
    source: IPAddress
    destination: IPAddress
    protocol: int
    hop_limit: int
    source_port: int = 0
    destination_port: int = 0
    tcp: TcpHeader | None = None
    payload: int = 0


def decode(frame: bytes, length: int) -> Headers | Malformed[Flaw]:
    """The headers in the first octets of a frame that had `length` octets on the wire."""
    outer = ethernet.decode(frame)
    if isinstance(outer, Malformed):
        return outer
    if outer.ethertype == ethernet.ETHERTYPE_IPV4:
        return _ipv4(outer, length - ethernet.HEADER_LENGTH)
    if outer.ethertype == ethernet.ETHERTYPE_IPV6:
        return _ipv6(outer, length - ethernet.HEADER_LENGTH)
    return Malformed(Flaw.TYPE, 12)


@dataclass(frozen=True, slots=True)
class _Ip:
    """An IP header; `octets` follow it on the wire. `later`: it is a fragment, and not the first."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    hop_limit: int
    octets: int
    later: bool


def _ipv4(frame: ethernet.EthernetFrame, length: int) -> Headers | Malformed[Flaw]:
    data = frame.payload
    if len(data) < _IPV4.size:
        return Malformed(Flaw.TRUNCATED, len(data))
    first, total, fragment, hop_limit, protocol, source, destination = _IPV4.unpack_from(data)
    header = (first & 15) * 4
    if first >> 4 != 4:
        return Malformed(Flaw.VERSION, 0)
    # A segment too large for the field, not cut into packets yet, has 0 there.
    octets = (total or length) - header
    if header < ipv4.HEADER_LENGTH or octets < 0:
        return Malformed(Flaw.LENGTH, 2)
    later = bool(fragment & _FRAGMENT_OFFSET)
    ip = _Ip(IPv4Address(source), IPv4Address(destination), protocol, hop_limit, octets, later)
    return _upper(frame, ip, data[header:])


def _ipv6(frame: ethernet.EthernetFrame, length: int) -> Headers | Malformed[Flaw]:
    data = frame.payload
    if len(data) < ipv6.HEADER_LENGTH:
        return Malformed(Flaw.TRUNCATED, len(data))
    first, octets, protocol, hop_limit, source, destination = _IPV6.unpack_from(data)
    if first >> 28 != 6:
        return Malformed(Flaw.VERSION, 0)
    octets, rest, later = octets or length - ipv6.HEADER_LENGTH, data[ipv6.HEADER_LENGTH :], False
    if protocol == NEXT_HEADER_FRAGMENT:
        if len(rest) < _FRAGMENT.size:
            return Malformed(Flaw.TRUNCATED, len(data))
        protocol, offset, _ = _FRAGMENT.unpack_from(rest)
        later, rest, octets = offset >> 3 > 0, rest[_FRAGMENT.size :], octets - _FRAGMENT.size
    ip = _Ip(IPv6Address(source), IPv6Address(destination), protocol, hop_limit, octets, later)
    return _upper(frame, ip, rest)


def _upper(frame: ethernet.EthernetFrame, ip: _Ip, data: bytes) -> Headers | Malformed[Flaw]:
    common = (frame.source, frame.destination, ip.source, ip.destination, ip.protocol, ip.hop_limit)
    if ip.later or ip.protocol not in (tcp.PROTOCOL, udp.PROTOCOL):
        return Headers(*common, payload=ip.octets)
    if ip.protocol == udp.PROTOCOL:
        if len(data) < _PORTS.size or ip.octets < _UDP_HEADER:
            return Malformed(Flaw.TRUNCATED, len(data))
        source_port, destination_port = _PORTS.unpack_from(data)
        return Headers(*common, source_port, destination_port, payload=ip.octets - _UDP_HEADER)
    if len(data) < _TCP.size:
        return Malformed(Flaw.TRUNCATED, len(data))
    source_port, destination_port, sequence, acknowledgement, offset, flags = _TCP.unpack_from(data)
    payload = ip.octets - (offset >> 4) * 4
    if payload < 0 or (offset >> 4) * 4 < tcp.HEADER_LENGTH:
        return Malformed(Flaw.LENGTH, 12)
    segment = TcpHeader(sequence, acknowledgement, TcpFlags(flags))
    return Headers(*common, source_port, destination_port, segment, payload)
