"""Connections through the direct-return path, tried by packet sockets: one for each interface and source address. What
is asked through tunnels shares one for all interfaces, since its answers come by whatever way leads here.

All questions of one interface and source share a packet socket and a port of ours: they are told apart by the sequence
numbers that their answers acknowledge. A thread reads the answers and wakes whoever waits. The socket stands behind the
balancer's planes, so what they forward never comes to it.

What acknowledges no question is reset (RFC 9293 3.10.7.1), as the kernel would: a server that has not heard that a
connection was given up keeps it half open for a minute, and takes no other from this port. Its MAC tells which server
it is, behind tunnels the number of the question that it answers.

Limits: MOST_DESKS; MOST_WAITING questions at a time at each, and as many through tunnels remembered.
"""

import os
import select
import socket
import threading
import time
from dataclasses import dataclass, field

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.proof import Answer, PathProbe, Route
from yaoki.lb.service import Protocol, ServiceKey, Tunnel, Way
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

Path = tuple[ServiceKey, MacAddress, IPAddress | None]


@dataclass(slots=True)
class Question:
    """A connection being tried, out of an interface; `descriptor` is readable when `answer` is there. To be given back
    to its desk."""

    probe: PathProbe
    interface: str
    descriptor: int
    answer: Answer | None = None


@dataclass(slots=True)
class Desk:
    """The socket of one interface and source. `index` is the interface's number when it was opened, `mac` its own; of
    ANY 0 and None."""

    index: int
    mac: MacAddress | None
    source: IPAddress
    port: QuietPort
    socket: CaptureSocket
    sequence: int
    waiting: dict[int, Question] = field(default_factory=dict)
    paths: dict[Path, Question] = field(default_factory=dict)
    former: dict[int, Question] = field(default_factory=dict)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, key: ServiceKey, server: MacAddress) -> Question:
        """Try a connection with the server at a MAC. Raises ActuatorError if too many are being tried."""
        assert self.mac is not None, "of ANY there is none"
        return self.ask_by(Route(self.socket.interface, self.mac, server), key)

    def ask_through(self, key: ServiceKey, tunnel: Tunnel, way: Way, server: IPAddress) -> Question:
        """Try a connection with a server across routers. Raises ActuatorError if too many are being tried."""
        return self.ask_by(Route.through(tunnel, way, server, self.port.number), key)

    def ask_by(self, route: Route, key: ServiceKey) -> Question:
        """Try a connection. Raises ActuatorError if too many are being tried."""
        with self.lock:
            if len(self.waiting) >= MOST_WAITING:
                raise ActuatorError("ask through the direct-return path", f"{MOST_WAITING} questions are open")
            self.sequence = (self.sequence + _NEXT_SEQUENCE) % _WHOLE
            probe = self._probe(route, key, self.sequence)
            question = Question(probe, route.interface, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            self.waiting[self.sequence] = self.paths[probe.path] = question
        self.socket.send(probe.opening(), question.interface)
        return question

    def give_back(self, question: Question) -> None:
        """It is of no interest any more. A connection that may have been accepted is reset."""
        probe = question.probe
        with self.lock:
            self.waiting.pop(probe.sequence, None)
            if self.paths.get(probe.path) is question:
                del self.paths[probe.path]
            if probe.wrapping is not None:
                self.former[probe.sequence] = question
                if len(self.former) > MOST_WAITING:
                    del self.former[next(iter(self.former))]
            os.close(question.descriptor)
        self.socket.send(probe.reset(), question.interface)

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
        with self.lock:
            before = self.former.get(sequence)
        if before is not None:
            former, interface = before.probe, before.interface
        elif self.mac is not None:
            interface = self.socket.interface
            former = self._probe(Route(interface, self.mac, stale.source_mac), key, sequence)
        else:
            return  # nobody knows any more which server it is
        self.socket.send(former.reset(), interface)
        with self.lock:
            question = self.paths.get(former.path)
        if question is not None and question.answer is None:
            self.socket.send(question.probe.opening(), question.interface)

    def _probe(self, route: Route, key: ServiceKey, sequence: int) -> PathProbe:
        port, wrapping = self.port.number, route.wrapping
        return PathProbe(key, self.source, route.own, route.mac, port, sequence=sequence, wrapping=wrapping)


_DESKS: dict[tuple[str, IPAddress], Desk] = {}
"""Of this process, which opens them all in one network namespace."""


def desk(interface: str, source: IPAddress) -> Desk:
    """The desk of an interface, or ANY, and one of this node's addresses. Raises ActuatorError, OSError."""
    index = socket.if_nametoindex(interface) if interface else 0
    known = _DESKS.get((interface, source))
    if known is not None and known.index == index:
        return known
    if known is not None:
        known.closed = True  # the name has gone to another interface
    elif len(_DESKS) >= MOST_DESKS:
        raise ActuatorError(f"ask through the direct-return path on {interface}", f"{MOST_DESKS} sources are in use")
    mac = next((one.mac for one in own_interfaces() if one.name == interface), None)
    if mac is None and interface:
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
