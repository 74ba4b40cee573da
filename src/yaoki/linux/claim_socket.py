"""Packet sockets on one interface that see the claims of some addresses, and ask for addresses.

One for each protocol that claims are made in, ARP and IPv6, behind one descriptor. Such a socket sees a frame when the
hooks at ingress (tcx, nftables netdev) have let it pass, so packets that a balancer sends on from there cost nothing
here; a socket of all protocols (ETH_P_ALL) is shown each of them first, which takes 170 ns whatever its filter. It sees
a frame before the protocol itself does, and before nftables' arp, ip and inet tables. The dead-man gate lets claims of
what it guards pass, open or shut. Frames that this node sends are not seen.

Limits: RECEIVE_BUFFER of each, about a hundred frames; what does not fit is dropped by the kernel, and counted by it.
"""

import ctypes
import errno
import select
import socket
import struct
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.claim_filter import encoded, program
from yaoki.packet import arp, neighbour
from yaoki.packet.claim import Claim, decode
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6

RECEIVE_BUFFER = 65536
_LONGEST_FRAME = 1514
_PROTOCOLS = {Family.IPV4: ETHERTYPE_ARP, Family.IPV6: ETHERTYPE_IPV6}
# linux/if_packet.h, asm-generic/socket.h
_SOL_PACKET, _STATISTICS, _QDISC_BYPASS = 263, 6, 20
_SO_ATTACH_FILTER = 26
_COUNTS = struct.Struct("=II")
"""struct tpacket_stats: frames, dropped."""


class ClaimSocket:
    """Raises ActuatorError when it cannot be opened."""

    def __init__(self, interface: str, index: int, addresses: tuple[IPAddress, ...]) -> None:
        self.interface = interface
        self.index = index
        self._addresses = frozenset(addresses)
        self._sockets: dict[Family, socket.socket] = {}
        self._first, self._second = Family
        self._opened = ExitStack()
        try:
            self._either = self._opened.enter_context(select.epoll())
            for family in Family:
                self._sockets[family] = self._opened.enter_context(_unbound())
            # A socket of no protocol receives nothing before it is bound, filtered already.
            self.watch(addresses)
            for family, protocol in _PROTOCOLS.items():
                self._sockets[family].bind((interface, protocol))
                self._either.register(self._sockets[family], select.EPOLLIN)
        except (OSError, ActuatorError) as error:
            self.close()
            if isinstance(error, ActuatorError):
                raise
            raise _refused(interface, error) from error

    def fileno(self) -> int:
        """Readable when there is something to read."""
        return self._either.fileno()

    def close(self) -> None:
        self._opened.close()

    def watch(self, addresses: tuple[IPAddress, ...]) -> None:
        """See the claims of these from now on. Raises ActuatorError."""
        self._addresses = frozenset(addresses)
        instructions = program(addresses)
        text = ctypes.create_string_buffer(encoded(instructions))
        filter_ = struct.pack("@HP", len(instructions), ctypes.addressof(text))
        try:
            for sock in self._sockets.values():
                sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
        except OSError as error:
            raise _refused(self.interface, error) from error

    def read(self, most: int) -> tuple[int, tuple[Claim, ...]]:
        """At most so many frames that have arrived: their number, and the claims in them. Does not block. The families
        take turns in being read first, so that a flood in one leaves room for the other."""
        self._first, self._second = self._second, self._first
        frames = self._frames(self._first, most)
        frames += self._frames(self._second, most - len(frames))
        decoded = (decode(frame) for frame in frames)
        claims = (claim for claim in decoded if isinstance(claim, Claim) and claim.address in self._addresses)
        return len(frames), tuple(claims)

    def _frames(self, family: Family, most: int) -> list[bytes]:
        frames: list[bytes] = []
        while len(frames) < most:
            try:
                frames.append(self._sockets[family].recv(_LONGEST_FRAME))
            except BlockingIOError:
                break
            except OSError as error:
                # Told once, at the next read: the interface went down. Nothing has arrived.
                if error.errno not in (errno.ENETDOWN, errno.ENODEV):
                    raise
                break
        return frames

    def dropped(self) -> int:
        """Frames that found the buffer full since this was asked last."""
        counts = (sock.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size) for sock in self._sockets.values())
        return sum(_COUNTS.unpack(count)[1] for count in counts)

    def ask(self, mac: MacAddress, source: IPAddress, target: IPAddress) -> None:
        """Ask for `target` from an address of the same family; what cannot be sent is as if lost."""
        if isinstance(target, IPv4Address) and isinstance(source, IPv4Address):
            frame = arp.request(mac, source, target).frame()
        elif isinstance(target, IPv6Address) and isinstance(source, IPv6Address):
            frame = neighbour.solicitation(mac, source, target)
        else:
            raise ValueError(f"{target} cannot be asked for from {source}")
        try:
            self._sockets[Family.of(target)].send(frame)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENOBUFS, errno.EAGAIN):
                raise


def _unbound() -> socket.socket:
    """One that receives nothing yet. Raises OSError."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _refused(interface: str, error: OSError) -> ActuatorError:
    return ActuatorError(f"watch ARP on {interface}", error.strerror or str(error), errno=error.errno)
