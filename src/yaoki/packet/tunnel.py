"""A packet inside another one: in IP (RFC 2003, RFC 2473), or in UDP in IP (Generic UDP Encapsulation,
draft-ietf-intarea-gue-09, variant 1: nothing between UDP and the packet).

    Ethernet | IP            | packet         ipip: protocol 4 for IPv4, 41 for IPv6
    Ethernet | IP | UDP      | packet         gue: the packet's first nibble says its version

Both headers are of one family. Deliberately absent: variant 0, which has four octets between, and outer fragments.
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress
from yaoki.packet import ethernet, headers, ipv6, udp
from yaoki.packet.headers import Headers
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.malformed import Malformed

GUE_PORT = 6080
"""IANA's for Generic UDP Encapsulation."""
FIRST_SOURCE_PORT = 49152
"""RFC 6335, section 6. All above differ from it in lower bits."""
PROTOCOLS = {Family.IPV4: 4, Family.IPV6: 41}
"""Of a packet of the family right inside an IP packet."""
_UDP_HEADER = struct.Struct("!HHHH")


class Encapsulation(StrEnum):
    """What a packet goes inside, to a server across routers."""

    IPIP = "ipip"
    GUE = "gue"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How packets to a server are wrapped; `port` is the server's for UDP, and without a meaning for IP in IP."""

    encapsulation: Encapsulation = Encapsulation.IPIP
    port: int = GUE_PORT

    def overhead(self, family: Family) -> int:
        """Octets of the outer headers."""
        return (20 if family is Family.IPV4 else 40) + (8 if self.encapsulation is Encapsulation.GUE else 0)

    def __str__(self) -> str:
        return f"gue port {self.port}" if self.encapsulation is Encapsulation.GUE else "ipip"


@dataclass(frozen=True, slots=True)
class Wrapping:
    """A tunnel with both of its ends. `source_port` is that of the outer UDP header."""

    tunnel: Tunnel
    source: IPAddress
    destination: IPAddress
    source_port: int = GUE_PORT

    def wrap(self, packet: bytes) -> bytes:
        """The outer packet around one of the same family. The outer UDP header has no checksum (for IPv6: RFC 6935)."""
        source, destination = self.source, self.destination
        protocol, payload = PROTOCOLS[Family.of(destination)], packet
        if self.tunnel.encapsulation is Encapsulation.GUE:
            protocol = udp.PROTOCOL
            length = _UDP_HEADER.size + len(packet)
            payload = _UDP_HEADER.pack(self.source_port, self.tunnel.port, length, 0) + packet
        if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
            return IPv4Packet(source, destination, protocol, payload, dont_fragment=True).encode()
        if isinstance(source, IPv6Address) and isinstance(destination, IPv6Address):
            return IPv6Packet(source, destination, protocol, payload).encode()
        raise ValueError(f"a tunnel from {source} to {destination}")


def inside(frame: bytes, length: int, gue_port: int = 0) -> Headers | None:
    """The headers of the packet inside the one of a frame that had `length` octets on the wire, with the frame's own
    MACs; None if there is none. UDP to `gue_port` has one inside, if that is not 0."""
    outer = headers.decode(frame, length)
    if isinstance(outer, Malformed):
        return None
    version = outer.destination.version
    octets = ethernet.HEADER_LENGTH
    octets += (frame[octets] & 15) * 4 if version == 4 else ipv6.HEADER_LENGTH
    if outer.protocol == udp.PROTOCOL and gue_port and outer.destination_port == gue_port:
        octets += _UDP_HEADER.size
    elif outer.protocol != PROTOCOLS[Family.of(outer.destination)]:
        return None
    if len(frame) <= octets or frame[octets] >> 4 != version:
        return None
    bare = frame[: ethernet.HEADER_LENGTH] + frame[octets:]
    found = headers.decode(bare, length - octets + ethernet.HEADER_LENGTH)
    return None if isinstance(found, Malformed) else found
