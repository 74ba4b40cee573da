"""Raw sockets for VRRP on one interface and family: protocol 112, multicast, hop limit 255 out and demanded in.

A classic BPF program lets advertisements of version 2 and 3 with hop limit 255 through and nothing else, so that what
comes from other networks cannot even wake the speaker. What it stops is given to a second socket with a small buffer,
read now and then, so that it is counted all the same.

Invariants: every stamp given is on CLOCK_MONOTONIC, not after the read and not before the read that emptied the socket
before; what is sent here is not heard here.
"""

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError

PROTOCOL = 112
MAX_DATAGRAMS_AT_ONCE = 256
MAX_STRAYS_AT_ONCE = 32

_GROUPS: dict[Family, IPAddress] = {Family.IPV4: IPv4Address("224.0.0.18"), Family.IPV6: IPv6Address("ff02::12")}
HOP_LIMIT = 255
_NETWORK_CONTROL = 0xC0
_PRIORITY = 6
_BUFFER = 4096
_CONTROL = 256
_STRAY_RECEIVE_BUFFER = 32768

# Missing from the socket module; asm-generic/socket.h, linux/in.h, linux/in6.h
_SO_ATTACH_FILTER, SO_TIMESTAMPNS, SO_BINDTODEVICE = 26, 35, 25
_IP_PKTINFO, _IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 8, 49, 29
_TIMESPEC = struct.Struct("=qq")
_IN_PKTINFO = struct.Struct("=i4s4s")
_IN6_PKTINFO = struct.Struct("=16si")

# linux/filter.h: load a byte, load a byte at X, X = 4 * (byte & 15), jump if equal, return
_LDB, _LDB_X, _LDX_HEADER, _JEQ, _RET = 0x30, 0x50, 0xB1, 0x15, 0x06
_NETWORK_HEADER = 0x100000000 - 0x100000
_ALL, _NONE = 0xFFFF, 0
_ADVERTISEMENTS = (0x31, 0x21)
_HOP_LIMIT_OFFSET = {Family.IPV4: 8, Family.IPV6: 7}


@dataclass(frozen=True, slots=True)
class Datagram:
    """What arrived, IP header removed. `received_ns` is when the kernel took it, on CLOCK_MONOTONIC."""

    source: IPAddress
    destination: IPAddress
    hop_limit: int
    payload: bytes
    received_ns: int


class VrrpSocket:
    """Sends and receives on one interface. Raises ActuatorError when it cannot be opened."""

    def __init__(self, interface: str, index: int, family: Family) -> None:
        self.interface = interface
        self.index = index
        self.family = family
        self._group = _GROUPS[family]
        self._read_at_ns = time.monotonic_ns()
        self._infos: dict[IPAddress, tuple[int, int, bytes]] = {}
        opened: list[socket.socket] = []
        try:
            for wanted in (True, False):
                sock = _open(interface, index, family)
                opened.append(sock)
                _filter(sock, family, wanted=wanted)
            self._socket, self._strays = opened
            self._prepare()
        except OSError as error:
            for sock in opened:
                sock.close()
            what = f"open a VRRP socket on {interface}"
            raise ActuatorError(what, error.strerror or str(error), errno=error.errno) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        self._strays.close()

    def send(self, source: IPAddress, destination: IPAddress, payload: bytes) -> None:
        """Send from `source`, which must be on the interface. Raises ActuatorError."""
        info = self._infos.get(source)
        if info is None:
            info = self._infos[source] = self._packet_info(source)
        try:
            self._socket.sendmsg((payload,), (info,), 0, (str(destination), 0))
        except OSError as error:
            what = f"advertise on {self.interface}"
            raise ActuatorError(what, error.strerror or str(error), errno=error.errno) from error

    def read(self) -> list[Datagram]:
        """What has arrived, at most MAX_DATAGRAMS_AT_ONCE; does not block."""
        datagrams = list(self._take(self._socket, MAX_DATAGRAMS_AT_ONCE))
        if len(datagrams) < MAX_DATAGRAMS_AT_ONCE:
            self._read_at_ns = time.monotonic_ns()
        return datagrams

    def read_strays(self) -> list[Datagram]:
        """A few of the packets that the filter stopped; the rest is dropped."""
        strays = list(self._take(self._strays, MAX_STRAYS_AT_ONCE))
        if len(strays) == MAX_STRAYS_AT_ONCE:
            for _ in self._take(self._strays, MAX_DATAGRAMS_AT_ONCE):
                pass
        return strays

    def _take(self, sock: socket.socket, limit: int) -> Iterator[Datagram]:
        for _ in range(limit):
            try:
                data, ancillary, _, sender = sock.recvmsg(_BUFFER, _CONTROL)
            except BlockingIOError:
                return
            except OSError as error:
                # Reported once, at the next read: the interface went down. Nothing has arrived.
                if error.errno not in (errno.ENETDOWN, errno.ENODEV):
                    raise
                continue
            datagram = self._datagram(data, ancillary, sender)
            if datagram is not None:
                yield datagram

    def _datagram(
        self, data: bytes, ancillary: Iterable[tuple[int, int, bytes]], sender: tuple[str, int]
    ) -> Datagram | None:
        found = {(level, kind): value for level, kind, value in ancillary}
        received = received_ns(found.get((socket.SOL_SOCKET, SO_TIMESTAMPNS)), self._read_at_ns)
        if self.family is Family.IPV4:
            header_length = (data[0] & 15) * 4
            source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
            return Datagram(source, destination, data[8], data[header_length:], received)
        info = found.get((socket.IPPROTO_IPV6, socket.IPV6_PKTINFO))
        hop_limit = found.get((socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT))
        if info is None or hop_limit is None:
            return None
        source_6 = IPv6Address(sender[0].partition("%")[0])
        (hops,) = struct.unpack_from("=i", hop_limit)
        return Datagram(source_6, IPv6Address(info[:16]), hops, data, received)

    def _packet_info(self, source: IPAddress) -> tuple[int, int, bytes]:
        if isinstance(source, IPv4Address):
            return socket.IPPROTO_IP, _IP_PKTINFO, _IN_PKTINFO.pack(self.index, source.packed, bytes(4))
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IN6_PKTINFO.pack(source.packed, self.index)

    def _prepare(self) -> None:
        sock = self._socket
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if self.family is Family.IPV4:
            level = socket.IPPROTO_IP
            options = (
                (socket.IP_MULTICAST_TTL, HOP_LIMIT),
                (socket.IP_TTL, HOP_LIMIT),
                (socket.IP_MULTICAST_LOOP, 0),
                (socket.IP_TOS, _NETWORK_CONTROL),
            )
        else:
            level = socket.IPPROTO_IPV6
            options = (
                (socket.IPV6_MULTICAST_HOPS, HOP_LIMIT),
                (socket.IPV6_UNICAST_HOPS, HOP_LIMIT),
                (socket.IPV6_MULTICAST_LOOP, 0),
                (socket.IPV6_TCLASS, _NETWORK_CONTROL),
            )
        for option, value in options:
            sock.setsockopt(level, option, value)
        # After the type of service, which sets a priority of its own.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _PRIORITY)
        self._strays.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STRAY_RECEIVE_BUFFER)


