"""The interfaces that virtual MAC addresses are on: one macvlan for each virtual router, on the VIP's interface.

    eth0                 its own MAC, the node's own addresses; VRRP is heard here
      yk4-51-eth0        00:00:5e:00:01:33, the IPv4 VIPs of VRID 51: up while they are owned
      yk6-51-eth0        00:00:5e:00:02:33, the IPv6 VIPs of VRID 51

The mode is vepa, because the other routers have the same MAC. In private mode Linux takes a broadcast that comes from
another router for an echo of its own and keeps it from eth0, so a second owner would never be heard; in bridge mode
whoever else has a macvlan on eth0 reaches the VIP past the dead-man gate.

An interface that is down does not exist for the others: eth0 takes no frames for its MAC, so a Backup has none to
forward twice (RFC 9568 6.4.2: "MUST discard packets with a destination link-layer MAC address equal to the virtual
router MAC address").
"""

import struct
import zlib
from typing import Final

from yaoki.core.address import Family, MacAddress
from yaoki.linux.attributes import attribute, attributes, message, nest
from yaoki.vrrp.virtual_mac import is_virtual

RTM_NEWLINK, RTM_DELLINK = 16, 17
LONGEST_NAME: Final = 15
"""IFNAMSIZ, without the zero."""

KIND: Final = "macvlan"
# linux/if_link.h
IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 5, 10, 18
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_IFALIAS = 1, 3, 20
_INFO_KIND, _INFO_DATA = 1, 2
_MACVLAN_MODE, _VEPA = 1, 2
_IFF_UP = 0x1
_F_REQUEST, _F_ACK, _F_EXCL, _F_CREATE = 0x1, 0x4, 0x200, 0x400
_IFINFOMSG = struct.Struct("=BxHiII")
_PREFIXES = {Family.IPV4: "yk4-", Family.IPV6: "yk6-"}


def name_of(family: Family, vrid: int, parent: str) -> str:
    """The name of a virtual router's interface, the same after each boot, so that filters can name it."""
    head = f"{_PREFIXES[family]}{vrid}-"
    if len(head + parent) <= LONGEST_NAME:
        return head + parent
    return f"{head}{zlib.crc32(parent.encode()):08x}"[:LONGEST_NAME]


def is_ours(name: str, kind: str, mac: MacAddress | None) -> bool:
    """Whether an interface is one of these, by whichever life of ours it was made."""
    return kind == KIND and name.startswith(tuple(_PREFIXES.values())) and mac is not None and is_virtual(mac)


def parse_kind(link_info: bytes) -> str:
    """The kind of a link, from its IFLA_LINKINFO."""
    return dict(attributes(link_info)).get(_INFO_KIND, b"").rstrip(b"\0").decode(errors="replace")


def create(parent: int, name: str, mac: MacAddress) -> bytes:
    """The request that makes one, which is down. Refused if the name is taken."""
    mode = attribute(_MACVLAN_MODE, struct.pack("=I", _VEPA))
    body = (
        _IFINFOMSG.pack(0, 0, 0, 0, 0)
        + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        + attribute(IFLA_LINK, struct.pack("=I", parent))
        + attribute(_IFLA_ADDRESS, mac.octets)
        + nest(IFLA_LINKINFO, attribute(_INFO_KIND, KIND.encode()), nest(_INFO_DATA, mode))
    )
    return message(RTM_NEWLINK, _F_REQUEST | _F_ACK | _F_CREATE | _F_EXCL, 0, body)


def describe(index: int, alias: str) -> bytes:
    """The request that gives an interface a text for people, which `ip link` shows."""
    body = _IFINFOMSG.pack(0, 0, index, 0, 0) + attribute(_IFLA_IFALIAS, alias.encode())
    return message(RTM_NEWLINK, _F_REQUEST | _F_ACK, 0, body)


def set_up(index: int, *, up: bool) -> bytes:
    """The request that takes an interface up or down; none of its other flags."""
    body = _IFINFOMSG.pack(0, 0, index, _IFF_UP if up else 0, _IFF_UP)
    return message(RTM_NEWLINK, _F_REQUEST | _F_ACK, 0, body)


def delete(index: int) -> bytes:
    """The request that removes an interface, with all that is on it."""
    return message(RTM_DELLINK, _F_REQUEST | _F_ACK, 0, _IFINFOMSG.pack(0, 0, index, 0, 0))
