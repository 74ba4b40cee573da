"""The request probe: one new TCP connection with one request per period and target, and long-lived streams beside them.

An item is a connection begun, its request sent and its whole answer received (HTTP status 200, or the echo) within
ANSWER_LIMIT. A stream is one connection with a small request every STREAM_PERIOD; it is cut when it is reset or closed.
HTTP servers are asked to close, so that it is they who keep the TIME_WAIT. Runs until its stdin is closed.
"""

import errno
import os
import select
import socket
from array import array
from collections import deque
from itertools import cycle
from typing import Any

from yaoki.lab.probes.wire import LOOK_BACK_US, LOOK_GRACE_US, Conversation, Lateness, now_us, undisturbed

ANSWER_LIMIT_US = 300_000
STREAMS = 2
"""Streams per target."""

STREAM_PERIOD_US = 100_000
STREAM_PORTS = range(2_000, 10_000)
"""Source ports of streams, below those that the lab's clients take by themselves. Each is used once in a rehearsal: a
server may still hold the connection of an earlier stream that was cut on its way, and would not take it for new."""

_GIVE_UP_US = 1_000_000
"""A stream that waits this long before the measuring has begun is opened anew."""

_SILENT_US = 250_000
_SKIP_US = 30_000
_LONGEST_SLEEP_US = 5_000
_HTTP = "http"
_ECHO = b"yaoki\n"

OK = ""
"""The outcome of an item that succeeded; all others name what went wrong."""


