"""A probe through the direct-return path itself: a packet for the VIP, sent to a server's MAC as the balancer would, or
inside another packet to a server across routers.

Its source is an address of this node that is no VIP, so the answer comes back here, where a packet socket sees it with
the source and the MAC that it was sent with. The kernel has no part in it: on the owner of the VIP it would deliver the
request to itself. Of TCP the connection is opened and reset; whoever takes no VIP is told from whoever has no listener
by an echo request beside it.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.service import Protocol, ServiceKey, Way
from yaoki.packet import ethernet, headers, icmp, icmp6, ipv4, ipv6
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import NEXT_HEADER_ICMPV6, IPv6Packet
from yaoki.packet.malformed import Malformed
from yaoki.packet.tcp import TcpFlags, TcpSegment
from yaoki.packet.tunnel import FIRST_SOURCE_PORT, Tunnel, Wrapping
from yaoki.packet.udp import UdpDatagram

_WINDOW = 65535
_NO_PORT = {4: 3, 6: 4}
"""RFC 792, RFC 4443: the code of "destination unreachable" that means that nobody listens on the port."""
_PORTS = {4: slice(20, 24), 6: slice(40, 44)}
"""Where the packet that an ICMP error quotes has its ports."""


class Kind(StrEnum):
    """What an answer says."""

    ACCEPTED = "accepted"
    REPLIED = "replied"
    REFUSED = "refused"
    PROHIBITED = "prohibited"
    """An ICMP error other than that of a port without a listener."""
    ECHOED = "echoed"


@dataclass(frozen=True, slots=True)
class Route:
    """How a question gets to a server: out of an interface with the MAC `own`, to that of the server or the next hop,
    and there perhaps inside another packet."""

    interface: str
    own: MacAddress
    mac: MacAddress
    wrapping: Wrapping | None = None

    @classmethod
    def through(cls, tunnel: Tunnel, way: Way, server: IPAddress, port: int) -> "Route":
        """As the balancer wraps them; `port` is that which is asked from."""
        wrapping = Wrapping(tunnel, way.source, server, FIRST_SOURCE_PORT | port)
        return cls(way.interface, way.own, way.mac, wrapping)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with the VIP as its source, and the MAC that it came from."""

    kind: Kind
    mac: MacAddress


@dataclass(frozen=True, slots=True)
class PathProbe:
    """One server asked for one service. `source_port` and, of TCP, `sequence` tell its answers from those of others;
    `payload` is what a datagram carries. With a `wrapping` the packet goes inside another one, to the MAC of the next
    hop; its answer comes plainly, from the MAC of whatever router is the last."""

    key: ServiceKey
    source: IPAddress
    source_mac: MacAddress
    server_mac: MacAddress
    source_port: int
    payload: bytes = b""
    sequence: int = 1
    wrapping: Wrapping | None = None

    @property
    def path(self) -> tuple[ServiceKey, MacAddress, IPAddress | None]:
        """Which service it asks for, and which server."""
        return self.key, self.server_mac, None if self.wrapping is None else self.wrapping.destination

    def opening(self) -> bytes:
        """The frame that asks for the service."""
        if self.key.protocol is Protocol.UDP:
            datagram = UdpDatagram(self.source_port, self.key.port, self.payload)
            return self._frame(self.key.protocol.number, datagram.encode(self.source, self.key.address))
        return self._segment(TcpFlags.SYN, self.sequence)

    def echo(self) -> bytes:
        """The frame that asks whether the VIP is there at all."""
        source, vip = self.source, self.key.address
        if isinstance(source, IPv4Address) or isinstance(vip, IPv4Address):
            return self._frame(ipv4.PROTOCOL_ICMP, icmp.Echo(True, self.source_port, 1).encode())
        return self._frame(NEXT_HEADER_ICMPV6, icmp6.Echo(True, self.source_port, 1).encode(source, vip))

    def reset(self) -> bytes:
        """The frame that ends an accepted connection."""
        return self._segment(TcpFlags.RST, self._expected)

    def answer(self, frame: bytes) -> Answer | None:
        """What a frame that arrived says to this probe, None if it is none of its answers."""
        found = headers.decode(frame, len(frame))
        if isinstance(found, Malformed) or (found.source, found.destination) != (self.key.address, self.source):
            return None
        if found.protocol in (ipv4.PROTOCOL_ICMP, NEXT_HEADER_ICMPV6):
            kind = self._message(frame)
            return None if kind is None else Answer(kind, found.source_mac)
        ports = (found.source_port, found.destination_port)
        if found.protocol != self.key.protocol.number or ports != (self.key.port, self.source_port):
            return None
        if found.tcp is None:
            return Answer(Kind.REPLIED, found.source_mac)
        if found.tcp.acknowledgement != self._expected:
            return None
        if found.tcp.flags & TcpFlags.RST:
            return Answer(Kind.REFUSED, found.source_mac)
        if found.tcp.flags & (TcpFlags.SYN | TcpFlags.ACK) == TcpFlags.SYN | TcpFlags.ACK:
            return Answer(Kind.ACCEPTED, found.source_mac)
        return None

    @property
    def _expected(self) -> int:
        """RFC 9293 3.10.7: what acknowledges the SYN, or resets it."""
        return (self.sequence + 1) % (1 << 32)

    def _segment(self, flags: TcpFlags, sequence: int) -> bytes:
        segment = TcpSegment(self.source_port, self.key.port, sequence, 0, flags, window=_WINDOW)
        return self._frame(self.key.protocol.number, segment.encode(self.source, self.key.address))

    def _frame(self, protocol: int, data: bytes) -> bytes:
        source, vip = self.source, self.key.address
        if isinstance(source, IPv4Address) and isinstance(vip, IPv4Address):
            kind, packet = ETHERTYPE_IPV4, IPv4Packet(source, vip, protocol, data).encode()
        elif isinstance(source, IPv6Address) and isinstance(vip, IPv6Address):
            kind, packet = ETHERTYPE_IPV6, IPv6Packet(source, vip, protocol, data).encode()
        else:
            raise ValueError(f"{vip} cannot be asked from {source}")
        packet = packet if self.wrapping is None else self.wrapping.wrap(packet)
        return EthernetFrame(self.server_mac, self.source_mac, kind, packet).encode()

    def _message(self, frame: bytes) -> Kind | None:
        """What an ICMP message is to this probe."""
        message = _icmp(frame)
        match message:
            case icmp.Echo() | icmp6.Echo():
                return Kind.ECHOED if not message.request and message.identifier == self.source_port else None
            case icmp.Unreachable() | icmp6.Unreachable():
                version = self.key.address.version
                ports = self.source_port.to_bytes(2, "big") + self.key.port.to_bytes(2, "big")
                if message.original[_PORTS[version]] != ports:
                    return None
                return Kind.REFUSED if message.code == _NO_PORT[version] else Kind.PROHIBITED
            case _:
                return None


def _icmp(frame: bytes) -> icmp.Echo | icmp.Unreachable | icmp6.Echo | icmp6.Unreachable | None:
    outer = ethernet.decode(frame)
    if isinstance(outer, Malformed):
        return None
    packet = ipv4.decode(outer.payload) if outer.ethertype == ETHERTYPE_IPV4 else ipv6.decode(outer.payload)
    if isinstance(packet, Malformed):
        return None
    if isinstance(packet, IPv4Packet):
        message = icmp.decode(packet.payload)
        return None if isinstance(message, Malformed) else message
    found = icmp6.decode(packet.payload, packet.source, packet.destination)
    return None if isinstance(found, Malformed) else found
