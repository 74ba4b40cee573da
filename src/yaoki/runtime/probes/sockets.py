"""Sockets as probes use them: non-blocking, marked, from the chosen source, leaving nothing behind when closed."""

import errno
import os
import socket
import struct
from collections.abc import Generator

from yaoki.checks.check import CheckId
from yaoki.core.address import IPAddress
from yaoki.linux.probe_rules import PROBE_MARK
from yaoki.runtime.probes.loop import CONNECTION, WRITABLE, Wait

IP_BIND_ADDRESS_NO_PORT = 24
"""From <linux/in.h>: bind the address only, so that a source address has 28,000 ports per destination, not in all."""
IP_RECVERR = 11
IPV6_RECVERR = 25
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with zero seconds: close sends RST, and no TIME_WAIT remains on either side."""
_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


def open_socket(check: CheckId, kind: int, protocol: int = 0) -> socket.socket:
    """A marked socket of the target's family, bound to the check's source if it names one."""
    sock = socket.socket(_FAMILIES[check.target.version], kind | _FLAGS, protocol)
    try:
        _mark(sock)
        if check.source is not None:
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(address_of(check.source, 0))
    except OSError:
        sock.close()
        raise
    return sock


def open_stream(check: CheckId) -> socket.socket:
    """A TCP socket that resets its connection when closed."""
    sock = open_socket(check, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    return sock


def connecting(sock: socket.socket, address: SocketAddress) -> Generator[Wait, None, None]:
    """Connect; raises OSError as the target or the network answers."""
    error = sock.connect_ex(address)
    if error == errno.EINPROGRESS:
        yield Wait(sock.fileno(), WRITABLE, CONNECTION)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def address_of(address: IPAddress, port: int) -> SocketAddress:
    """What the socket calls want."""
    if address.version == 4:
        return str(address), port
    scope = address.scope_id
    return str(address).partition("%")[0], port, 0, socket.if_nametoindex(scope) if scope else 0


def report_errors(sock: socket.socket) -> None:
    """Have every ICMP error about this datagram or raw socket reported, not only the fatal ones (ip(7), IP_RECVERR)."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)


def _mark(sock: socket.socket) -> None:
    """Without the privilege the probe is as good, but connection tracking will see it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, PROBE_MARK)
    except PermissionError:
        return
