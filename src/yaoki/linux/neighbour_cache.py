"""Reads the kernel's neighbour cache, and the parameters that say how long a stale entry lasts (`ip neigh`, arp(7))."""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attributes, message, messages
from yaoki.vrrp.neighbour_cache import CacheEntry, CacheState, CacheTimers, NeighbourCache

MAX_ENTRIES = 10_000
"""Read from the kernel; what is beyond is left out."""

_ROOT = Path("/proc/sys/net")
_RECEIVE_OCTETS = 1 << 18
_NETLINK_ROUTE = 0
_NEW, _GET, _DONE, _ERROR = 28, 30, 3, 2
_REQUEST, _DUMP = 0x1, 0x300
_NDA_DST, _NDA_LLADDR, _NDA_CACHEINFO = 1, 2, 3
_NEIGHBOUR = struct.Struct("=BxHiHBB")
"""struct ndmsg: family, interface, state, flags, type."""
_CACHEINFO = struct.Struct("=IIII")
"""struct nda_cacheinfo: how long ago confirmed, used, updated; references."""
_TICK = timedelta(milliseconds=10)
"""USER_HZ is 100 on every architecture that we run on."""
_STATES = {
    0x01: CacheState.INCOMPLETE,
    0x02: CacheState.REACHABLE,
    0x04: CacheState.STALE,
    0x08: CacheState.DELAY,
    0x10: CacheState.PROBE,
    0x20: CacheState.FAILED,
    0x40: CacheState.NO_ARP,
    0x80: CacheState.PERMANENT,
}
_DIRECTORIES = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}


def read(interfaces: Iterable[str]) -> NeighbourCache:
    """The cache of these interfaces; one that is not there is passed over. Raises ActuatorError."""
    indices: dict[int, str] = {}
    for interface in interfaces:
        with suppress(OSError):
            indices[socket.if_nametoindex(interface)] = interface
    timers = (_timers(interface, family) for interface in indices.values() for family in Family)
    try:
        entries = tuple(entry for entry, _ in zip(_entries(indices), range(MAX_ENTRIES), strict=False))
        return NeighbourCache(entries, tuple(found for found in timers if found is not None))
    except OSError as error:
        raise ActuatorError("read the neighbour cache", error.strerror or str(error), errno=error.errno) from error


def _entries(indices: dict[int, str]) -> Iterator[CacheEntry]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as sock:
        sock.send(message(_GET, _REQUEST | _DUMP, 0, _NEIGHBOUR.pack(0, 0, 0, 0, 0, 0)))
        while True:
            for kind, _, body in messages(sock.recv(_RECEIVE_OCTETS)):
                if kind in (_DONE, _ERROR):
                    return
                entry = _entry(body, indices) if kind == _NEW else None
                if entry is not None:
                    yield entry


def _entry(body: bytes, indices: dict[int, str]) -> CacheEntry | None:
    if len(body) < _NEIGHBOUR.size:
        return None
    family, _, interface, state, _, _ = _NEIGHBOUR.unpack_from(body)
    found = dict(attributes(body[_NEIGHBOUR.size :]))
    address, mac, ages = _address(family, found.get(_NDA_DST, b"")), found.get(_NDA_LLADDR), found.get(_NDA_CACHEINFO)
    if interface not in indices or address is None or address.is_multicast or state not in _STATES:
        return None
    confirmed = None if ages is None or len(ages) < _CACHEINFO.size else _CACHEINFO.unpack_from(ages)[0] * _TICK
    known = MacAddress(mac) if mac is not None and len(mac) == 6 else None
    return CacheEntry(indices[interface], address, known, _STATES[state], confirmed)


def _timers(interface: str, family: Family) -> CacheTimers | None:
    where = _ROOT / _DIRECTORIES[family] / "neigh" / interface
    try:
        base, before, retransmit, probes = (
            int((where / name).read_text(encoding="ascii"))
            for name in ("base_reachable_time_ms", "delay_first_probe_time", "retrans_time_ms", "ucast_solicit")
        )
    except OSError:
        return None
    return CacheTimers(
        interface,
        family,
        timedelta(milliseconds=base),
        timedelta(seconds=before),
        timedelta(milliseconds=retransmit),
        probes,
    )


def _address(family: int, octets: bytes) -> IPAddress | None:
    if family == socket.AF_INET and len(octets) == 4:
        return IPv4Address(octets)
    if family == socket.AF_INET6 and len(octets) == 16:
        return IPv6Address(octets)
    return None
