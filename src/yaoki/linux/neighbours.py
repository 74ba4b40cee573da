"""The MAC addresses of real servers, from the kernel's neighbour table, kept fresh although no packet of ours uses it.

Direct return writes MACs itself, so nothing makes the kernel ask for them. Each address is therefore put to use every
NUDGE_EVERY_S (RTM_NEWNEIGH with NTF_USE): the kernel asks by ARP or neighbour solicitation, from this node's own
address, never from a VIP, which a server that holds the VIP too would leave unanswered. Changes come as notifications.

Limits: each address is nudged once per NUDGE_EVERY_S, in slices, one a second; a notification lost to a full socket
leads to one dump.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.linux.attributes import attribute, attributes, message, messages

NUDGE_EVERY_S = 5
_SLICE_EVERY_S = 1.0
_RECEIVE_OCTETS = 1 << 18
_MOST_DATAGRAMS = 64
"""Read at a time; the event loop comes back for more."""

_NETLINK_ROUTE = 0
_GROUPHEADER = 1 << 2
_NEW, _DELETE, _GET = 28, 29, 30
_REQUEST, _CREATE, _DUMP = 0x1, 0x400, 0x300
_NDA_DST, _NDA_LLADDR = 1, 2
_NTF_USE = 0x01
HEADER = struct.Struct("=BxHiHBB")
"""struct ndmsg: family, interface, state, flags, type."""
_KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
"""NUD_REACHABLE, _STALE, _DELAY, _PROBE, _NOARP, _PERMANENT."""
_FAILED = 0x20
_FAMILY = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}

Place = tuple[str, IPAddress]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What the kernel says of one address; `mac` None: it was asked for and does not answer."""

    interface: int
    address: IPAddress
    mac: MacAddress | None


class NeighbourWatch:
    """Follows the MACs of some addresses on the running event loop; `found` is told each one that is new or changed,
    with its interface."""

    def __init__(self, found: Callable[[str, IPAddress, MacAddress | None], None]) -> None:
        self._found = found
        self._places: tuple[Place, ...] = ()
        self._told: dict[Place, MacAddress | None] = {}
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        self._socket.bind((0, _GROUPHEADER))
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._read)

    def watch(self, addresses: tuple[Place, ...], /) -> None:
        """From now on these (interface, address); what the kernel knows already is told soon."""
        self._places = addresses
        self._told = {place: mac for place, mac in self._told.items() if place in set(addresses)}
        self._next = 0
        self._nudge(addresses)
        self._dump()
        if self._timer is None:
            self._timer = self._loop.call_later(_SLICE_EVERY_S, self._tick)

    def close(self) -> None:
        """Stop; entries of the kernel's table are left to it, which forgets what nobody uses."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _tick(self) -> None:
        count = -(-len(self._places) // round(NUDGE_EVERY_S / _SLICE_EVERY_S))
        self._nudge(self._places[self._next : self._next + count])
        self._next = self._next + count if self._next + count < len(self._places) else 0
        self._timer = self._loop.call_later(_SLICE_EVERY_S, self._tick)

    def _nudge(self, places: tuple[Place, ...]) -> None:
        for interface, address in places:
            # An interface that is not there now may be there the next time; a full socket likewise.
            with suppress(OSError):
                self._socket.send(use(socket.if_nametoindex(interface), address))

    def _dump(self) -> None:
        with suppress(OSError):
            self._socket.send(message(_GET, _REQUEST | _DUMP, 0, HEADER.pack(0, 0, 0, 0, 0, 0)))

    def _read(self) -> None:
        for _ in range(_MOST_DATAGRAMS):
            try:
                data = self._socket.recv(_RECEIVE_OCTETS)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._dump()
                    continue
                raise
            for neighbour in read(data):
                self._heard(neighbour)

    def _heard(self, neighbour: Neighbour) -> None:
        try:
            place = (socket.if_indextoname(neighbour.interface), neighbour.address)
        except OSError:
            return
        if place not in self._places:
            return
        if place in self._told and self._told[place] == neighbour.mac:
            return
        self._told[place] = neighbour.mac
        self._found(*place, neighbour.mac)


def use(interface: int, address: IPAddress) -> bytes:
    """The message that makes the kernel find out, or confirm, an address's MAC."""
    body = HEADER.pack(_FAMILY[Family.of(address)], 0, interface, 0, _NTF_USE, 0)
    return message(_NEW, _REQUEST | _CREATE, 0, body + attribute(_NDA_DST, address.packed))


def read(data: bytes) -> Iterator[Neighbour]:
    """What a datagram says of neighbours that are known or have failed; those still being asked for are passed over."""
    for kind, _, body in messages(data):
        if kind != _NEW or len(body) < HEADER.size:
            continue
        family, _, interface, state, _, _ = HEADER.unpack_from(body)
        found = dict(attributes(body[HEADER.size :]))
        address = _address(family, found.get(_NDA_DST, b""))
        mac = found.get(_NDA_LLADDR, b"")
        if address is None:
            continue
        if state & _KNOWN and len(mac) == 6:
            yield Neighbour(interface, address, MacAddress(mac))
        elif state & _FAILED:
            yield Neighbour(interface, address, None)


def _address(family: int, octets: bytes) -> IPAddress | None:
    if family == socket.AF_INET and len(octets) == 4:
        return IPv4Address(octets)
    if family == socket.AF_INET6 and len(octets) == 16:
        return IPv6Address(octets)
    return None
