"""Which way the kernel would send a packet (rtnetlink(7), RTM_GETROUTE).

nlmsghdr | rtmsg | RTA_DST [RTA_SRC]   ->   nlmsghdr | rtmsg | RTA_OIF, RTA_PREFSRC, RTA_GATEWAY ...
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError

_NETLINK_ROUTE = 0
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_RTM_GETROUTE = 26
_RTA_DST, _RTA_SRC, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_METRICS, _RTA_VIA = 1, 2, 4, 5, 7, 8, 18
_RTAX_MTU = 2
_RTM_F_FIB_MATCH = 0x2000
_RTN_UNICAST = 1
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_MAX_ANSWER = 8192


@dataclass(frozen=True, slots=True)
class Route:
    """The interface that a packet leaves by, the source that the kernel chooses, and the router that comes next, None
    if there is none. `mtu` is what the kernel knows of the path beyond its interface: told by the route, or learnt."""

    interface: str
    index: int
    source: IPAddress | None
    gateway: IPAddress | None = None
    mtu: int | None = None

    @property
    def on_link(self) -> bool:
        """Whether no router comes next."""
        return self.gateway is None


def route_to(target: IPAddress, source: IPAddress | None = None) -> Route:
    """Raises ActuatorError if the kernel knows no way."""
    body = _ask(target, _question(target, source))
    found = dict(_attributes(body[_ROUTE.size :]))
    index = int.from_bytes(found.get(_RTA_OIF, b""), sys.byteorder)
    chosen = source or (ip_address(found[_RTA_PREFSRC]) if _RTA_PREFSRC in found else None)
    metrics = dict(_attributes(found.get(_RTA_METRICS, b"")))
    mtu = int.from_bytes(metrics.get(_RTAX_MTU, b""), sys.byteorder) or None
    return Route(socket.if_indextoname(index), index, chosen, _gateway(found), mtu)


def matching_route(target: IPAddress) -> tuple[int, str]:
    """The length and the interface of the route in the tables that a packet would take; one that refuses packets, such
    as a blackhole, is none. Raises ActuatorError if there is none."""
    body = _ask(target, _question(target, None, flags=_RTM_F_FIB_MATCH))
    _, length, _, _, _, _, _, kind, _ = _ROUTE.unpack_from(body)
    if kind != _RTN_UNICAST:
        raise ActuatorError(f"route to {target}", "no route takes packets there")
    index = int.from_bytes(dict(_attributes(body[_ROUTE.size :])).get(_RTA_OIF, b""), sys.byteorder)
    # A route with several next hops names no interface of its own.
    return length, socket.if_indextoname(index) if index else "several interfaces"


def _gateway(found: dict[int, bytes]) -> IPAddress | None:
    """RTA_VIA is of another family than the route: its address follows the family's number."""
    if _RTA_GATEWAY in found:
        return ip_address(found[_RTA_GATEWAY])
    return ip_address(found[_RTA_VIA][2:]) if _RTA_VIA in found else None


def _ask(target: IPAddress, question: bytes) -> bytes:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as sock:
        sock.send(question)
        kind, body = _answer(sock.recv(_MAX_ANSWER))
    if kind == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", body)[0]
        raise ActuatorError(f"route to {target}", os.strerror(number), errno=number)
    return body


def _question(target: IPAddress, source: IPAddress | None, *, flags: int = 0) -> bytes:
    family, bits = _FAMILIES[target.version], target.max_prefixlen
    body = _ROUTE.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, flags) + _attribute(_RTA_DST, target.packed)
    if source is not None:
        body += _attribute(_RTA_SRC, source.packed)
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _answer(datagram: bytes) -> tuple[int, bytes]:
    length, kind, _, _, _ = _HEADER.unpack_from(datagram)
    return kind, datagram[_HEADER.size : length]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += length + 3 & ~3
