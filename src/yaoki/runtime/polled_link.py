"""Links for processes that run their own poll loop instead of asyncio.

Both sides speak as yaoki.runtime.link does: whole messages over a Unix SOCK_SEQPACKET socket. The listening side has
one peer at a time, a new connection taking the place of the old; the connecting side tries again for ever.

Invariants: at most MAX_QUEUED_OCTETS wait to be sent; more ends the connection, and the peer repeats what matters.
"""

import contextlib
import select
import socket
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from yaoki.core.framing import MAX_DATAGRAM, PING, PONG, BadFrame, Joiner, split
from yaoki.core.instant import Instant
from yaoki.runtime.private_socket import listen_privately

MAX_QUEUED_OCTETS = 64 * 1024 * 1024
FIRST_RETRY = timedelta(milliseconds=20)
LONGEST_RETRY = timedelta(milliseconds=500)
_READS_AT_ONCE = 64
"""Datagrams read before other work gets its turn."""


class Poller(Protocol):
    """A loop that calls a handler with the events of a descriptor that is ready; attaching again changes the events."""

    def attach(self, fd: int, events: int, handler: Callable[[int], None]) -> None: ...

    def detach(self, fd: int) -> None: ...


class PolledConnection:
    """One end of an established link. `on_message` gets each message, `on_close` once the reason for the end."""

    def __init__(
        self,
        sock: socket.socket,
        poller: Poller,
        on_message: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> None:
        sock.setblocking(False)
        self._sock: socket.socket | None = sock
        self._poller = poller
        self._on_message = on_message
        self._on_close = on_close
        self._joiner = Joiner()
        self._waiting: deque[bytes] = deque()
        self._octets = 0
        poller.attach(sock.fileno(), select.EPOLLIN, self._ready)

    def send(self, message: bytes) -> None:
        """Send now or as soon as the peer reads."""
        if self._sock is None:
            return
        was_waiting = bool(self._waiting)
        datagrams = split(message)
        self._waiting.extend(datagrams)
        self._octets += sum(map(len, datagrams))
        if self._octets > MAX_QUEUED_OCTETS:
            self.close(f"more than {MAX_QUEUED_OCTETS} octets wait for the peer to read")
        elif not was_waiting:
            self._flush(self._sock)

    def close(self, why: str) -> None:
        """End the connection; no more messages are delivered."""
        if self._sock is None:
            return
        self._poller.detach(self._sock.fileno())
        self._sock.close()
        self._sock = None
        self._on_close(why)

    def _ready(self, events: int) -> None:
        if events & select.EPOLLOUT and self._sock is not None:
            self._flush(self._sock)
        if events & ~select.EPOLLOUT:
            self._read()

    def _flush(self, sock: socket.socket) -> None:
        while self._waiting:
            try:
                sock.send(self._waiting[0])
            except (BlockingIOError, InterruptedError):
                self._poller.attach(sock.fileno(), select.EPOLLIN | select.EPOLLOUT, self._ready)
                return
            except OSError as error:
                self.close(error.strerror or str(error))
                return
            self._octets -= len(self._waiting.popleft())
        self._poller.attach(sock.fileno(), select.EPOLLIN, self._ready)

    def _read(self) -> None:
        for _ in range(_READS_AT_ONCE):
            if self._sock is None:
                return
            try:
                datagram = self._sock.recv(MAX_DATAGRAM)
                if datagram == PING:
                    self._sock.send(PONG)
                    continue
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


class PolledLinkServer:
    """Listens at `path`. `on_up` is called for each new peer, `on_down` with the reason when the peer is gone."""

    def __init__(
        self,
        path: Path,
        poller: Poller,
        *,
        on_message: Callable[[bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> None:
        self._path = path
        self._poller = poller
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._listener: socket.socket | None = None
        self._peer: PolledConnection | None = None

    @property
    def is_up(self) -> bool:
        return self._peer is not None

    def listen(self) -> None:
        """Take the socket's path; what a dead process left there is replaced."""
        self._listener = listen_privately(self._path, waiting=4)
        self._poller.attach(self._listener.fileno(), select.EPOLLIN, self._accept)

    def send(self, message: bytes) -> None:
        """Send now or as soon as the peer reads; without a peer it is dropped."""
        if self._peer is not None:
            self._peer.send(message)

    def drop(self, why: str) -> None:
        """End the connection to the peer; it may connect again."""
        if self._peer is not None:
            self._peer.close(why)

    def close(self) -> None:
        """Stop listening and end the connection; the path is removed if it is still ours."""
        if self._listener is not None:
            self._poller.detach(self._listener.fileno())
            self._listener.close()
            self._listener = None
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        self.drop("closed by this side")

    def _accept(self, _: int) -> None:
        assert self._listener is not None
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        self.drop("a newer peer has connected")
        self._peer = PolledConnection(sock, self._poller, self._on_message, self._lost)
        self._on_up()

    def _lost(self, why: str) -> None:
        self._peer = None
        self._on_down(why)


class PolledLinkClient:
    """Connects to `path`. `tend` must be called at `tend_at`; `on_up` and `on_down` are as for the server."""

    def __init__(
        self,
        path: Path,
        poller: Poller,
        *,
        on_message: Callable[[bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> None:
        self._path = path
        self._poller = poller
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._peer: PolledConnection | None = None
        self._retry = FIRST_RETRY
        self.tend_at: Instant | None = Instant(0)
        """When to try again; None while it is connected."""

    @property
    def is_up(self) -> bool:
        return self._peer is not None

    def tend(self, now: Instant) -> None:
        """Try to connect if it is time."""
        if self.tend_at is None or now < self.tend_at:
            return
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            self.tend_at = now + self._retry
            self._retry = min(2 * self._retry, LONGEST_RETRY)
            return
        self.tend_at, self._retry = None, FIRST_RETRY
        self._peer = PolledConnection(sock, self._poller, self._on_message, self._lost)
        self._on_up()

    def send(self, message: bytes) -> None:
        """Send now or as soon as the peer reads; a message sent while it is down is not kept."""
        if self._peer is not None:
            self._peer.send(message)

    def close(self) -> None:
        """End the connection; `tend` would make another."""
        if self._peer is not None:
            self._peer.close("closed by this side")

    def _lost(self, why: str) -> None:
        self._peer = None
        self.tend_at = Instant(0)
        self._on_down(why)
