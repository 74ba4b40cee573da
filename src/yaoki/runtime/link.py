"""Links between the processes of a node: whole messages over Unix SOCK_SEQPACKET sockets, reconnecting for ever.

A side that cannot send fast enough is disconnected rather than buffered without end: on reconnecting the sender repeats
its whole wish or state, so nothing is lost but time (yaoki.node.messages).

Invariants: at most MAX_QUEUED_OCTETS wait on one connection; messages arrive whole, in order, or the link goes down.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from yaoki.core.framing import MAX_DATAGRAM, BadFrame, Joiner, split

MAX_QUEUED_OCTETS = 64 * 1024 * 1024
"""Octets waiting to be sent on one connection."""
FIRST_RETRY_S = 0.02
LONGEST_RETRY_S = 1.0
_PEERCRED = struct.Struct("3i")
_READS_AT_ONCE = 64
"""Datagrams read before other work gets its turn."""


class Connection:
    """One end of an established link. `on_message` gets each message, `on_close` once the reason for the end."""

    def __init__(
        self, sock: socket.socket, on_message: Callable[[bytes], None], on_close: Callable[[str], None]
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_message = on_message
        self._on_close = on_close
        self._joiner = Joiner()
        self._waiting: deque[bytes] = deque()
        self._octets = 0
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def peer_pid(self) -> int:
        """The process at the other end (unix(7), SO_PEERCRED)."""
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
        pid: int = _PEERCRED.unpack(credentials)[0]
        return pid

    def send(self, message: bytes) -> None:
        """Send now or as soon as the peer reads. A full queue closes the connection, with that as its reason."""
        if not self._open:
            return
        was_waiting = bool(self._waiting)
        datagrams = split(message)
        self._waiting.extend(datagrams)
        self._octets += sum(map(len, datagrams))
        if self._octets > MAX_QUEUED_OCTETS:
            self.close(f"more than {MAX_QUEUED_OCTETS} octets wait for the peer to read")
        elif not was_waiting:
            self._writable()

    def close(self, why: str) -> None:
        """End the connection; no more messages are delivered."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._on_close(why)

    def _writable(self) -> None:
        while self._waiting:
            try:
                self._sock.send(self._waiting[0])
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._sock, self._writable)
                return
            except OSError as error:
                self.close(error.strerror or str(error))
                return
            self._octets -= len(self._waiting.popleft())
        self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            if not self._open:
                return
            try:
                datagram = self._sock.recv(MAX_DATAGRAM)
                message = self._joiner.join(datagram) if datagram else None
            except (BlockingIOError, InterruptedError):
                return
            except (OSError, BadFrame) as error:
                self.close(str(error))
                return
            if not datagram:
                self.close("the peer has closed it")
            elif message is not None:
                self._on_message(message)


class LinkClient:
    """The connecting side. Tries again, from FIRST_RETRY_S to LONGEST_RETRY_S apart, until closed.

    `on_up` is called for each new connection (the place to repeat the whole wish), `on_down` with the reason when an
    established one ends.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_message: Callable[[bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> None:
        self._path = path
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._connection: Connection | None = None
        self._retry_s = FIRST_RETRY_S
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    def peer_pid(self) -> int | None:
        """The process that listens, while the link is up."""
        return None if self._connection is None else self._connection.peer_pid

    def connect(self) -> None:
        """Try now, and go on trying."""
        if self._closed or self._connection is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            self._timer = asyncio.get_running_loop().call_later(self._retry_s, self.connect)
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            return
        self._retry_s = FIRST_RETRY_S
        self._connection = Connection(sock, self._on_message, self._lost)
        self._on_up()

    def send(self, message: bytes) -> None:
        """Send if the link is up; a message sent while it is down is not kept, on_up repeats what matters."""
        if self._connection is not None:
            self._connection.send(message)

    def close(self) -> None:
        """End the link for good."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.close("closed by this side")

    def _lost(self, why: str) -> None:
        self._connection = None
        if not self._closed:
            self._timer = asyncio.get_running_loop().call_later(FIRST_RETRY_S, self.connect)
            self._on_down(why)


class LinkServer:
    """The listening side, for one peer at a time: a new connection takes the place of the old one."""

    def __init__(
        self,
        path: Path,
        *,
        on_message: Callable[[bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> None:
        self._path = path
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._connection: Connection | None = None
        self._listener: socket.socket | None = None

    def listen(self) -> None:
        """Take the socket's path; what a dead process left there is replaced."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        previous = os.umask(0o177)
        try:
            self._listener.bind(str(self._path))
        finally:
            os.umask(previous)
        self._listener.listen(4)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def send(self, message: bytes) -> None:
        """Send to the connected peer, if there is one."""
        if self._connection is not None:
            self._connection.send(message)

    def close(self) -> None:
        """Stop listening and end the connection; the path is removed."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        if self._connection is not None:
            self._connection.close("closed by this side")

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        if self._connection is not None:
            self._connection.close("a newer peer has connected")
        self._connection = Connection(sock, self._on_message, self._lost)
        self._on_up()

    def _lost(self, why: str) -> None:
        self._connection = None
        self._on_down(why)
