"""The witness's keys in their one order: batches of requests, each kept on disk before any of it is answered.

Invariants: what is answered or reported is on the disk; a watch reports the writes after what it was opened with, in
their order. If the disk fails, `work` raises and nothing more is answered: the process must end.
"""

import asyncio
from collections.abc import Callable
from typing import assert_never

from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import ABSENT, NotSwapped, SwapKey, Swapped
from yaoki.runtime.witness.ledger import Ledger, Write
from yaoki.runtime.witness.wire import (
    NotServed,
    Read,
    Swap,
    Watch,
    Wish,
    read_answer,
    swap_answer,
    watch_compacted,
    watch_news,
    watch_opened,
)

MAX_BATCH = 256
MAX_KEYS = 10_000
MAX_VALUE = 4096
"""Octets; a lease's record has about 100."""


class Watcher:
    """One open watch. What is reported before `attach` waits for it."""

    def __init__(self, watch: Watch) -> None:
        self.keys = watch.keys
        self._waiting: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """From now on, report there."""
        self._sink = sink
        for line in self._waiting:
            sink(line)
        self._waiting.clear()

    def report(self, line: bytes) -> None:
        if self._sink is None:
            self._waiting.append(line)
        else:
            self._sink(line)


class Register:
    """The keys of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._memory = MemoryStore(ledger.keys, revision=ledger.revision)
        self._queue: asyncio.Queue[tuple[Wish, asyncio.Future[bytes | Watcher]]] = asyncio.Queue()
        self._watchers: set[Watcher] = set()

    @property
    def revision(self) -> int:
        return self._memory.revision

    async def ask(self, wish: Wish) -> bytes | Watcher:
        """The answer, or the watch that was opened. Raises NotServed."""
        answer: asyncio.Future[bytes | Watcher] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((wish, answer))
        return await answer

    def forget(self, watcher: Watcher) -> None:
        """Its client is gone."""
        self._watchers.discard(watcher)

    async def work(self) -> None:
        """Carry out requests for ever. Raises OSError if the disk fails."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            writes: list[Write] = []
            results = [self._carry_out(wish, writes) for wish, _ in batch]
            if writes:
                await asyncio.to_thread(self._ledger.keep, tuple(writes))
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():  # its client is gone
                    self._watchers -= {result} if isinstance(result, Watcher) else set()
                elif isinstance(result, NotServed):
                    future.set_exception(result)
                else:
                    future.set_result(result)
            if writes:
                self._report(writes)

    def _carry_out(self, wish: Wish, writes: list[Write]) -> bytes | Watcher | NotServed:
        match wish:
            case Read(keys):
                found = {key: state for key, state in self._memory.items() if keys.holds(key)}
                return read_answer(self._memory.revision, found)
            case Swap():
                return self._swap(wish, writes)
            case Watch():
                return self._watch(wish)
            case _:
                assert_never(wish)

    def _swap(self, swap: Swap, writes: list[Write]) -> bytes | NotServed:
        if len(swap.value) > MAX_VALUE:
            return NotServed(400, f"a value of more than {MAX_VALUE} octets")
        if self._memory.state(swap.key).revision == ABSENT and len(self._memory.items()) >= MAX_KEYS:
            return NotServed(400, f"the witness has {MAX_KEYS} keys, and takes no more")
        result = self._memory.carry_out(SwapKey(swap.key, 0, swap.expected, swap.value))
        assert isinstance(result, Swapped | NotSwapped)
        if isinstance(result, Swapped):
            writes.append(Write(swap.key, result.revision, swap.value))
        return swap_answer(swap.key, result)

    def _watch(self, watch: Watch) -> Watcher:
        watcher = Watcher(watch)
        now = self._memory.revision
        if watch.start > now + 1:
            watcher.report(watch_compacted(now))
            return watcher
        watcher.report(watch_opened(now))
        found = [
            Write(key, state.revision, state.value or b"")
            for key, state in self._memory.items()
            if watch.keys.holds(key) and 0 < watch.start <= state.revision
        ]
        if found:
            watcher.report(watch_news(now, sorted(found, key=lambda write: write.revision)))
        self._watchers.add(watcher)
        return watcher

    def _report(self, writes: list[Write]) -> None:
        for watcher in list(self._watchers):
            heard = [write for write in writes if watcher.keys.holds(write.key)]
            if heard:
                watcher.report(watch_news(heard[-1].revision, heard))
