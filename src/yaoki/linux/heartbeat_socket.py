"""UDP sockets for heartbeats, and for what else nodes tell each other: one for each path, bound to our address there
and connected to the peer's.

The kernel drops what comes from anybody else before it can wake the speaker. TTL or hop limit 255 is sent, and reported
of what is received.

Invariants: stamps are as those of VrrpSocket; that the peer does not listen or cannot be reached is no error: its
silence says so.
"""

import errno
import socket
import struct
import time
from ipaddress import IPv4Address

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.vrrp_socket import SO_BINDTODEVICE, SO_TIMESTAMPNS, Datagram, received_ns

MAX_DATAGRAMS_AT_ONCE = 64
HOP_LIMIT = 255

_PRIORITY = 6
_NETWORK_CONTROL = 0xC0
_BUFFER = 2048
_CONTROL = 256
# Missing from the socket module; linux/in.h, linux/in6.h
_IP_RECVTTL, _IP_TTL = 12, socket.IP_TTL
_INT = struct.Struct("=i")
_AWAY = frozenset(
    (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENODEV, errno.EHOSTDOWN)
)


class HeartbeatSocket:
    """Sends to and hears one peer on one interface. `urgent`: marked as network control, before other traffic.

    Raises ActuatorError when it cannot be opened.
    """

    def __init__(
        self, interface: str, index: int, own: IPAddress, peer: IPAddress, port: int, *, urgent: bool = True
    ) -> None:
        self._urgent = urgent
        self.interface = interface
        self.index = index
        self.peer = peer
        self._own = own
        self._read_at_ns = time.monotonic_ns()
        family = socket.AF_INET if own.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._prepare()
            self._socket.bind((str(own), port))
            self._socket.connect((str(peer), port))
        except OSError as error:
            self._socket.close()
            what = f"open a socket to the peer {peer} on {interface}"
            raise ActuatorError(what, error.strerror or str(error), errno=error.errno) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, payload: bytes) -> None:
        """Send to the peer. Raises ActuatorError, but not because the peer is away."""
        try:
            self._socket.send(payload)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _AWAY:
                what = f"send to the peer {self.peer} on {self.interface}"
                raise ActuatorError(what, error.strerror or str(error), errno=error.errno) from error

    def read(self) -> list[Datagram]:
        """What has arrived, at most MAX_DATAGRAMS_AT_ONCE; does not block."""
        datagrams: list[Datagram] = []
        for _ in range(MAX_DATAGRAMS_AT_ONCE):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_BUFFER, _CONTROL)
            except BlockingIOError:
                self._read_at_ns = time.monotonic_ns()
                break
            except OSError as error:
                # The answer to something sent before: nobody listens there, or the interface went down.
                if error.errno not in _AWAY:
                    raise
                continue
            found = {(level, kind): value for level, kind, value in ancillary}
            hops = found.get((socket.IPPROTO_IP, _IP_TTL)) or found.get((socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT))
            received = received_ns(found.get((socket.SOL_SOCKET, SO_TIMESTAMPNS)), self._read_at_ns)
            hop_limit = _INT.unpack_from(hops)[0] if hops is not None else 0
            datagrams.append(Datagram(self.peer, self._own, hop_limit, data, received))
        return datagrams

    def _prepare(self) -> None:
        sock = self._socket
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, self.interface.encode() + b"\0")
        # Several peers on one network: sockets of one address and port, told apart by whom they are connected to.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if isinstance(self._own, IPv4Address):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOP_LIMIT)
            if self._urgent:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _NETWORK_CONTROL)
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOP_LIMIT)
            if self._urgent:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _NETWORK_CONTROL)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        # After the type of service, which sets a priority of its own.
        if self._urgent:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _PRIORITY)
