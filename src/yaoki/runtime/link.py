"""The connecting side of the links of a node: whole messages over Unix SOCK_SEQPACKET sockets, for ever again.

A side that cannot send fast enough is disconnected rather than buffered without end: on reconnecting the sender repeats
its whole wish or state, so nothing is lost but time (yaoki.node.messages).

A peer that is connected but does not answer PING any more (stopped, stuck) is told, and told again when it answers.

Invariants: at most MAX_QUEUED_OCTETS wait on one connection; messages arrive whole, in order, or the link goes down.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from yaoki.core.framing import MAX_DATAGRAM, PING, PONG, BadFrame, Joiner, split

MAX_QUEUED_OCTETS = 64 * 1024 * 1024
"""Octets waiting to be sent on one connection."""
FIRST_RETRY_S = 0.02
LONGEST_RETRY_S = 1.0
PING_EVERY_S = 1.0
SILENT_AFTER = 5
"""Unanswered pings in a row after which the peer is taken for silent. Pings count our own waking time, so that a pause
of the whole machine is nobody's fault."""
_PEERCRED = struct.Struct("3i")
_READS_AT_ONCE = 64
"""Datagrams read before other work gets its turn."""


class Connection:
    """One end of an established link. `on_message` gets each message, `on_close` once the reason for the end."""

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[bytes], None],
        on_close: Callable[[str], None],
        on_pong: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_message = on_message
        self._on_close = on_close
        self._on_pong = on_pong
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

    def ping(self) -> None:
        """Ask for a sign of life; a peer whose socket is full gives none."""
        with contextlib.suppress(OSError):
            self._sock.send(PING)

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
                if datagram == PONG:
                    self._on_pong()
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


class LinkClient:
    """The connecting side. Tries again, from FIRST_RETRY_S to LONGEST_RETRY_S apart, until closed.

    `on_up` is called for each new connection (the place to repeat the whole wish) and when a silent peer answers again,
    `on_down` with the reason when an established one ends or its peer falls silent, and `on_silence` with the number of
    unanswered pings for each one more. Pings are sent every `ping_every_s` seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_message: Callable[[bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_silence: Callable[[int], None] = lambda _: None,
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        self._path = path
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._on_silence = on_silence
        self._ping_every_s = ping_every_s
        self._connection: Connection | None = None
        self._retry_s = FIRST_RETRY_S
        self._timer: asyncio.TimerHandle | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.unanswered = 0
        """Pings in a row that the peer has not answered."""

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
        self._connection = Connection(sock, self._on_message, self._lost, self._answered)
        self.unanswered = 0
        self._ping_timer = asyncio.get_running_loop().call_later(self._ping_every_s, self._ping)
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

    def _ping(self) -> None:
        assert self._connection is not None, "the timer ends with the connection"
        self.unanswered += 1
        self._ping_timer = asyncio.get_running_loop().call_later(self._ping_every_s, self._ping)
        self._connection.ping()
        if self.unanswered == SILENT_AFTER + 1:
            self._on_down(f"it has not answered {SILENT_AFTER} pings")
        if self.unanswered > SILENT_AFTER:
            self._on_silence(self.unanswered - 1)

    def _answered(self) -> None:
        silent, self.unanswered = self.unanswered > SILENT_AFTER, 0
        if silent:
            self._on_up()

    def _lost(self, why: str) -> None:
        self._connection = None
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        if not self._closed:
            self._timer = asyncio.get_running_loop().call_later(FIRST_RETRY_S, self.connect)
            self._on_down(why)
