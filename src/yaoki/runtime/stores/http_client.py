"""One HTTP/1.1 connection on which JSON is posted: whole answers, or an answer that never ends, line by line.

Invariants: one request at a time; after any error the connection is closed and good for nothing more.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator

import h11

from yaoki.core.error import YaokiError
from yaoki.election.store import Endpoint

MAX_ANSWER = 4 * 1024 * 1024
"""Octets of one answer, or of one line of a stream."""
_READ = 65536


class HttpFailure(YaokiError):
    """The connection could not be made, broke, or does not speak HTTP."""


class HttpConnection:
    """Connects on first use."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None) -> None:
        self.endpoint = endpoint
        self._tls = tls
        self._http = h11.Connection(h11.CLIENT)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request can follow."""
        return self._http.our_state is h11.IDLE and self._http.their_state is h11.IDLE

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        status = await self._ask(path, body)
        answer = b""
        while (part := await self._data()) is not None:
            answer += part
            if len(answer) > MAX_ANSWER:
                raise HttpFailure(f"an answer of more than {MAX_ANSWER} octets")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return status, answer

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[tuple[int, bytes], None]:
        """The status and each line of an answer as it arrives. Ends when the peer ends it."""
        status = await self._ask(path, body)
        rest = b""
        while (part := await self._data()) is not None:
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > MAX_ANSWER:
                raise HttpFailure(f"a line of more than {MAX_ANSWER} octets")
            for line in lines:
                if line.strip():
                    yield status, line
        if rest.strip():
            yield status, rest

    def close(self) -> None:
        """At once; nothing is waited for."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self, path: str, body: bytes) -> int:
        headers = [
            ("Host", f"{self.endpoint.host}:{self.endpoint.port}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            # For watches: a member that has lost its leader says so instead of staying silent.
            ("Grpc-Metadata-hasleader", "true"),
        ]
        request = self._http.send(h11.Request(method="POST", target=path, headers=headers))
        data = self._http.send(h11.Data(body))
        end = self._http.send(h11.EndOfMessage())
        writer = (await self._connected())[1]
        writer.write((request or b"") + (data or b"") + (end or b""))
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event.status_code
            if not isinstance(event, h11.InformationalResponse):
                raise HttpFailure("the peer closed the connection without an answer")

    async def _data(self) -> bytes | None:
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            return None
        raise HttpFailure("the peer closed the connection in the middle of an answer")

    async def _event(self) -> object:
        reader = (await self._connected())[0]
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await reader.read(_READ))
        except (OSError, h11.RemoteProtocolError) as error:
            raise HttpFailure(str(error)) from error
        return event

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection(self.endpoint.host, self.endpoint.port, ssl=self._tls)
            except OSError as error:
                raise HttpFailure(error.strerror or str(error)) from error
        return self._streams
