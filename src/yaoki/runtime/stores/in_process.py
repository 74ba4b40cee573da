"""The store of a site of one node: the memory of this process."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import KeyState, StoreRequest, Swapped
from yaoki.runtime.stores import OnAnswer, OnSeen

_EMPTY: Mapping[str, KeyState] = MappingProxyType({})


class InProcessDriver:
    """Answers in the next turn of the event loop. `keys` is what the store holds at first."""

    def __init__(self, on_answer: OnAnswer, on_seen: OnSeen, keys: Mapping[str, KeyState] = _EMPTY) -> None:
        self._on_answer = on_answer
        self._on_seen = on_seen
        self._store = MemoryStore(keys)
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
