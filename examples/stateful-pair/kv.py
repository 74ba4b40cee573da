"""A small key-value service for two nodes, with Python's standard library alone. What it decides is in replica.py.

  kv.py --name db1 --data DIR --peer ADDRESS --epoch FILE --listen VIP [--listen VIP] [--copy-rate N]

Clients, over the VIP, port 7379:   PUT /KEY    the body is the value; status 200: it is kept, whichever node fails
                                    GET /KEY    its value; GET / has all keys and values, as JSON
The node itself, port 7380:         GET /current    200 if nothing is missing here: for Yaoki's data check
                                    GET /fit        200 if it serves or may take over: for Yaoki's tracked check
                                    POST /current   a person says that the data here counts
The other replica, port 7380:       POST /ask

FILE is where Yaoki writes the epoch while this node owns the VIP. With --copy-rate a replica that has to catch up takes
at most N records a second. Nobody is asked who he is: port 7380 belongs on a network of its own.
"""

import argparse
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, ClassVar

from replica import ANSWER_LIMIT, WRITE_LIMIT_S, Answer, Ask, Log, Record, Refusal, Replica

CLIENT_PORT = 7379
PEER_PORT = 7380
LOOK_S = 0.05
"""How often the epoch is looked at."""
NEWS_LIMIT_S = 0.2
"""How long an answer waits for something to tell."""
ASK_LIMIT_S = 1.0
RETRY_S = 0.1
LARGEST_VALUE = 1 << 20
_IDLE_LIMIT_S = 10.0
_FREEBIND = {socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}


class DiskLog(Log):
    """A log that is on the disk before anybody is told so: one record a line, as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        whole, _, torn = path.read_text().rpartition("\n")
        super().__init__(Record(*json.loads(line)) for line in whole.splitlines())
        if torn:
            self.cut(len(self.records))

    def append(self, records: Iterable[Record]) -> None:
        new = tuple(records)
        super().append(new)
        self._write(self._path, "a", new)

    def cut(self, length: int) -> None:
        super().cut(length)
        draft = self._path.with_suffix(".draft")
        self._write(draft, "w", self.records)
        os.replace(draft, self._path)

    def _write(self, path: Path, mode: str, records: Iterable[Record]) -> None:
        with path.open(mode) as file:
            file.writelines(json.dumps([r.epoch, r.key, r.value]) + "\n" for r in records)
            file.flush()
            os.fsync(file.fileno())


class Service:
    """The replica, shared by the threads of all requests."""

    def __init__(self, name: str, log: Log, epoch: Path) -> None:
        self.name = name
        self._epoch = epoch
        self._replica = Replica(log, time.monotonic())
        self._news = threading.Condition()

    @contextmanager
    def replica(self) -> Iterator[tuple[Replica, float]]:
        """The replica, that has just looked, for one thread; and the time."""
        with self._news:
            now = time.monotonic()
            self._replica.look(now, self._owned())
            yield self._replica, now
            self._news.notify_all()

    def write(self, key: str, value: str) -> Refusal | None:
        """Keep a value; None: it is safe."""
        with self.replica() as (replica, now):
            place, epoch = replica.write(now, key, value), replica.serves
        if isinstance(place, Refusal):
            return place
        assert epoch is not None, "who takes a write serves"
        safe = self._wait(WRITE_LIMIT_S, lambda replica, now: replica.accepted(now, place, epoch))
        return None if safe else Refusal.UNCONFIRMED

    def answer(self, ask: Ask) -> Answer:
        """Answer the other replica, a little later if there is nothing to tell yet."""
        with self.replica() as (replica, now):
            answer = replica.answer(now, ask)
        if answer.records or answer.serves is None or ask.serves is not None:
            return answer
        self._wait(NEWS_LIMIT_S, lambda replica, _: replica.ask().runs != ask.runs)
        with self.replica() as (replica, now):
            return replica.answer(now, ask)

    def _wait(self, limit_s: float, until: Callable[[Replica, float], bool]) -> bool:
        end = time.monotonic() + limit_s
        with self._news:
            while True:
                now = time.monotonic()
                self._replica.look(now, self._owned())
                if until(self._replica, now):
                    return True
                if now >= end:
                    return False
                self._news.wait(min(LOOK_S, end - now))

    def _owned(self) -> int | None:
        try:
            return int(self._epoch.read_text())
        except (OSError, ValueError):
            return None

    def follow(self, peer: str, copy_rate: float | None) -> None:
        """Ask the other replica for ever."""
        connection = http.client.HTTPConnection(peer, PEER_PORT, timeout=ASK_LIMIT_S)
        while True:
            with self.replica() as (replica, asked_at):
                ask = replica.ask()
            try:
                connection.request("POST", "/ask", json.dumps(asdict(ask)))
                answer = _answer_of(json.loads(connection.getresponse().read()))
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                time.sleep(RETRY_S)
                continue
            with self.replica() as (replica, _):
                more = replica.learn(asked_at, ask, answer)
            if answer.serves is None or ask.serves is not None:
                time.sleep(RETRY_S)
            elif more and copy_rate is not None:
                time.sleep(ANSWER_LIMIT / copy_rate)


class Request(BaseHTTPRequestHandler):
    """One connection; `service` is set by the server's own class."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_LIMIT_S
    disable_nagle_algorithm = True
    service: ClassVar[Service]

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""

    def body(self) -> str:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_VALUE:
            raise ValueError("too large")
        return self.rfile.read(length).decode()

    def say(self, status: int, text: str) -> None:
        data = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def verdict(self, refusal: Refusal | None, text: str) -> None:
        self.say(200 if refusal is None else 503, f"{self.service.name}: {refusal or text}")


