"""ARP for IPv4 on Ethernet (RFC 826), with the gratuitous forms that move an address (RFC 5944 4.6, RFC 9568 6.4.2).

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------------------------------+-------------------------------+
     |     hardware type = 1         |    protocol type = 0x0800     |
     +---------------+---------------+-------------------------------+
     |  hw len = 6   | proto len = 4 |          operation            |
     +---------------+---------------+-------------------------------+
     |  sender MAC (6), sender IP (4), target MAC (6), target IP (4) |
     +---------------------------------------------------------------+

Some equipment honours only the request form of a gratuitous ARP and some only the reply form, so an announcement
is both.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from yaoki.core.address import BROADCAST, MacAddress
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, EthernetFrame
from yaoki.packet.malformed import Flaw, Malformed

LENGTH = 28
UNKNOWN_MAC = MacAddress(bytes(6))
_PACKET = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET = 1


class Operation(IntEnum):
    """RFC 826: ares_op."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class ArpPacket:
    """One ARP packet. A probe (RFC 5227) has the sender address 0.0.0.0."""

    operation: Operation
    sender_mac: MacAddress
    sender_ip: IPv4Address
    target_mac: MacAddress
    target_ip: IPv4Address

    @property
    def gratuitous(self) -> bool:
        """Whether the sender speaks of its own address, unasked."""
        return self.sender_ip == self.target_ip

    def encode(self) -> bytes:
        return _PACKET.pack(
            _ETHERNET,
            ETHERTYPE_IPV4,
            6,
            4,
            self.operation,
            self.sender_mac.octets,
            self.sender_ip.packed,
            self.target_mac.octets,
            self.target_ip.packed,
        )

    def frame(self, destination: MacAddress = BROADCAST) -> bytes:
        """The Ethernet frame that carries this packet from its sender."""
        return EthernetFrame(destination, self.sender_mac, ETHERTYPE_ARP, self.encode()).encode()


def decode(data: bytes) -> ArpPacket | Malformed[Flaw]:
    """The packet in the payload of an ARP frame; padding behind it is ignored."""
    if len(data) < LENGTH:
        return Malformed(Flaw.TRUNCATED, len(data))
    hardware, protocol, hw_length, proto_length, operation, mac, ip, target_mac, target_ip = _PACKET.unpack_from(data)
    if (hardware, protocol, hw_length, proto_length) != (_ETHERNET, ETHERTYPE_IPV4, 6, 4):
        return Malformed(Flaw.HARDWARE, 0)
    if operation not in (Operation.REQUEST, Operation.REPLY):
        return Malformed(Flaw.TYPE, 6)
    return ArpPacket(
        Operation(operation), MacAddress(mac), IPv4Address(ip), MacAddress(target_mac), IPv4Address(target_ip)
    )


def request(mac: MacAddress, sender: IPv4Address, target: IPv4Address) -> ArpPacket:
    """Who has `target`? Tell `sender`, at `mac`."""
    return ArpPacket(Operation.REQUEST, mac, sender, UNKNOWN_MAC, target)


def gratuitous_request(mac: MacAddress, address: IPv4Address) -> ArpPacket:
    """`address` is at `mac`, in request form; the target MAC is unused (RFC 5944 4.6) and all ones, as keepalived's."""
    return ArpPacket(Operation.REQUEST, mac, address, BROADCAST, address)


def gratuitous_reply(mac: MacAddress, address: IPv4Address) -> ArpPacket:
    """`address` is at `mac`, in reply form; RFC 5944 4.6: the target MAC is the one to be learnt, too."""
    return ArpPacket(Operation.REPLY, mac, address, mac, address)


def announcement(mac: MacAddress, address: IPv4Address) -> tuple[bytes, bytes]:
    """The two frames that tell a network where `address` is."""
    return gratuitous_request(mac, address).frame(), gratuitous_reply(mac, address).frame()
