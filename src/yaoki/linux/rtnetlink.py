"""The part of rtnetlink(7) that addresses and links need: messages, attributes, requests with their answers.

    nlmsghdr: length, type, flags, sequence, port | ifaddrmsg, ifinfomsg or rtmsg | attributes: length, type, value

Invariant: an answer is matched to its request by its sequence number; a refusal is raised as ActuatorError.
"""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from yaoki.core.address import IPAddress, IPInterface, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux import macvlan
from yaoki.linux.attributes import attribute, attributes, message, messages

# linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h, linux/netlink.h
NETLINK_ROUTE = 0
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
IFA_F_SECONDARY, IFA_F_NODAD, IFA_F_OPTIMISTIC, IFA_F_DADFAILED = 0x01, 0x02, 0x04, 0x08
IFA_F_TENTATIVE, IFA_F_NOPREFIXROUTE = 0x40, 0x200
IFF_UP, IFF_RUNNING = 0x1, 0x40

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_F_REQUEST, _F_ACK, _F_DUMP = 0x1, 0x4, 0x300
_F_REPLACE, _F_EXCL, _F_CREATE = 0x100, 0x200, 0x400
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS, _IFA_PROTO = 1, 2, 6, 8, 11
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_CARRIER_CHANGES = 1, 3, 35
_IFADDRMSG = struct.Struct("=BBBBI")
_IFINFOMSG = struct.Struct("=BxHiII")
_CACHEINFO = struct.Struct("=IIII")
_RTMSG = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_OIF = 1, 4
_RTN_LOCAL = 2
_FOREVER = 0xFFFFFFFF
_BUFFER = 65536

# The mark of our addresses: rt_addrprotos gives 0-3 to the kernel, the rest to whoever asks for them.
PROTO_YAOKI = 0x59


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel tells of it. `gone` when it was deleted. `parent` is the index of the one that it is
    on, `master` that of the one that it is part of; 0: none."""

    index: int
    name: str
    up: bool
    mac: MacAddress | None
    carrier_changes: int
    gone: bool = False
    parent: int = 0
    master: int = 0
    kind: str = ""

    @property
    def bears_vips(self) -> bool:
        """Whether it was made by us, for the VIPs of a virtual MAC on its parent."""
        return macvlan.is_ours(self.name, self.kind, self.mac)


@dataclass(frozen=True, slots=True)
class Address:
    """An address on an interface. `ours`: it bears our mark."""

    index: int
    address: IPInterface
    flags: int
    ours: bool
    gone: bool = False


Notice = Link | Address


class Rtnetlink:
    """A socket for requests, one at a time."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def request(self, prepared: bytes, change: str) -> None:
        """Have one change made. `change` says which, for the ActuatorError of a refusal."""
        sequence = self._send(prepared)
        while True:
            for kind, answered, body in messages(self._socket.recv(_BUFFER)):
                if answered == sequence and kind == _NLMSG_ERROR:
                    _raise_refusal(body, change)
                    return

    def takes(self, index: int, address: IPAddress) -> bool:
        """Whether the kernel takes packets for an address as its own: its local route is in."""
        sequence = self._send(local_route_question(index, address))
        while True:
            for kind, answered, body in messages(self._socket.recv(_BUFFER)):
                if answered == sequence:
                    return kind == RTM_NEWROUTE and _RTMSG.unpack_from(body)[7] == _RTN_LOCAL

    def dump(self, kind: int) -> Iterator[Notice]:
        """Every link (RTM_GETLINK) or address (RTM_GETADDR)."""
        body = _IFINFOMSG.pack(0, 0, 0, 0, 0) if kind == RTM_GETLINK else _IFADDRMSG.pack(0, 0, 0, 0, 0)
        sequence = self._send(message(kind, _F_REQUEST | _F_DUMP, 0, body))
        while True:
            for answer, answered, data in messages(self._socket.recv(_BUFFER)):
                if answered != sequence:
                    continue
                if answer == _NLMSG_DONE:
                    return
                if answer == _NLMSG_ERROR:
                    _raise_refusal(data, "list links or addresses")
                notice = parse(answer, data)
                if notice is not None:
                    yield notice

    def _send(self, prepared: bytes) -> int:
        self._sequence += 1
        self._socket.send(prepared[:8] + struct.pack("=I", self._sequence) + prepared[12:])
        return self._sequence


