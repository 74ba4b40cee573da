"""The datagram probe: numbered UDP datagrams at a steady pace, and ICMP echo requests for the control path.

A target of kind `udp` goes out in turn over FLOWS sockets (as many flows, scheduled anew by the balancer each); one of
kind `pinned` over the one socket whose answers came from its server when the probe began. An item has failed if its
answer did not come within ANSWER_LIMIT. Runs until its stdin is closed.
"""

import select
import socket
import struct
import time
from array import array
from contextlib import suppress
from typing import Any

from yaoki.lab.probes.wire import (
    ANSWER_LIMIT_US,
    LOOK_BACK_US,
    LOOK_GRACE_US,
    Conversation,
    Lateness,
    now_us,
    undisturbed,
)

FLOWS = 16
MOST_CANDIDATES = 64
"""Sockets open at once to find a flow that the balancer gives to a server; the oldest makes way."""

_CANDIDATE_PERIOD_US = 10_000
_SKIP_US = 20_000
"""A probe this far behind leaves out what it has missed: a burst would not be a sample of the time missed."""

_RECEIVE_AT_ONCE = 32
_LONGEST_SLEEP_US = 5_000
_SOON_US = 40
_NUMBER = struct.Struct("!HI")
_ICMP_ECHO = {socket.AF_INET: 8, socket.AF_INET6: 128}
_ICMP_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}


class Stream:
    """The numbered datagrams of one target."""

    def __init__(self, index: int, target: dict[str, Any], due_us: int) -> None:
        self.index = index
        self.kind: str = target["kind"]
        self.address: str = target["address"]
        self.port: int = target["port"]
        self.period_us: int = target["period_us"]
        self.server: str = target["server"]
        self.due_us = due_us
        self.sockets: list[socket.socket] = []
        self.sent_us = array("q")
        self.answered = bytearray()
        self.seen: dict[str, int] = {}

    @property
    def place(self) -> tuple[str, int]:
        return (self.address, self.port)

    def send(self, now: int) -> None:
        """Send the next datagram; what cannot be sent is an item without an answer."""
        if not self.sockets:
            return
        number = len(self.sent_us)
        self.sent_us.append(now)
        self.answered.append(0)
        sock = self.sockets[number % len(self.sockets)]
        data = _NUMBER.pack(self.index, number)
        if self.kind == "control":
            data = struct.pack("!BBHHH", _ICMP_ECHO[sock.family], 0, 0, 0, number & 0xFFFF) + data
        for _ in range(2):
            # The first attempt may only report the ICMP error of an earlier datagram.
            try:
                sock.send(data)
            except OSError:
                _connect(sock, self.place)
                continue
            return

    def receive(self, number: int, server: str, now: int) -> None:
        """The answer to item `number` has come."""
        if number < len(self.sent_us) and now - self.sent_us[number] <= ANSWER_LIMIT_US:
            self.answered[number] = 1
            self.seen[server] = now

    def look(self, now: int) -> dict[str, Any]:
        """What was seen lately."""
        last = len(self.sent_us)
        sent = failed = 0
        while last and self.sent_us[last - 1] > now - LOOK_BACK_US:
            last -= 1
            if self.sent_us[last] < now - LOOK_GRACE_US:
                sent += 1
                failed += not self.answered[last]
        return {
            "sent": sent,
            "failed": failed,
            "servers": [s for s, at in self.seen.items() if at > now - LOOK_BACK_US],
        }

    def waits(self, since_us: int) -> bool:
        """Whether any item since then has no answer: of two servers the later may answer first."""
        last = len(self.sent_us)
        while last and self.sent_us[last - 1] >= since_us:
            last -= 1
            if not self.answered[last]:
                return True
        return False

    def record(self, since_us: int) -> dict[str, Any]:
        """All items since then: when begun, and whether answered."""
        first = next((i for i, at in enumerate(self.sent_us) if at >= since_us), len(self.sent_us))
        return {"at_us": list(self.sent_us[first:]), "ok": list(self.answered[first:])}


