"""Neighbour Discovery for IPv6 (RFC 4861, sections 4.3, 4.4, 4.6.1): solicitations and advertisements.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +---------------+---------------+-------------------------------+
     |  type 135/136 |   code = 0    |           checksum            |
     +-+-+-+---------+---------------+-------------------------------+
     |R|S|O|                      reserved                           |
     +-+-+-+---------------------------------------------------------+
     |                        target address (16)                    |
     +---------------------------------------------------------------+
     |  options: type 1 source / 2 target link-layer, length 1, MAC  |
     +---------------------------------------------------------------+

The flags exist in advertisements only.
Invariant: what decodes had hop limit 255 (RFC 4861 7.1), so was sent on this link.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address

from yaoki.core.address import MacAddress
from yaoki.packet.checksum import upper_layer_checksum
from yaoki.packet.ethernet import ETHERTYPE_IPV6, EthernetFrame, multicast_mac
from yaoki.packet.ipv6 import ALL_NODES, NEXT_HEADER_ICMPV6, IPv6Packet, solicited_node
from yaoki.packet.malformed import Flaw, Malformed

SOLICITATION = 135
ADVERTISEMENT = 136
HOP_LIMIT = 255

_MESSAGE = struct.Struct("!BBHI16s")
_SOURCE_LINK_LAYER = 1
_TARGET_LINK_LAYER = 2
_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29
# Real messages carry one or two; a loop over a peer's bytes has an end.
_MAX_OPTIONS = 16


@dataclass(frozen=True, slots=True)
class NeighbourSolicitation:
    """Who has `target`? Without `source_mac` when sent from the unspecified address (duplicate detection)."""

    target: IPv6Address
    source_mac: MacAddress | None = None

    def encode(self, source: IPv6Address, destination: IPv6Address) -> bytes:
        message = _MESSAGE.pack(SOLICITATION, 0, 0, 0, self.target.packed)
        return _with_checksum(message + _option(_SOURCE_LINK_LAYER, self.source_mac), source, destination)


@dataclass(frozen=True, slots=True)
class NeighbourAdvertisement:
    """`target` is at `target_mac`. `override` replaces what a neighbour has cached."""

    target: IPv6Address
    target_mac: MacAddress | None = None
    router: bool = False
    solicited: bool = False
    override: bool = False

    def encode(self, source: IPv6Address, destination: IPv6Address) -> bytes:
        flags = (
            (_ROUTER if self.router else 0)
            | (_SOLICITED if self.solicited else 0)
            | (_OVERRIDE if self.override else 0)
        )
        message = _MESSAGE.pack(ADVERTISEMENT, 0, 0, flags, self.target.packed)
        return _with_checksum(message + _option(_TARGET_LINK_LAYER, self.target_mac), source, destination)


NeighbourMessage = NeighbourSolicitation | NeighbourAdvertisement


def decode(packet: IPv6Packet) -> NeighbourMessage | Malformed[Flaw]:
    """The message in an ICMPv6 packet, validated as RFC 4861 7.1.1 and 7.1.2 demand. Offsets count in the payload."""
    data = packet.payload
    if packet.next_header != NEXT_HEADER_ICMPV6:
        return Malformed(Flaw.TYPE, 0)
    if len(data) < _MESSAGE.size:
        return Malformed(Flaw.TRUNCATED, len(data))
    kind, code, _, flags, target = _MESSAGE.unpack_from(data)
    if kind not in (SOLICITATION, ADVERTISEMENT) or code != 0:
        return Malformed(Flaw.TYPE, 0)
    if packet.hop_limit != HOP_LIMIT:
        return Malformed(Flaw.HOP_LIMIT, 0)
    if upper_layer_checksum(packet.source, packet.destination, protocol=NEXT_HEADER_ICMPV6, data=data) != 0:
        return Malformed(Flaw.CHECKSUM, 2)
    address = IPv6Address(target)
    if address.is_multicast:
        return Malformed(Flaw.ADDRESS, 8)
    mac = _link_layer(data, _SOURCE_LINK_LAYER if kind == SOLICITATION else _TARGET_LINK_LAYER)
    if isinstance(mac, Malformed):
        return mac
    if kind == SOLICITATION:
        return NeighbourSolicitation(address, mac)
    return NeighbourAdvertisement(
        address,
        mac,
        router=bool(flags & _ROUTER),
        solicited=bool(flags & _SOLICITED),
        override=bool(flags & _OVERRIDE),
    )


def solicitation(mac: MacAddress, source: IPv6Address, target: IPv6Address) -> bytes:
    """The frame that asks the solicited-node group of `target` for its MAC."""
    group = solicited_node(target)
    return _frame(mac, source, group, NeighbourSolicitation(target, mac).encode(source, group))


def announcement(mac: MacAddress, address: IPv6Address, *, router: bool) -> bytes:
    """The unsolicited advertisement that tells a network where `address` is: S clear, O set (RFC 9568 6.4.2).

    `router` must say what the kernel says in its own answers: R falling from 1 to 0 makes hosts forget a default
    router (RFC 4861 7.2.5).
    """
    message = NeighbourAdvertisement(address, mac, router=router, override=True)
    return _frame(mac, address, ALL_NODES, message.encode(address, ALL_NODES))


def _frame(mac: MacAddress, source: IPv6Address, group: IPv6Address, message: bytes) -> bytes:
    packet = IPv6Packet(source, group, NEXT_HEADER_ICMPV6, message, hop_limit=HOP_LIMIT)
    return EthernetFrame(multicast_mac(group), mac, ETHERTYPE_IPV6, packet.encode()).encode()


def _option(kind: int, mac: MacAddress | None) -> bytes:
    return b"" if mac is None else bytes((kind, 1)) + mac.octets


def _with_checksum(message: bytes, source: IPv6Address, destination: IPv6Address) -> bytes:
    checksum = upper_layer_checksum(source, destination, protocol=NEXT_HEADER_ICMPV6, data=message)
    return message[:2] + checksum.to_bytes(2, "big") + message[4:]


def _link_layer(data: bytes, wanted: int) -> MacAddress | Malformed[Flaw] | None:
    """The MAC in the option `wanted`; RFC 4861 7.1: every option is longer than zero; unknown ones are skipped."""
    offset = _MESSAGE.size
    mac: MacAddress | None = None
    for _ in range(_MAX_OPTIONS):
        if offset == len(data):
            return mac
        if len(data) < offset + 2 or data[offset + 1] == 0 or len(data) < offset + data[offset + 1] * 8:
            return Malformed(Flaw.OPTION, offset)
        if data[offset] == wanted and data[offset + 1] == 1:
            mac = MacAddress(data[offset + 2 : offset + 8])
        offset += data[offset + 1] * 8
    if offset == len(data):
        return mac
    return Malformed(Flaw.OPTION, offset)