def monitor() -> socket.socket:
    """A socket on which the kernel tells of every change of links and addresses; not blocking."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
    sock.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    return sock


def add_address(index: int, address: IPInterface, *, shares_prefix: bool = False) -> bytes:
    """The request that puts an address on an interface, with our mark.

    IPv6 without duplicate detection, which would keep it tentative for more than a second, and deprecated, so that
    the kernel does not take it as the source of what this node sends by itself. `shares_prefix`: the interface has an
    address of its own in the prefix, whose route is then none of ours.
    """
    body = _vip_body(index, address, _FOREVER, shares_prefix=shares_prefix)
    return message(RTM_NEWADDR, _F_REQUEST | _F_ACK | _F_CREATE | _F_EXCL, 0, body)


def limit_address(index: int, address: IPInterface, lifetime_s: int | None, *, shares_prefix: bool = False) -> bytes:
    """The request that lets an address of ours last for so long from now; None: for ever. `shares_prefix` is as it was
    when the address was put there: else Linux gives the lifetime to the prefix's route, and lets that expire."""
    valid_s = _FOREVER if lifetime_s is None else lifetime_s
    body = _vip_body(index, address, valid_s, shares_prefix=shares_prefix)
    return message(RTM_NEWADDR, _F_REQUEST | _F_ACK | _F_REPLACE, 0, body)


def local_route_question(index: int, address: IPAddress) -> bytes:
    """The request that asks which way packets for an address go. Only a link-local one needs the interface's index."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    body = _RTMSG.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0) + attribute(_RTA_DST, address.packed)
    if address.is_link_local:
        body += attribute(_RTA_OIF, struct.pack("=I", index))
    return message(RTM_GETROUTE, _F_REQUEST, 0, body)


def delete_address(index: int, address: IPInterface) -> bytes:
    """The request that takes an address off an interface."""
    return message(RTM_DELADDR, _F_REQUEST | _F_ACK, 0, _address_body(index, address, 0))


def parse(kind: int, body: bytes) -> Notice | None:
    """What a message of the kernel says, None where it speaks of something else."""
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        return _parse_link(body, gone=kind == RTM_DELLINK)
    if kind in (RTM_NEWADDR, RTM_DELADDR):
        return _parse_address(body, gone=kind == RTM_DELADDR)
    return None


def _parse_link(body: bytes, *, gone: bool) -> Link | None:
    family, _, index, flags, _ = _IFINFOMSG.unpack_from(body)
    # Bridges tell of their ports in this form, too (AF_BRIDGE).
    if family != socket.AF_UNSPEC:
        return None
    found = dict(attributes(body[_IFINFOMSG.size :]))
    mac = found.get(_IFLA_ADDRESS, b"")
    return Link(
        index,
        found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="surrogateescape"),
        flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING,
        MacAddress(mac) if len(mac) == 6 else None,
        _number(found.get(_IFLA_CARRIER_CHANGES)),
        gone,
        _number(found.get(macvlan.IFLA_LINK)),
        _number(found.get(macvlan.IFLA_MASTER)),
        macvlan.parse_kind(found.get(macvlan.IFLA_LINKINFO, b"")),
    )


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(struct.unpack("=I", value)[0])


def _parse_address(body: bytes, *, gone: bool) -> Address | None:
    family, prefix, flags, _, index = _IFADDRMSG.unpack_from(body)
    found = dict(attributes(body[_IFADDRMSG.size :]))
    # With a peer address IFA_ADDRESS is the other end's.
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS, b"")
    address: IPInterface
    if family == socket.AF_INET and len(packed) == 4:
        address = IPv4Interface((IPv4Address(packed), prefix))
    elif family == socket.AF_INET6 and len(packed) == 16:
        address = IPv6Interface((IPv6Address(packed), prefix))
    else:
        return None
    if _IFA_FLAGS in found:
        flags = struct.unpack("=I", found[_IFA_FLAGS])[0]
    return Address(index, address, flags, found.get(_IFA_PROTO) == bytes((PROTO_YAOKI,)), gone)


def _vip_body(index: int, address: IPInterface, valid_s: int, *, shares_prefix: bool) -> bytes:
    flags = IFA_F_NODAD if address.version == 6 else 0
    body = _address_body(index, address, flags)
    if shares_prefix:  # these flags take the place of the octet in the header, which is too small for this one
        body += attribute(_IFA_FLAGS, struct.pack("=I", flags | IFA_F_NOPREFIXROUTE))
    body += attribute(_IFA_ADDRESS, address.ip.packed) + attribute(_IFA_PROTO, bytes((PROTO_YAOKI,)))
    preferred_s = 0 if address.version == 6 else valid_s
    return body + attribute(_IFA_CACHEINFO, _CACHEINFO.pack(preferred_s, valid_s, 0, 0))


def _address_body(index: int, address: IPInterface, flags: int) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    header = _IFADDRMSG.pack(family, address.network.prefixlen, flags, 0, index)
    return header + attribute(_IFA_LOCAL, address.ip.packed)


def _raise_refusal(body: bytes, change: str) -> None:
    number = -struct.unpack_from("=i", body)[0]
    if number:
        raise ActuatorError(change, os.strerror(number), errno=number)
