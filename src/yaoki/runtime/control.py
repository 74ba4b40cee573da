"""The control socket: one JSON object per line in, one per line out, for the account that the node runs as only.

    -> {"do": "status"}                  <- {"ok": true, "result": ...}
    -> {"do": "drain-nothing"}           <- {"ok": false, "why": "...", "cure": "..."}
    -> {"do": "events", "last": 3}       <- one {"ok": true, "result": ...} for each event,
                                         <- {"ok": true, "result": {}, "end": true}

Requests of one connection are answered in order. Invariants: a line longer than MAX_LINE ends the connection; at most
MAX_CLIENTS are connected; a client that does not read holds up nobody else.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_LINE = 16 * 1024 * 1024
MAX_CLIENTS = 128

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """A request that cannot be carried out: why, and what would do instead."""

    why: str
    cure: str = ""


Answerer = Callable[[Mapping[str, Any]], Awaitable[Result]]
Streamer = Callable[[Mapping[str, Any]], AsyncIterator[Result]]


class ControlServer:
    """Answers requests by the tables given: `answers` one result each, `streams` many. Keys are the "do" words."""

    def __init__(self, path: Path, *, answers: Mapping[str, Answerer], streams: Mapping[str, Streamer]) -> None:
        self._path = path
        self._answers = answers
        self._streams = streams
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        """Take the socket's path; what a dead process left there is replaced."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        previous = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)
        finally:
            os.umask(previous)

    def close(self) -> None:
        """Stop listening and end all connections; the path is removed."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        for writer in tuple(self._clients):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.write(_line(_refused(Refusal(f"{MAX_CLIENTS} clients are connected already"))))
            writer.close()
            return
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                async for answer in self._answer(line):
                    writer.write(_line(answer))
                    await writer.drain()
        except (ConnectionError, ValueError):
            return  # the client has left, or sent a line without end
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> AsyncIterator[Result]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise Refusal("a request is a JSON object")
            do = str(request.get("do"))
            if do in self._answers:
                yield {"ok": True, "result": await self._answers[do](request)}
            elif do in self._streams:
                async with contextlib.aclosing(_generator(self._streams[do](request))) as results:
                    async for result in results:
                        yield {"ok": True, "result": result}
                yield {"ok": True, "result": {}, "end": True}
            else:
                known = ", ".join(sorted([*self._answers, *self._streams]))
                raise Refusal(f"this node does not know {do!r}", f"it knows: {known}")
        except Refusal as refusal:
            yield _refused(refusal)
        except json.JSONDecodeError as error:
            yield _refused(Refusal(f"no JSON: {error}"))


async def _generator(results: AsyncIterator[Result]) -> Any:  # noqa: ANN401 - an async generator, for aclosing
    async for result in results:
        yield result


def _refused(refusal: Refusal) -> Result:
    return {"ok": False, "why": refusal.why, "cure": refusal.cure}


def _line(value: Result) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