class Place:
    """Where the requests of one target go, and what they say."""

    def __init__(self, target: dict[str, Any]) -> None:
        self.http: bool = target["kind"] == _HTTP
        self.address: tuple[str, int] = (target["address"], target["port"])
        self.family = socket.AF_INET6 if ":" in target["address"] else socket.AF_INET
        host = f"[{target['address']}]" if self.family is socket.AF_INET6 else target["address"]
        self.once = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode() if self.http else _ECHO
        self.again = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() if self.http else _ECHO

    def connection(self, source_port: int = 0) -> socket.socket:
        """A connection under way, from any port or this one. Raises OSError where there is no route."""
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if source_port:
                sock.bind(("", source_port))
            error = sock.connect_ex(self.address)
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
        except OSError:
            sock.close()
            raise
        return sock

    def judge(self, answer: bytes) -> tuple[str, str]:
        """The outcome of a whole answer, and who gave it."""
        if not self.http:
            server, _, data = answer.partition(b"\0")
            return (OK if data == _ECHO else "short", server.decode(errors="replace"))
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head[9:12].decode(errors="replace")
        return (
            OK if status == "200" else f"status {status}" if status else "short",
            body.strip().decode(errors="replace"),
        )

    def whole(self, answer: bytes) -> bool:
        """Whether an answer is complete before its end of connection."""
        if not self.http:
            return answer.endswith(_ECHO)
        head, found, body = answer.partition(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        return bool(found) and at >= 0 and len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


class Item:
    """One request under way, or a stream's connection."""

    __slots__ = ("answer", "asked_us", "begun_us", "number", "requests", "sent", "sock", "stream")

    def __init__(self, requests: "Requests", sock: socket.socket, begun_us: int, number: int, *, stream: bool) -> None:
        self.requests = requests
        self.sock = sock
        self.begun_us = begun_us
        self.number = number
        self.stream = stream
        self.sent = False
        self.asked_us = 0
        self.answer = b""


class Requests:
    """The requests and streams of one target."""

    def __init__(self, probe: "RequestProbe", target: dict[str, Any], due_us: int) -> None:
        self.probe = probe
        self.place = Place(target)
        self.period_us: int = target["period_us"]
        self.due_us = due_us
        self.streams_due_us = due_us
        self.begun_us = array("q")
        self.outcome: list[str | None] = []
        self.took_us = array("q")
        self.under_way: deque[Item] = deque()
        self.seen: dict[str, int] = {}
        self.streams: list[Item | None] = [None] * STREAMS
        self.cut_us: list[int] = []
        self.measuring = False

    def begin(self, now: int) -> None:
        """Begin one item."""
        number = len(self.begun_us)
        self.begun_us.append(now)
        self.outcome.append(None)
        self.took_us.append(0)
        try:
            sock = self.place.connection()
        except OSError:
            self.outcome[number] = "unreachable"
            return
        self.under_way.append(self.probe.watch(Item(self, sock, now, number, stream=False)))

    def expire(self, now: int) -> None:
        """End the items that have waited too long."""
        while self.under_way and (self.under_way[0].begun_us < now - ANSWER_LIMIT_US or self.done(self.under_way[0])):
            item = self.under_way.popleft()
            if not self.done(item):
                self.finish(item, "timeout", now)

    def done(self, item: Item) -> bool:
        return self.outcome[item.number] is not None

    def finish(self, item: Item, outcome: str, now: int, server: str = "") -> None:
        """An item has ended."""
        self.probe.unwatch(item)
        self.outcome[item.number] = outcome
        self.took_us[item.number] = now - item.begun_us
        if outcome == OK:
            self.seen[server] = now

    def tend_streams(self, now: int) -> None:
        """Ask on every stream; until the measuring begins, open those that are missing."""
        self.streams_due_us = now + STREAM_PERIOD_US
        for index, stream in enumerate(self.streams):
            if stream is None:
                if not self.measuring:
                    self._open_stream(index, now)
            elif stream.sent and not stream.asked_us:
                self.ask(stream, now)
            elif not self.measuring and (stream.asked_us or stream.begun_us) < now - _GIVE_UP_US:
                self.cut(stream, now)

    def ask(self, stream: Item, now: int) -> None:
        """Send the next request on a stream."""
        stream.answer = b""
        stream.asked_us = now
        try:
            stream.sock.send(self.place.again)
        except OSError:
            self.cut(stream, now)

    def cut(self, stream: Item, now: int) -> None:
        """A stream has ended; it counts if the measuring has begun."""
        self.probe.unwatch(stream)
        if self.measuring:
            self.cut_us.append(now)
        self.streams[self.streams.index(stream)] = None

    def _open_stream(self, index: int, now: int) -> None:
        try:
            sock = self.place.connection(self.probe.next_port())
        except OSError:
            return
        self.streams[index] = self.probe.watch(Item(self, sock, now, index, stream=True))

    def look(self, now: int) -> dict[str, Any]:
        """What was seen lately."""
        last = len(self.begun_us)
        sent = failed = 0
        while last and self.begun_us[last - 1] > now - LOOK_BACK_US:
            last -= 1
            if self.begun_us[last] < now - LOOK_GRACE_US:
                sent += 1
                failed += self.outcome[last] != OK
        silent = sum(1 for s in self.streams if s is None or not s.sent or 0 < s.asked_us < now - _SILENT_US)
        servers = [s for s, at in self.seen.items() if at > now - LOOK_BACK_US]
        return {"sent": sent, "failed": failed, "servers": servers, "silent": silent - len(self.cut_us)}

    def record(self, since_us: int, now: int) -> dict[str, Any]:
        """All items since then, and when streams were cut; a stream that is still silent is cut now."""
        first = next((i for i, at in enumerate(self.begun_us) if at >= since_us), len(self.begun_us))
        for stream in self.streams:
            if stream is not None and stream.sent and 0 < stream.asked_us < now - _SILENT_US:
                self.cut_us.append(now)
        return {
            "at_us": list(self.begun_us[first:]),
            "ok": [int(outcome == OK) for outcome in self.outcome[first:]],
            "failures": sorted({o or "timeout" for o in self.outcome[first:] if o != OK}),
            "cut": len(self.cut_us),
        }


class RequestProbe:
    """All requests of one client."""

    def __init__(self) -> None:
        self.talk = Conversation()
        self.poll = select.epoll()
        self.poll.register(self.talk.fileno(), select.EPOLLIN)
        self.items: dict[int, Item] = {}
        self.targets: list[Requests] = []
        self.lateness = Lateness()
        self._ports = cycle(STREAM_PORTS)

    def watch(self, item: Item) -> Item:
        """Be told when its connection is made."""
        self.items[item.sock.fileno()] = item
        self.poll.register(item.sock, select.EPOLLOUT)
        return item

    def unwatch(self, item: Item) -> None:
        """Close its connection."""
        self.items.pop(item.sock.fileno(), None)
        item.sock.close()

    def next_port(self) -> int:
        """The source port of the next stream."""
        return next(self._ports)

    def run(self) -> None:
        """Probe until the rehearsal closes its end."""
        undisturbed()
        while True:
            now = now_us()
            upcoming = now + _LONGEST_SLEEP_US
            for target in self.targets:
                if target.due_us <= now:
                    self.lateness.note(now - target.due_us)
                    target.begin(now)
                    target.due_us += target.period_us
                    if target.due_us < now - _SKIP_US:
                        target.due_us = now + target.period_us
                    target.expire(now)
                if target.streams_due_us <= now:
                    target.tend_streams(now)
                upcoming = min(upcoming, target.due_us)
            self._wait(max(0, upcoming - now_us()))

    def _wait(self, us: int) -> None:
        for number, _ in self.poll.poll(us / 1_000_000):
            if number == self.talk.fileno():
                for command in self.talk.commands():
                    self._obey(command)
            elif (item := self.items.get(number)) is not None:
                self._ready(item)

    def _ready(self, item: Item) -> None:
        try:
            if not item.sent:
                self._connected(item)
            else:
                self._received(item, item.sock.recv(65536))
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            self._ended(item, "refused")
        except OSError as error:
            self._ended(item, "reset" if isinstance(error, ConnectionError) else "unreachable")

    def _connected(self, item: Item) -> None:
        error = item.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        item.sock.send(item.requests.place.again if item.stream else item.requests.place.once)
        item.sent = True
        item.asked_us = now_us() if item.stream else 0
        self.poll.modify(item.sock, select.EPOLLIN)

    def _received(self, item: Item, data: bytes) -> None:
        now = now_us()
        item.answer += data
        place = item.requests.place
        if item.stream:
            if not data:
                item.requests.cut(item, now)
            elif place.whole(item.answer):
                item.asked_us = 0
        elif not data or (not place.http and place.whole(item.answer)):
            item.requests.finish(item, *_with_time(place.judge(item.answer), now))

    def _ended(self, item: Item, how: str) -> None:
        if item.stream:
            item.requests.cut(item, now_us())
        else:
            item.requests.finish(item, how, now_us())

    def _obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "go":
                self._close_all()
                begin = now_us() + 2_000
                step = 10_000 // max(1, len(command["targets"]))
                self.targets = [Requests(self, t, begin + i * step) for i, t in enumerate(command["targets"])]
                self.lateness.begin()
                self.talk.answer({})
            case "look":
                now = now_us()
                self.talk.answer({"streams": [target.look(now) for target in self.targets]})
            case "mark":
                self.lateness.begin()
                for target in self.targets:
                    target.measuring = True
                self.talk.answer({})
            case _:
                self._halt(command["since_us"])

    def _halt(self, since_us: int) -> None:
        until = now_us() + ANSWER_LIMIT_US
        while now_us() < until and any(not item.stream for item in self.items.values()):
            self._wait(2_000)
        now = now_us()
        for target in self.targets:
            target.expire(now + ANSWER_LIMIT_US)
        records = [target.record(since_us, now) for target in self.targets]
        self.talk.answer({"streams": records, **self.lateness.record()})
        self._close_all()

    def _close_all(self) -> None:
        for item in list(self.items.values()):
            self.unwatch(item)
        self.targets = []


def _with_time(judged: tuple[str, str], now: int) -> tuple[str, int, str]:
    outcome, server = judged
    return outcome, now, server


if __name__ == "__main__":
    RequestProbe().run()
