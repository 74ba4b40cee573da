"""The store of a site of one node: the memory of this process.

Invariant: revisions, and so the epochs of leases, grow from process to process too, as long as the wall clock does not
go back between them.
"""

import asyncio
import time
from datetime import timedelta

from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import StoreRequest, Swapped
from yaoki.runtime.stores import OnAnswer, OnSeen


class InProcessDriver:
    """Answers in the next turn of the event loop."""

    def __init__(self, on_answer: OnAnswer, on_seen: OnSeen) -> None:
        self._on_answer = on_answer
        self._on_seen = on_seen
        self._store = MemoryStore(revision=time.time_ns() // 1_000_000)
        self._watched: tuple[str, ...] = ()
        self._closed = False

    def ask(self, request: StoreRequest, limit: timedelta) -> None:  # noqa: ARG002 - memory is never late
        """See StoreDriver."""
        asyncio.get_running_loop().call_soon(self._carry_out, request)

    def watch(self, keys: tuple[str, ...], silence: timedelta) -> None:  # noqa: ARG002 - memory needs no doubt
        """See StoreDriver."""
        self._watched = keys

    async def close(self) -> None:
        """See StoreDriver."""
        self._closed = True

    def _carry_out(self, request: StoreRequest) -> None:
        if self._closed:
            return
        result = self._store.carry_out(request)
        self._on_answer(request, result)
        if isinstance(result, Swapped) and request.key in self._watched:
            self._on_seen(request.key, self._store.state(request.key))
