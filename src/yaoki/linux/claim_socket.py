"""A packet socket on one interface that sees the claims of some addresses, and asks for addresses.

It sees frames before the kernel's own filters do (nftables ingress, the dead-man gate), and sends past them: what it
tells is what is on the wire, not what this node's stack gets to see. Frames that this node sends are not seen.

Limits: RECEIVE_BUFFER, about a hundred frames; what does not fit is dropped by the kernel, and counted by it.
"""

import ctypes
import errno
import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.claim_filter import encoded, program
from yaoki.packet import arp, neighbour
from yaoki.packet.claim import Claim, decode

RECEIVE_BUFFER = 65536
_LONGEST_FRAME = 1514
_ETH_P_ALL = 3
# linux/if_packet.h, asm-generic/socket.h
_SOL_PACKET, _STATISTICS, _QDISC_BYPASS, _IGNORE_OUTGOING = 263, 6, 20, 23
_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_COUNTS = struct.Struct("=II")
"""struct tpacket_stats: frames, dropped."""


class ClaimSocket:
    """Raises ActuatorError when it cannot be opened."""

    def __init__(self, interface: str, index: int, addresses: tuple[IPAddress, ...]) -> None:
        self.interface = interface
        self.index = index
        self._addresses = frozenset(addresses)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            # Of no protocol, so it receives nothing before it is bound, filtered already.
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        except OSError as error:
            raise _refused(interface, error) from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            self.watch(addresses)
            self._socket.bind((interface, _ETH_P_ALL))
        except (OSError, ActuatorError) as error:
            self._socket.close()
            if isinstance(error, ActuatorError):
                raise
            raise _refused(interface, error) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def watch(self, addresses: tuple[IPAddress, ...]) -> None:
        """See the claims of these from now on. Raises ActuatorError."""
        self._addresses = frozenset(addresses)
        instructions = program(addresses)
        text = ctypes.create_string_buffer(encoded(instructions))
        filter_ = struct.pack("@HP", len(instructions), ctypes.addressof(text))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
        except OSError as error:
            raise _refused(self.interface, error) from error

    def read(self, most: int) -> tuple[int, tuple[Claim, ...]]:
        """At most so many frames that have arrived: their number, and the claims in them. Does not block."""
        claims: list[Claim] = []
        for count in range(most):
            try:
                frame, sender = self._socket.recvfrom(_LONGEST_FRAME)
            except BlockingIOError:
                return count, tuple(claims)
            except OSError as error:
                # Told once, at the next read: the interface went down. Nothing has arrived.
                if error.errno not in (errno.ENETDOWN, errno.ENODEV):
                    raise
                return count, tuple(claims)
            claim = None if sender[2] == _OUTGOING else decode(frame)
            if isinstance(claim, Claim) and claim.address in self._addresses:
                claims.append(claim)
        return most, tuple(claims)

    def dropped(self) -> int:
        """Frames that found the buffer full since this was asked last."""
        return int(_COUNTS.unpack(self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size))[1])

    def ask(self, mac: MacAddress, source: IPAddress, target: IPAddress) -> None:
        """Ask for `target` from an address of the same family; what cannot be sent is as if lost."""
        if isinstance(target, IPv4Address) and isinstance(source, IPv4Address):
            frame = arp.request(mac, source, target).frame()
        elif isinstance(target, IPv6Address) and isinstance(source, IPv6Address):
            frame = neighbour.solicitation(mac, source, target)
        else:
            raise ValueError(f"{target} cannot be asked for from {source}")
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENOBUFS, errno.EAGAIN):
                raise


def _refused(interface: str, error: OSError) -> ActuatorError:
    return ActuatorError(f"watch ARP on {interface}", error.strerror or str(error), errno=error.errno)
