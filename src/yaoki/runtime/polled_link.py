"""The listening side of a link for processes that run their own poll loop instead of asyncio.

It speaks as yaoki.runtime.link does: whole messages over a Unix SOCK_SEQPACKET socket, one peer at a time, a new
connection taking the place of the old.

Invariants: at most MAX_QUEUED_OCTETS wait to be sent; more ends the connection, and the peer repeats what matters.
"""

import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from yaoki.core.framing import MAX_DATAGRAM, PING, PONG, BadFrame, Joiner, split

MAX_QUEUED_OCTETS = 64 * 1024 * 1024
_READS_AT_ONCE = 64
"""Datagrams read before other work gets its turn."""


class Poller(Protocol):
    """A loop that calls a handler with the events of a descriptor that is ready; attaching again changes the events."""

    def attach(self, fd: int, events: int, handler: Callable[[int], None]) -> None: ...

    def detach(self, fd: int) -> None: ...


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
        self._peer: socket.socket | None = None
        self._joiner = Joiner()
        self._waiting: deque[bytes] = deque()
        self._octets = 0

    @property
    def is_up(self) -> bool:
        return self._peer is not None

    def listen(self) -> None:
        """Take the socket's path; what a dead process left there is replaced."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        previous = os.umask(0o177)
        try:
            self._listener.bind(str(self._path))
        finally:
            os.umask(previous)
        self._listener.listen(4)
        self._poller.attach(self._listener.fileno(), select.EPOLLIN, self._accept)

    def send(self, message: bytes) -> None:
        """Send now or as soon as the peer reads; without a peer it is dropped."""
        if self._peer is None:
            return
        was_waiting = bool(self._waiting)
        datagrams = split(message)
        self._waiting.extend(datagrams)
        self._octets += sum(map(len, datagrams))
        if self._octets > MAX_QUEUED_OCTETS:
            self.drop(f"more than {MAX_QUEUED_OCTETS} octets wait for the peer to read")
        elif not was_waiting:
            self._flush()

    def drop(self, why: str) -> None:
        """End the connection to the peer; it may connect again."""
        if self._peer is None:
            return
        self._poller.detach(self._peer.fileno())
        self._peer.close()
        self._peer = None
        self._joiner = Joiner()
        self._waiting.clear()
        self._octets = 0
        self._on_down(why)

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
            sock, _address = self._listener.accept()
        except OSError:
            return
        self.drop("a newer peer has connected")
        sock.setblocking(False)
        self._peer = sock
        self._poller.attach(sock.fileno(), select.EPOLLIN, self._ready)
        self._on_up()

    def _ready(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush()
        if events & ~select.EPOLLOUT:
            self._read()

    def _flush(self) -> None:
        peer = self._peer
        assert peer is not None
        while self._waiting:
            try:
                peer.send(self._waiting[0])
            except (BlockingIOError, InterruptedError):
                self._poller.attach(peer.fileno(), select.EPOLLIN | select.EPOLLOUT, self._ready)
                return
            except OSError as error:
                self.drop(error.strerror or str(error))
                return
            self._octets -= len(self._waiting.popleft())
        self._poller.attach(peer.fileno(), select.EPOLLIN, self._ready)

    def _read(self) -> None:
        peer = self._peer
        for _ in range(_READS_AT_ONCE):
            if peer is None or self._peer is not peer:
                return
            try:
                datagram = peer.recv(MAX_DATAGRAM)
                if datagram == PING:
                    peer.send(PONG)
                    continue
                message = self._joiner.join(datagram) if datagram else None
            except (BlockingIOError, InterruptedError):
                return
            except (OSError, BadFrame) as error:
                self.drop(str(error))
                return
            if not datagram:
                self.drop("the peer has closed it")
            elif message is not None:
                self._on_message(message)
