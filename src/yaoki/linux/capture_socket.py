"""A packet socket on one interface that records what passes it, both ways, as much as a filter lets through.

It stands where every packet socket does: what arrives is seen before the kernel's own hooks at ingress (tcx, nftables
netdev), what leaves is seen behind them. Both balancer planes of ours work at those hooks and send through the device's
queue, so a request forwarded by either is seen twice: as it came, and with its new MAC as it left. What a program of
native or generic XDP takes or sends, as that of `plane: xdp` does, is not seen by any packet socket.

One of a single ethertype, for those who want answers and no record, stands behind the hooks at ingress and sees what
arrives only: packets that a plane forwards never come to it and cost nothing more, while of any other the kernel makes
a copy for each frame that leaves, and a time for each that passes.

Times are those of the kernel's wall clock when the packet passed. Limits: RECEIVE_BUFFER; what does not fit is dropped
by the kernel, and counted.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf import xdp
from yaoki.linux.claim_filter import Instruction, encoded
from yaoki.packet.recording import Direction

ANY = ""
"""All interfaces at once."""
RECEIVE_BUFFER = 8 * 1024 * 1024
_ETH_P_ALL = 3
# linux/if_packet.h, asm-generic/socket.h, linux/filter.h
_SOL_PACKET, _STATISTICS, _AUXDATA = 263, 6, 8
_OUTGOING, _OTHER_HOST = 4, 3
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_COUNTS = struct.Struct("=II")
"""struct tpacket_stats: frames, dropped."""
_AUX = struct.Struct("=III")
"""The beginning of struct tpacket_auxdata: status, length on the wire, length kept."""
_ADDRESS = struct.Struct("=HHiHBB8x")
"""struct sockaddr_ll: family, protocol, interface, and what belongs to a hardware address."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_TIME = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIME.size) + socket.CMSG_SPACE(64)


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame. `octets` is its beginning, `length` its length on the wire."""

    at_ns: int
    direction: Direction
    length: int
    octets: bytes


def hidden(names: Collection[str]) -> list[str]:
    """Those of these interfaces whose packets a program of XDP may take or send unseen. Raises ActuatorError."""
    found = (hook for hook in xdp.look_everywhere() if hook.program or hook.elsewhere)
    return [hook.interface.name for hook in found if hook.interface.name in names]


class CaptureSocket:
    """On one interface, or on ANY. Raises ActuatorError when it cannot be opened. `snap`: octets that are kept of a
    frame. With `arriving` only frames of that ethertype that arrive; their times are 0."""

    def __init__(self, interface: str, filter_: list[Instruction], *, snap: int, arriving: int | None = None) -> None:
        self.interface = interface
        self._snap = snap
        self._lost = 0
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            # Of no protocol, so it receives nothing before it is bound, filtered already.
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        except OSError as error:
            raise _refused(interface, error) from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
            if arriving is None:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(_SOL_PACKET, _AUXDATA, 1)
            text = ctypes.create_string_buffer(encoded(filter_))
            attached = struct.pack("@HP", len(filter_), ctypes.addressof(text))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
            _bind(self._socket, interface, _ETH_P_ALL if arriving is None else arriving)
        except OSError as error:
            self._socket.close()
            raise _refused(interface, error) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> Seen | None:
        """The next frame, None if there is none now. What is meant for another host's MAC is passed over."""
        while True:
            try:
                octets, ancillary, _, sender = self._socket.recvmsg(self._snap, _ANCILLARY)
            except BlockingIOError:
                return None
            except OSError as error:
                # Told once, at the next read: the interface went down.
                if error.errno in (errno.ENETDOWN, errno.ENODEV):
                    return None
                raise
            if sender[2] != _OTHER_HOST:
                break
        at_ns, length = 0, len(octets)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIME.unpack_from(data)
                at_ns = seconds * 1_000_000_000 + nanoseconds
            elif (level, kind) == (_SOL_PACKET, _AUXDATA):
                length = _AUX.unpack_from(data)[1]
        return Seen(at_ns, Direction.OUT if sender[2] == _OUTGOING else Direction.IN, length, octets)

    def send(self, frame: bytes, interface: str = "") -> None:
        """Put a whole frame on the wire, of another interface if one is named; it passes by the hooks at egress. What
        cannot be sent is as if lost."""
        try:
            self._socket.sendto(frame, (interface or self.interface, 0))
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENOBUFS, errno.EAGAIN):
                raise

    def lost(self) -> int:
        """Frames that found the buffer full since the socket was opened."""
        self._lost += int(_COUNTS.unpack(self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size))[1])
        return self._lost


def _bind(sock: socket.socket, interface: str, ethertype: int) -> None:
    """Begin to receive. Python's own bind knows no ANY, which is interface 0 (packet(7))."""
    if interface != ANY:
        sock.bind((interface, ethertype))
        return
    address = _ADDRESS.pack(socket.AF_PACKET, socket.htons(ethertype), 0, 0, 0, 0)
    if _LIBC.bind(sock.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _refused(interface: str, error: OSError) -> ActuatorError:
    return ActuatorError(f"record on {interface or 'any interface'}", error.strerror or str(error), errno=error.errno)