class DatagramProbe:
    """All streams of one client."""

    def __init__(self) -> None:
        self.talk = Conversation()
        self.poll = select.epoll()
        self.poll.register(self.talk.fileno(), select.EPOLLIN)
        self.streams: list[Stream] = []
        self.sockets: dict[int, socket.socket] = {}
        self.candidates: dict[int, tuple[str, int]] = {}
        self.candidates_due_us = 0
        self.lateness = Lateness()

    def run(self) -> None:
        """Probe until the rehearsal closes its end."""
        undisturbed()
        while True:
            now = now_us()
            upcoming = now + _LONGEST_SLEEP_US
            for stream in self.streams:
                if stream.due_us <= now:
                    self.lateness.note(now - stream.due_us)
                    stream.send(now)
                    stream.due_us += stream.period_us
                    if stream.due_us < now - _SKIP_US:
                        stream.due_us = now + stream.period_us
                upcoming = min(upcoming, stream.due_us)
            if self.candidates_due_us <= now:
                self._try_candidates(now)
            self._receive()
            rest = upcoming - now_us()
            if rest > _SOON_US:
                time.sleep(rest / 1_000_000)

    def _receive(self) -> None:
        for number, _ in self.poll.poll(0):
            if number == self.talk.fileno():
                for command in self.talk.commands():
                    self._obey(command)
            elif number in self.sockets:
                self._drain(self.sockets[number])

    def _drain(self, sock: socket.socket) -> None:
        for _ in range(_RECEIVE_AT_ONCE):
            try:
                data = sock.recv(256)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._answered(sock, data)

    def _answered(self, sock: socket.socket, data: bytes) -> None:
        if sock.type is socket.SOCK_DGRAM and sock.proto in _ICMP_PROTOCOL.values():
            server, data = "", data[8:]
        else:
            name, _, data = data.partition(b"\0")
            server = name.decode(errors="replace")
        if len(data) != _NUMBER.size:
            return
        index, number = _NUMBER.unpack(data)
        if sock.fileno() in self.candidates:
            self._found(sock, server)
        elif index < len(self.streams):
            self.streams[index].receive(number, server, now_us())

    def _try_candidates(self, now: int) -> None:
        """For each server without a flow of its own, try one more source port."""
        self.candidates_due_us = now + _CANDIDATE_PERIOD_US
        wanted = {s.place for s in self.streams if s.kind == "pinned" and not s.sockets}
        if not wanted:
            self._drop_candidates(keep=0)
            return
        self._drop_candidates(keep=MOST_CANDIDATES - len(wanted))
        for place in sorted(wanted):
            sock = self._socket("pinned", *place)
            self.candidates[sock.fileno()] = place
            try:
                sock.send(_NUMBER.pack(0xFFFF, 0))
            except OSError:
                continue

    def _found(self, sock: socket.socket, server: str) -> None:
        """A candidate was answered: it is the flow of that server, if that has none yet."""
        place = self.candidates.pop(sock.fileno())
        for stream in self.streams:
            if stream.kind == "pinned" and stream.server == server and stream.place == place and not stream.sockets:
                stream.sockets = [sock]
                return
        self._close(sock)

    def _obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "go":
                self._go(command["targets"])
                self.talk.answer({})
            case "look":
                now = now_us()
                self.talk.answer({"streams": [stream.look(now) for stream in self.streams]})
            case "mark":
                self.lateness.begin()
                self.talk.answer({})
            case _:
                self._halt(command["since_us"])

    def _go(self, targets: list[dict[str, Any]]) -> None:
        self._close_all()
        # All on one beat: each waking costs as much as a datagram.
        begin = now_us() + 2_000
        self.streams = [Stream(i, target, begin) for i, target in enumerate(targets)]
        for stream in self.streams:
            if stream.kind == "udp":
                stream.sockets = [self._socket("udp", *stream.place) for _ in range(FLOWS)]
            elif stream.kind == "control":
                stream.sockets = [self._socket("control", *stream.place)]
        self.candidates_due_us = 0
        self.lateness.begin()

    def _halt(self, since_us: int) -> None:
        self._receive_last()
        self.talk.answer({"streams": [stream.record(since_us) for stream in self.streams], **self.lateness.record()})
        self._close_all()

    def _receive_last(self) -> None:
        """Answers that are on their way are still answers: wait for them without sending more."""
        halted = now_us()
        until = halted + LOOK_GRACE_US
        while now_us() < until and any(stream.waits(halted - LOOK_GRACE_US) for stream in self.streams):
            for number, _ in self.poll.poll(0.005):
                if number in self.sockets:
                    self._drain(self.sockets[number])

    def _socket(self, kind: str, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM, _ICMP_PROTOCOL[family] if kind == "control" else 0)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sockets[sock.fileno()] = sock
        self.poll.register(sock, select.EPOLLIN)
        _connect(sock, (address, port))
        return sock

    def _drop_candidates(self, *, keep: int) -> None:
        for number in list(self.candidates)[: max(0, len(self.candidates) - keep)]:
            del self.candidates[number]
            self._close(self.sockets[number])

    def _close(self, sock: socket.socket) -> None:
        self.sockets.pop(sock.fileno(), None)
        sock.close()

    def _close_all(self) -> None:
        for sock in list(self.sockets.values()):
            self._close(sock)
        self.candidates.clear()
        self.streams = []


def _connect(sock: socket.socket, place: tuple[str, int]) -> None:
    """Without a route this fails, and so will the send: an item without an answer, as it should be."""
    with suppress(OSError):
        sock.connect(place)


if __name__ == "__main__":
    DatagramProbe().run()
