"""Connections through the direct-return path, tried by packet sockets: one for each interface and source address.

All questions of one interface and source share a packet socket and a port of ours: they are told apart by the sequence
numbers that their answers acknowledge. A thread reads the answers and wakes whoever waits. The socket stands behind the
balancer's planes, so what they forward never comes to it.

What acknowledges no question is reset (RFC 9293 3.10.7.1), as the kernel would: a server that has not heard that a
connection was given up keeps it half open for a minute, and takes no other from this port.

Limits: MOST_DESKS; MOST_WAITING questions at a time at each.
"""

import os
import select
import socket
import threading
import time
from dataclasses import dataclass, field

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.proof import Answer, PathProbe
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.capture_filter import program
from yaoki.linux.capture_socket import CaptureSocket
from yaoki.linux.own_interfaces import own_interfaces
from yaoki.linux.quiet_port import QuietPort
from yaoki.packet import headers
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from yaoki.packet.headers import Headers
from yaoki.packet.recording import Direction
from yaoki.packet.tcp import TcpFlags

MOST_DESKS = 256
MOST_WAITING = 10_000
_SNAP = 128
_NEXT_SEQUENCE = 1_000_003
"""Far enough apart that a server takes none for a part of the connection before."""
_WHOLE = 1 << 32
_LOOK_ROUND_S = 1.0


@dataclass(slots=True)
class Question:
    """A connection being tried; `descriptor` is readable when `answer` is there. To be given back to its desk."""

    probe: PathProbe
    descriptor: int
    answer: Answer | None = None


@dataclass(slots=True)
class Desk:
    """The socket of one interface and source. `index` is the interface's number when it was opened."""

    index: int
    mac: MacAddress
    source: IPAddress
    port: QuietPort
    socket: CaptureSocket
    sequence: int
    waiting: dict[int, Question] = field(default_factory=dict)
    paths: dict[tuple[ServiceKey, MacAddress], Question] = field(default_factory=dict)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, key: ServiceKey, server: MacAddress) -> Question:
        """Try a connection. Raises ActuatorError if too many are being tried."""
        with self.lock:
            if len(self.waiting) >= MOST_WAITING:
                raise ActuatorError("ask through the direct-return path", f"{MOST_WAITING} questions are open")
            self.sequence = (self.sequence + _NEXT_SEQUENCE) % _WHOLE
            probe = PathProbe(key, self.source, self.mac, server, self.port.number, sequence=self.sequence)
            question = Question(probe, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            self.waiting[self.sequence] = self.paths[key, server] = question
        self.socket.send(probe.opening())
        return question

    def give_back(self, question: Question) -> None:
        """It is of no interest any more. A connection that may have been accepted is reset."""
        with self.lock:
            self.waiting.pop(question.probe.sequence, None)
            path = (question.probe.key, question.probe.server_mac)
            if self.paths.get(path) is question:
                del self.paths[path]
            os.close(question.descriptor)
        self.socket.send(question.probe.reset())

    def serve(self) -> None:
        """Take answers until it is closed; the thread's work."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        while not self.closed:
            poll.poll(_LOOK_ROUND_S * 1000)
            while (seen := self.socket.read()) is not None:
                if seen.direction is Direction.IN:
                    self._take(seen.octets)
        self.port.close()
        self.socket.close()

    def _take(self, frame: bytes) -> None:
        found = headers.decode(frame, len(frame))
        if not isinstance(found, Headers) or found.tcp is None:
            return
        with self.lock:
            question = self.waiting.get((found.tcp.acknowledgement - 1) % _WHOLE)
            answer = None if question is None else question.probe.answer(frame)
            if question is not None and answer is not None and question.answer is None:
                question.answer = answer
                os.eventfd_write(question.descriptor, 1)
        if question is None and found.tcp.flags & (TcpFlags.ACK | TcpFlags.RST) == TcpFlags.ACK:
            self._reset(ServiceKey(found.source, Protocol.TCP, found.source_port), found)

    def _reset(self, key: ServiceKey, stale: Headers) -> None:
        """End what a server still takes for a connection, and ask again what it has not taken for that reason."""
        assert stale.tcp is not None, "only segments of TCP are looked at"
        sequence = (stale.tcp.acknowledgement - 1) % _WHOLE
        former = PathProbe(key, self.source, self.mac, stale.source_mac, self.port.number, sequence=sequence)
        self.socket.send(former.reset())
        with self.lock:
            question = self.paths.get((key, stale.source_mac))
        if question is not None and question.answer is None:
            self.socket.send(question.probe.opening())


_DESKS: dict[tuple[str, IPAddress], Desk] = {}
"""Of this process, which opens them all in one network namespace."""


def desk(interface: str, source: IPAddress) -> Desk:
    """The desk of an interface and one of this node's addresses. Raises ActuatorError, OSError."""
    index = socket.if_nametoindex(interface)
    known = _DESKS.get((interface, source))
    if known is not None and known.index == index:
        return known
    if known is not None:
        known.closed = True  # the name has gone to another interface
    elif len(_DESKS) >= MOST_DESKS:
        raise ActuatorError(f"ask through the direct-return path on {interface}", f"{MOST_DESKS} sources are in use")
    mac = next((one.mac for one in own_interfaces() if one.name == interface), None)
    if mac is None:
        raise ActuatorError(f"ask through the direct-return path on {interface}", "it has no MAC address")
    port = QuietPort(source, Protocol.TCP)
    try:
        watched = program((source,), (port.number,), Protocol.TCP.number, snap=_SNAP)
        arriving = ETHERTYPE_IPV4 if source.version == 4 else ETHERTYPE_IPV6
        sock = CaptureSocket(interface, watched, snap=_SNAP, arriving=arriving)
    except ActuatorError:
        port.close()
        raise
    made = _DESKS[interface, source] = Desk(index, mac, source, port, sock, time.monotonic_ns() % _WHOLE)
    threading.Thread(target=made.serve, name=f"direct path on {interface}", daemon=True).start()
    return made
