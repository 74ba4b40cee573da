"""The next deadline of many children without asking all of them: a heap in which only the touched child is asked again.

A deadline that is put off, as that of every router that hears an advertisement, only is noted; the child's entry in the
heap is moved when it comes up.

Invariants: `next()` is the earliest deadline set; a child has at most one live entry; the heap holds at most
`2 * children + 64` entries, because superseded ones are swept out when they outnumber the live.
"""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from yaoki.core.instant import Deadline, Instant

KeyT = TypeVar("KeyT", bound=Hashable)

_SWEEP_SLACK = 64


class Agenda(Generic[KeyT]):
    """Deadlines by key. Keys due at one instant come out in the order in which their deadlines were set."""

    def __init__(self) -> None:
        # By key: time and number of its entry in the heap, the number of the latest setting, the deadline then set.
        self._live: dict[KeyT, tuple[int, int, int, Deadline]] = {}
        self._heap: list[tuple[int, int, KeyT]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: KeyT, deadline: Deadline | None) -> None:
        """Replace the deadline of `key`; None takes it off the agenda."""
        held = self._live.get(key)
        if deadline is None:
            if held is not None:
                del self._live[key]
            return
        us = deadline.at.us
        if held is not None:
            entered, number, latest, before = held
            if before is deadline:
                return
            if before.at.us == us:
                self._live[key] = (entered, number, latest, deadline)
                return
            if us >= entered:
                self._count += 1
                self._live[key] = (entered, number, self._count, deadline)
                return
        self._count += 1
        self._live[key] = (us, self._count, self._count, deadline)
        heapq.heappush(self._heap, (us, self._count, key))
        if len(self._heap) > 2 * len(self._live) + _SWEEP_SLACK:
            self._sweep()

    def next(self) -> Deadline | None:
        """The earliest deadline, or None on an empty agenda."""
        heap, live = self._heap, self._live
        while heap:
            _, number, key = heap[0]
            held = live.get(key)
            if held is None or held[1] != number:
                heapq.heappop(heap)
                continue
            _, _, latest, deadline = held
            if latest == number:
                return deadline
            us = deadline.at.us
            live[key] = (us, latest, latest, deadline)
            heapq.heapreplace(heap, (us, latest, key))
        return None

    def due(self, now: Instant) -> Iterator[KeyT]:
        """Take off and yield each key whose deadline is not after `now`, earliest first.

        A key set again while iterating comes out again if it is due; a machine that asks for the past would loop, so
        callers set what the machine answers only after having handled it.
        """
        while (first := self.next()) is not None and first.at.us <= now.us:
            _, _, key = heapq.heappop(self._heap)
            del self._live[key]
            yield key

    def _sweep(self) -> None:
        self._live = {key: (d.at.us, latest, latest, d) for key, (_, _, latest, d) in self._live.items()}
        self._heap = [(us, number, key) for key, (us, number, _, _) in self._live.items()]
        heapq.heapify(self._heap)
