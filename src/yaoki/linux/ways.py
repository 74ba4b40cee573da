"""The ways to servers across routers, as the kernel would send packets: interface, next hop, its MAC, source, MTU.

Tunnels write outer headers themselves, so the kernel's routes are asked for (RTM_GETROUTE) instead of used. They are
asked again when a route, an address or a link has changed, and every few seconds, since what the kernel learns of a
path's MTU is told to nobody. The next hop's MAC is kept fresh as a server's is (yaoki.linux.neighbours): it is asked
for from this node's own address, never from a VIP.

The source of outer headers is the one that the kernel would choose, unless that is a VIP: then an address of the
interface beside it, so that it stays when the VIP goes.

Limits: each address is looked at once every LOOK_EVERY_S; after changes all of them, once a second at most.
"""

import asyncio
import fcntl
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import Way
from yaoki.linux.neighbour_question import mac_of
from yaoki.linux.neighbours import NeighbourWatch
from yaoki.linux.own_interfaces import OwnInterface, own_interfaces
from yaoki.linux.route import Route, route_to

LOOK_EVERY_S = 5.0
_SOON_S = 0.05
_AGAIN_S = 1.0
_RECEIVE_OCTETS = 1 << 16
_MOST_DATAGRAMS = 256
_NETLINK_ROUTE = 0
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE."""
_SIOCGIFMTU = 0x8921
_REQUEST = struct.Struct("=16si20x")

Place = tuple[str, IPAddress]


@dataclass(frozen=True, slots=True)
class Path:
    """A way whose next hop's MAC is not known yet."""

    interface: str
    own: MacAddress
    next_hop: IPAddress
    source: IPAddress
    mtu: int

    @property
    def place(self) -> Place:
        return self.interface, self.next_hop

    def by(self, mac: MacAddress) -> Way:
        """The way, with the MAC."""
        return Way(self.interface, self.own, self.next_hop, mac, self.source, self.mtu)


class WayWatch:
    """Follows the ways to some addresses on the running event loop; `found` is told each one that is new or changed."""

    def __init__(self, found: Callable[[IPAddress, Way | None], None]) -> None:
        self._found = found
        self._addresses: tuple[IPAddress, ...] = ()
        self._paths: dict[IPAddress, Path] = {}
        self._macs: dict[Place, MacAddress] = {}
        self._told: dict[IPAddress, Way | None] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = float("-inf")
        self._neighbours = NeighbourWatch(self._resolved)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._changed)

    def watch(self, addresses: tuple[IPAddress, ...], /) -> None:
        """From now on these; what the kernel knows already is told soon."""
        self._addresses = addresses
        self._told = {address: way for address, way in self._told.items() if address in set(addresses)}
        self._look()

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._neighbours.close()

    def _changed(self) -> None:
        for _ in range(_MOST_DATAGRAMS):
            try:
                self._socket.recv(_RECEIVE_OCTETS)
            except BlockingIOError:
                break
            except OSError:
                break  # more has changed than the socket holds
        self._later(max(_SOON_S, self._looked_at + _AGAIN_S - self._loop.time()))

    def _later(self, seconds: float) -> None:
        """Look then, unless that is due sooner."""
        at = self._loop.time() + seconds
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._addresses:
            self._paths = {}
            self._neighbours.watch(())
            return
        self._looked_at = self._loop.time()
        before = {path.place for path in self._paths.values()}
        self._paths = dict(paths(self._addresses))
        wanted = {path.place: None for path in self._paths.values()}
        if wanted.keys() != before:
            self._macs = {place: mac for place, mac in self._macs.items() if place in wanted}
            self._neighbours.watch(tuple(wanted))
        for address in self._addresses:
            self._tell(address)
        self._later(LOOK_EVERY_S)

    def _resolved(self, interface: str, next_hop: IPAddress, mac: MacAddress | None) -> None:
        if mac is None:
            self._macs.pop((interface, next_hop), None)
        else:
            self._macs[interface, next_hop] = mac
        for address, path in self._paths.items():
            if path.place == (interface, next_hop):
                self._tell(address)

    def _tell(self, address: IPAddress) -> None:
        path = self._paths.get(address)
        mac = None if path is None else self._macs.get(path.place)
        way = None if path is None or mac is None else path.by(mac)
        if address not in self._told or self._told[address] != way:
            self._told[address] = way
            self._found(address, way)


class KnownWays:
    """The ways as the kernel knows them now, asked one by one. The interfaces are looked at again after _AGAIN_S."""

    def __init__(self) -> None:
        self._interfaces: dict[str, OwnInterface] = {}
        self._looked_at = float("-inf")

    def to(self, address: IPAddress) -> Way | None:
        """None if there is none, or if the next hop's MAC is not known; then it is being asked for."""
        now = time.monotonic()
        if now >= self._looked_at + _AGAIN_S:
            self._interfaces, self._looked_at = _by_name(), now
        with suppress(OSError):
            path = _path_to(address, self._interfaces)
            mac = None if path is None else mac_of(*path.place)
            return None if path is None or mac is None else path.by(mac)
        return None


def paths(addresses: Iterable[IPAddress]) -> Iterable[tuple[IPAddress, Path]]:
    """The path to each address that the kernel has a route to, by an Ethernet interface."""
    interfaces = _by_name()
    for address in addresses:
        path = _path_to(address, interfaces)
        if path is not None:
            yield address, path


def _by_name() -> dict[str, OwnInterface]:
    with suppress(ActuatorError):
        return {interface.name: interface for interface in own_interfaces()}
    return {}


def _path_to(address: IPAddress, interfaces: Mapping[str, OwnInterface]) -> Path | None:
    with suppress(ActuatorError, OSError):
        route = route_to(address)
        return _path(address, route, interfaces.get(route.interface))
    return None


def _path(address: IPAddress, route: Route, interface: OwnInterface | None) -> Path | None:
    next_hop = address if route.gateway is None else route.gateway
    if interface is None or interface.mac is None or not any(interface.mac.octets):
        return None
    source = _source(route, interface, next_hop)
    if source is None:
        return None
    return Path(route.interface, interface.mac, next_hop, source, route.mtu or _mtu(route.interface))


def _source(route: Route, interface: OwnInterface, next_hop: IPAddress) -> IPAddress | None:
    vips = {address.ip for address in interface.vips}
    if route.source is not None and route.source not in vips:
        return route.source
    own = [one for one in interface.addresses if one.version == next_hop.version and not one.is_link_local]
    beside = (one.ip for one in own if next_hop in one.network)
    return next(beside, own[0].ip if own else None)


def _mtu(interface: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        answer = fcntl.ioctl(asked, _SIOCGIFMTU, _REQUEST.pack(interface.encode(), 0))
    mtu: int = _REQUEST.unpack(answer)[1]
    return mtu
