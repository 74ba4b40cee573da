"""When the kernel's table of flows is read, and what for. One reading at a time, part by part, with a pause between.

It is read to tell the peers: all of them now and then, because datagrams are lost; at once when a peer asks for
all, when the kernel could not tell of every flow, or when a change of servers has left flows where nobody else would
look for them. And it is read when a VIP comes or goes, because the time that a flow is kept for is the owner's long one
here and the copy's short one elsewhere.

Invariant: who asked while a reading was under way is served by the next, which is a whole one.
"""

from datetime import timedelta

from yaoki.core.instant import Instant

REFRESH_EVERY = timedelta(seconds=30)
"""A flow of which every datagram was lost is told again after so long and the time that a reading takes."""
PART_EVERY = timedelta(milliseconds=5)
AFTER_OVERRUN = timedelta(milliseconds=100)
AFTER_CHANGE = timedelta(seconds=1)
"""Of the servers of a service: by then the balancer's tables are made anew."""
AFTER_MOVE = timedelta(seconds=1)
"""A VIP that has just come: whatever else is done for it is more urgent."""


class FlowReading:
    """The readings of one copier."""

    def __init__(self) -> None:
        self.serving: dict[str, int] = {}
        """Peers that this reading was asked for by, with the numbers of their requests."""
        self.told = 0
        self.retimes = False
        """Whether this reading is because a VIP came or went."""
        self._waiting: dict[str, int] = {}
        self._retime_wanted = False
        self._start_at: Instant | None = None
        self._next_at: Instant | None = None
        self._reading = False

    def deadline(self) -> Instant | None:
        """When the next part is to be read."""
        return self._next_at if self._reading else self._start_at

    def want(self, at: Instant, *, retime: bool = False) -> None:
        """Read at this time, or earlier if that was wanted already."""
        self._retime_wanted |= retime
        self._start_at = at if self._start_at is None else min(self._start_at, at)

    def asked(self, node: str, request: int, now: Instant) -> None:
        """A peer wants to be told everything."""
        if self.serving.get(node) != request:
            self._waiting[node] = request
            self.want(now)

    def forget(self, node: str) -> None:
        """A peer is none any more."""
        self.serving.pop(node, None)
        self._waiting.pop(node, None)

    def stop(self) -> None:
        """There is nothing to read any more."""
        self.__init__()  # type: ignore[misc]  # everything anew

    def due(self, now: Instant) -> bool | None:
        """Whether a part is to be read now: True the first of a reading, False a further one; None: none."""
        at = self.deadline()
        if at is None or now < at:
            return None
        self._next_at = None
        if self._reading:
            return False
        self._reading, self._start_at, self.told = True, None, 0
        self.serving, self._waiting = self._waiting, {}
        self.retimes, self._retime_wanted = self._retime_wanted, False
        return True

    def part(self, now: Instant, *, last: bool) -> dict[str, int]:
        """A part was read; who is to be told that this was the last."""
        if not last:
            self._next_at = now + PART_EVERY
            return {}
        served, self.serving = self.serving, {}
        self._reading = False
        self.want(now if self._waiting else now + REFRESH_EVERY)
        return served
