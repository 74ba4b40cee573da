"""The etcd driver: requests and watches over the JSON gateway of whichever member answers.

Requests and watches choose their members apart, so that a member that is slow to serve the one does not delay the
other. A watch that ends, or is silent for too long, is opened again elsewhere, from the revision after the last one
heard.

Invariants: at most MAX_IDLE connections per member stay open unused; one task per key asks, one watches.
"""

import asyncio
import ssl
from collections.abc import Iterable
from datetime import timedelta

from yaoki.election.store import (
    Endpoint,
    EtcdStore,
    KeyRead,
    KeyState,
    ReadKey,
    StoreFailed,
    StoreRequest,
    StoreResult,
    SwapKey,
)
from yaoki.runtime.driver import monotonic_now
from yaoki.runtime.secret_file import secret_path
from yaoki.runtime.stores import OnAnswer, OnSeen, gateway
from yaoki.runtime.stores.endpoints import Endpoints
from yaoki.runtime.stores.gateway import GatewayError
from yaoki.runtime.stores.http_client import HttpConnection, HttpFailure

MAX_IDLE = 8
REOPEN_FIRST_S = 0.05
REOPEN_LONGEST_S = 1.0
LONGEST_SILENCE = timedelta(seconds=10)
"""A watch that was opened anew in vain is doubted after twice the time, up to this."""


class EtcdDriver:
    """Opens nothing before the first request or watch."""

    def __init__(self, spec: EtcdStore, on_answer: OnAnswer, on_seen: OnSeen) -> None:
        self._spec = spec
        self._on_answer = on_answer
        self._on_seen = on_seen
        self._tls = _tls(spec)
        self._endpoints = Endpoints(spec.endpoints)
        self._watch_endpoints = Endpoints(spec.endpoints, first=1)
        self._idle: dict[Endpoint, list[HttpConnection]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._watched: tuple[str, ...] = ()
        self._heard = 0

    def ask(self, request: StoreRequest, limit: timedelta) -> None:
        """See StoreDriver."""
        if (earlier := self._asking.pop(request.key, None)) is not None:
            earlier.cancel()
        self._asking[request.key] = asyncio.get_running_loop().create_task(self._ask(request, limit))

    def watch(self, keys: tuple[str, ...], silence: timedelta) -> None:
        """See StoreDriver."""
        if self._watching is not None:
            self._watching.cancel()
        self._watched, self._heard = keys, 0
        self._watching = asyncio.get_running_loop().create_task(self._watch(silence)) if keys else None

    async def close(self) -> None:
        """See StoreDriver."""
        tasks = [*self._asking.values(), *([self._watching] if self._watching is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in self._spec.endpoints:
            self._close_idle(endpoint)

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _ask(self, request: StoreRequest, limit: timedelta) -> None:
        endpoint = self._endpoints.choose(monotonic_now())
        try:
            async with asyncio.timeout(limit.total_seconds()):
                result = await self._result(endpoint, request)
            self._endpoints.worked(endpoint)
        except TimeoutError:
            self._endpoints.silent(endpoint, monotonic_now())
            result = StoreFailed(f"{endpoint}: no answer within {limit.total_seconds():g} s")
        except HttpFailure as failure:
            self._endpoints.silent(endpoint, monotonic_now())
            self._close_idle(endpoint)
            result = StoreFailed(f"{endpoint}: {failure}")
        except GatewayError as refusal:
            self._endpoints.refused(endpoint)
            result = StoreFailed(f"{endpoint}: {refusal}")
        if self._asking.get(request.key) is asyncio.current_task():
            del self._asking[request.key]
        self._on_answer(request, result)

    async def _result(self, endpoint: Endpoint, request: StoreRequest) -> StoreResult:
        key = self._spec.prefix + request.key
        match request:
            case ReadKey():
                return KeyRead(gateway.read_key(await self._post(endpoint, gateway.RANGE, gateway.range_of_key(key))))
            case SwapKey():
                body = gateway.swap(key, request.expected, request.value)
                return gateway.read_swap(await self._post(endpoint, gateway.TXN, body))

    async def _post(self, endpoint: Endpoint, path: str, body: bytes) -> bytes:
        idle = self._idle.setdefault(endpoint, [])
        connection = idle.pop() if idle else HttpConnection(endpoint, self._tls if endpoint.tls else None)
        try:
            status, answer = await connection.post(path, body)
        except BaseException:
            connection.close()
            raise
        if connection.reusable and len(idle) < MAX_IDLE:
            idle.append(connection)
        else:
            connection.close()
        if status != 200:
            raise gateway.read_refusal(status, answer)
        return answer

    def _close_idle(self, endpoint: Endpoint) -> None:
        for connection in self._idle.pop(endpoint, []):
            connection.close()

    # --- watch --------------------------------------------------------------------------------------------------------

    async def _watch(self, silence: timedelta) -> None:
        pause_s, patience = REOPEN_FIRST_S, silence
        while True:
            endpoint = self._watch_endpoints.choose(monotonic_now())
            before = self._heard
            try:
                await self._follow(endpoint, patience)
            except TimeoutError:
                self._watch_endpoints.refused(endpoint)
                patience = min(2 * patience, LONGEST_SILENCE)
            except (HttpFailure, GatewayError):
                self._watch_endpoints.silent(endpoint, monotonic_now())
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, REOPEN_LONGEST_S)
            if self._heard > before:
                pause_s, patience = REOPEN_FIRST_S, silence

    async def _follow(self, endpoint: Endpoint, patience: timedelta) -> None:
        """One stream, until it ends or is silent for too long (TimeoutError)."""
        seconds = patience.total_seconds()
        if not self._heard:
            async with asyncio.timeout(seconds):
                body = gateway.range_of_prefix(self._spec.prefix)
                snapshot = gateway.read_snapshot(await self._post(endpoint, gateway.RANGE, body))
            self._report(snapshot.keys.items())
            self._heard = snapshot.revision
        connection = HttpConnection(endpoint, self._tls if endpoint.tls else None)
        lines = connection.stream(gateway.WATCH, gateway.watch_of_prefix(self._spec.prefix, self._heard + 1))
        try:
            while True:
                async with asyncio.timeout(seconds):
                    status, line = await anext(lines)
                if status != 200:
                    raise gateway.read_refusal(status, line)
                news = gateway.read_news(line)
                if news.compacted:
                    self._heard = 0
                    return
                self._report(news.writes)
                self._heard = max([self._heard, *(state.revision for _, state in news.writes)])
        except StopAsyncIteration:
            raise HttpFailure("the watch has ended") from None
        finally:
            connection.close()
            await lines.aclose()

    def _report(self, writes: Iterable[tuple[str, KeyState]]) -> None:
        for key, state in writes:
            name = key.removeprefix(self._spec.prefix)
            if name in self._watched:
                self._on_seen(name, state)


def _tls(spec: EtcdStore) -> ssl.SSLContext | None:
    """Raises OSError if a file cannot be read, naming it, or is not of its kind."""
    if not any(endpoint.tls for endpoint in spec.endpoints):
        return None
    for name in filter(None, (spec.ca, spec.certificate, spec.key)):
        secret_path(name).open("rb").close()  # ssl's own errors do not say which file
    context = ssl.create_default_context(cafile=secret_path(spec.ca) if spec.ca else None)
    if spec.certificate:
        context.load_cert_chain(secret_path(spec.certificate), secret_path(spec.key))
    return context