def received_ns(stamp: bytes | None, emptied_ns: int) -> int:
    """When the kernel received, on CLOCK_MONOTONIC, from its stamp on the wall clock."""
    now = time.monotonic_ns()
    if stamp is None:
        return now
    seconds, nanoseconds = _TIMESPEC.unpack_from(stamp)
    stamped = seconds * 1_000_000_000 + nanoseconds
    wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return received_at(stamped, now_ns=now, wall_ns=wall, emptied_ns=emptied_ns)


def received_at(stamped_ns: int, *, now_ns: int, wall_ns: int, emptied_ns: int) -> int:
    """The moment of a wall-clock stamp on the monotonic clock.

    The wall clock may step between stamp and reading, so only the age counts, and only as far as it can be true: what
    is read now arrived after the socket was found empty.
    """
    return now_ns - min(max(wall_ns - stamped_ns, 0), now_ns - emptied_ns)


def _open(interface: str, index: int, family: Family) -> socket.socket:
    """A socket that hears the group on the interface."""
    domain = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    sock = socket.socket(domain, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, PROTOCOL)
    group = _GROUPS[family].packed
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")
        if family is Family.IPV4:
            member = struct.pack("=4s4si", group, bytes(4), index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        else:
            member = struct.pack("=16si", group, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _filter(sock: socket.socket, family: Family, *, wanted: bool) -> None:
    """Let advertisements from this link through, or only what is none.

    A raw IPv4 socket sees the IP header first, a raw IPv6 socket the payload; the hop limit is found by the network
    header in both.
    """
    accept, refuse = (_ALL, _NONE) if wanted else (_NONE, _ALL)
    load_head = (
        [(_LDX_HEADER, 0, 0, 0), (_LDB_X, 0, 0, 0)] if family is Family.IPV4 else [(_LDB, 0, 0, 0), (_LDB, 0, 0, 0)]
    )
    program = [
        (_LDB, 0, 0, _NETWORK_HEADER + _HOP_LIMIT_OFFSET[family]),
        (_JEQ, 0, 5, 255),
        *load_head,
        (_JEQ, 1, 0, _ADVERTISEMENTS[0]),
        (_JEQ, 0, 1, _ADVERTISEMENTS[1]),
        (_RET, 0, 0, accept),
        (_RET, 0, 0, refuse),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    program_text = ctypes.create_string_buffer(code)
    program_text_at = ctypes.addressof(program_text)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), program_text_at))
