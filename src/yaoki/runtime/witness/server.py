"""The witness's listening socket: HTTP/1.1 with JSON, one request after another on each connection, watches for ever.

Invariants: at most MAX_CONNECTIONS at a time, each with at most MAX_BODY octets of a request and MAX_UNSENT of answers
in memory; a peer that breaks a rule loses its connection and nobody else's.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta

import h11

from yaoki.runtime.witness.ledger import Ledger
from yaoki.runtime.witness.register import Register, Watcher
from yaoki.runtime.witness.wire import NotServed, read_wish, refusal

MAX_CONNECTIONS = 512
MAX_BODY = 64 * 1024
MAX_UNSENT = 1024 * 1024
IDLE_LIMIT = timedelta(minutes=10)
"""A connection on which no request comes for so long is closed; its client opens another."""
_READ = 65536

OnListening = Callable[[tuple[str, int]], None]


class WitnessServer:
    """Serves one ledger until cancelled."""

    def __init__(self, ledger: Ledger) -> None:
        self._register = Register(ledger)
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, host: str | None, port: int, tls: ssl.SSLContext | None, on_listening: OnListening) -> None:
        """`host` None: every address; `on_listening` gets the first address and the port. Raises OSError if it cannot
        listen, or if the disk fails."""
        server = await asyncio.start_server(self._connected, host, port, ssl=tls)
        on_listening(server.sockets[0].getsockname()[:2])
        try:
            await self._register.work()
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= MAX_CONNECTIONS:
                await _Connection(self._register, reader, writer).serve()
        except (OSError, TimeoutError, h11.ProtocolError, asyncio.CancelledError):
            pass  # its client is gone, idle or no client; or the witness ends
        finally:
            self._connections.discard(task)
            writer.transport.abort()


class _Connection:
    """One client."""

    def __init__(self, register: Register, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._register = register
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        while True:
            request = await self._event()
            if not isinstance(request, h11.Request):
                return
            body = await self._body()
            try:
                answer = await self._register.ask(read_wish(request.target.decode("ascii", "replace"), body))
            except NotServed as error:
                self._answer(error.status, refusal(str(error)))
            else:
                if isinstance(answer, Watcher):
                    await self._follow(answer)
                    return
                self._answer(200, answer)
            await self._writer.drain()
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _body(self) -> bytes:
        body = b""
        while isinstance(event := await self._event(), h11.Data):
            body += bytes(event.data)
            if len(body) > MAX_BODY:
                raise h11.RemoteProtocolError(f"a request of more than {MAX_BODY} octets")
        return body

    def _answer(self, status: int, body: bytes) -> None:
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        self._send(h11.Response(status_code=status, headers=headers), h11.Data(body), h11.EndOfMessage())

    async def _follow(self, watcher: Watcher) -> None:
        """Report until the client goes."""
        try:
            headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
            self._send(h11.Response(status_code=200, headers=headers))
            watcher.attach(lambda line: self._send(h11.Data(line)))
            while await self._reader.read(_READ):
                pass
        finally:
            self._register.forget(watcher)

    def _send(self, *events: h11.Event) -> None:
        for event in events:
            self._writer.write(self._http.send(event) or b"")
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            self._writer.transport.abort()

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(IDLE_LIMIT.total_seconds()):
                self._http.receive_data(await self._reader.read(_READ))
        return event