class ClientRequest(Request):
    """What comes over the VIP."""

    def do_PUT(self) -> None:
        self.verdict(self.service.write(self.path[1:], self.body()), "kept")

    def do_GET(self) -> None:
        with self.service.replica() as (replica, now):
            refusal, values = replica.refusal(now), dict(replica.values)
        if refusal is not None:
            self.verdict(refusal, "")
        elif self.path == "/":
            self.say(200, json.dumps(values))
        elif self.path[1:] in values:
            self.say(200, values[self.path[1:]])
        else:
            self.say(404, "no such key")


class NodeRequest(Request):
    """What comes from this node and from the other replica."""

    def do_GET(self) -> None:
        with self.service.replica() as (replica, now):
            found = {"/current": replica.current(now), "/fit": replica.fit(now)}.get(self.path)
        if found is None:
            self.say(404, "there are /current and /fit")
        else:
            self.say(200 if found else 503, f"{self.service.name}: {'yes' if found else 'no'}")

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/ask":
            asked: dict[str, Any] = json.loads(body)
            ask = Ask(tuple((epoch, length) for epoch, length in asked["runs"]), asked["serves"])
            self.say(200, json.dumps(asdict(self.service.answer(ask))))
        elif self.path == "/current":
            with self.service.replica() as (replica, _):
                replica.declare_current()
            self.say(200, f"{self.service.name}: the data here counts")
        else:
            self.say(404, "there are /ask and /current")


class Server(ThreadingHTTPServer):
    """Serves at an address that this node need not have (yet)."""

    daemon_threads = True

    def __init__(self, address: str, port: int, request: type[Request]) -> None:
        self._family = self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), request)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_bind(self) -> None:
        self.socket.setsockopt(*_FREEBIND[self._family], 1)
        TCPServer.server_bind(self)  # HTTPServer's own asks DNS for a name

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke."""


def _answer_of(plain: dict[str, Any]) -> Answer:
    return Answer(**{**plain, "records": tuple(Record(**record) for record in plain["records"])})


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="in answers")
    parser.add_argument("--data", type=Path, required=True, help="the directory of its log")
    parser.add_argument("--peer", required=True, help="the other node's own address")
    parser.add_argument(
        "--epoch", type=Path, required=True, help="the file that Yaoki writes: /run/yaoki/NODE/epochs/VIP"
    )
    parser.add_argument("--listen", action="append", default=[], help="an address of the VIP")
    parser.add_argument("--copy-rate", type=float, help="records a second, while it catches up")
    args = parser.parse_args()
    args.data.mkdir(parents=True, exist_ok=True)
    Request.service = service = Service(args.name, DiskLog(args.data / "log"), args.epoch)
    for address in args.listen:
        Server(address, CLIENT_PORT, ClientRequest)
    Server("0.0.0.0", PEER_PORT, NodeRequest)  # noqa: S104
    threading.Thread(target=service.follow, args=(args.peer, args.copy_rate), daemon=True).start()
    while True:
        with service.replica():
            pass
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
