"""A loop of descriptors for the speaker: it waits by select(2), whose time-out counts microseconds.

asyncio and epoll round to milliseconds; with advertisements each 10 ms that is a tenth of the interval. The speaker has
about ten descriptors, so select's cost does not matter.

Invariant: handlers are called in the order in which their descriptors were first attached.
"""

import select
import time
from collections.abc import Callable

from yaoki.core.instant import Instant

_MAX_DESCRIPTOR = 1024

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT


def monotonic_now() -> Instant:
    """CLOCK_MONOTONIC, which all processes of one machine share."""
    return Instant(time.monotonic_ns() // 1000)


class SelectLoop:
    """Calls the handlers of descriptors that are ready."""

    def __init__(self) -> None:
        self._handlers: dict[int, tuple[int, Callable[[int], None]]] = {}

    def attach(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call `handler` with the events that `fd` is ready for, or change which events those are."""
        assert fd < _MAX_DESCRIPTOR, "select(2) knows no greater descriptors; the speaker opens a few only"
        self._handlers[fd] = (events, handler)

    def detach(self, fd: int) -> None:
        self._handlers.pop(fd, None)

    def turn(self, timeout_s: float | None) -> None:
        """Wait for the first ready descriptor, at most so long, and call every handler that is due."""
        reading = [fd for fd, (events, _) in self._handlers.items() if events & READABLE]
        writing = [fd for fd, (events, _) in self._handlers.items() if events & WRITABLE]
        readable, writable, _ = select.select(reading, writing, (), timeout_s)
        if not readable and not writable:
            return
        for fd in list(self._handlers):
            events = (READABLE if fd in readable else 0) | (WRITABLE if fd in writable else 0)
            # An earlier handler may have closed this one's descriptor.
            if events and (entry := self._handlers.get(fd)) is not None:
                entry[1](events)
