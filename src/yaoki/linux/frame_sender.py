"""Advertisements as whole Ethernet frames, for those that leave from a virtual MAC (RFC 9568, section 7.2).

They go out of the VIP's interface by a packet socket: its egress hook sees them, its qdisc has their priority. What is
sent here is not heard here.
"""

import socket
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame, multicast_mac
from yaoki.packet.ipv4 import PROTOCOL_VRRP, IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet

_HOP_LIMIT = 255
_NETWORK_CONTROL = 0xC0
_PRIORITY = 6


class FrameSender:
    """One packet socket for all interfaces; it receives nothing."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _PRIORITY)

    def close(self) -> None:
        self._socket.close()

    def send(self, interface: str, mac: MacAddress, source: IPAddress, group: IPAddress, payload: bytes) -> None:
        """Send to a multicast group. Raises ActuatorError."""
        try:
            self._socket.sendto(advertisement_frame(mac, source, group, payload), (interface, 0))
        except OSError as error:
            raise ActuatorError(f"advertise on {interface}", error.strerror or str(error), errno=error.errno) from error


def advertisement_frame(mac: MacAddress, source: IPAddress, group: IPAddress, payload: bytes) -> bytes:
    """The frame of one advertisement to a multicast group."""
    if isinstance(source, IPv4Address) and isinstance(group, IPv4Address):
        packet = IPv4Packet(
            source,
            group,
            PROTOCOL_VRRP,
            payload,
            hop_limit=_HOP_LIMIT,
            type_of_service=_NETWORK_CONTROL,
            dont_fragment=True,
        ).encode()
        return EthernetFrame(multicast_mac(group), mac, ETHERTYPE_IPV4, packet).encode()
    assert isinstance(source, IPv6Address), "source and group are of one family"
    assert isinstance(group, IPv6Address), "source and group are of one family"
    packet_6 = IPv6Packet(
        source, group, PROTOCOL_VRRP, payload, hop_limit=_HOP_LIMIT, traffic_class=_NETWORK_CONTROL
    ).encode()
    return EthernetFrame(multicast_mac(group), mac, ETHERTYPE_IPV6, packet_6).encode()
