"""The simulated world's time: what shall happen, in the order in which it will.

Invariants: time never goes back; what falls on one microsecond happens in the order in which it was put down; nothing
happens inside of something else.
"""

import heapq
from collections.abc import Callable

from yaoki.core.error import LocalError

SECOND = 1_000_000
MILLISECOND = 1_000

# The owner is told after so many actions how long they took.
BURST = 4096
# A quiet world holds a few dozen entries; a hundred thousand mean that something breeds.
MAX_ENTRIES = 100_000


class Timeline:
    """A queue of actions by time. `now` is in microseconds since the world began. `burst` is called after each BURST
    actions with the time that they took in the world."""

    def __init__(self, burst: Callable[[int], None] = lambda _: None) -> None:
        self.now = 0
        self._burst = burst
        self._burst_began = 0
        self._left = BURST
        self._heap: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, us: int, action: Callable[[], object]) -> None:
        """Put an action down for `us`, which is not in the past."""
        if us < self.now:
            raise LocalError(f"an action was put down for {us} us, but it is {self.now} us already")
        self._count += 1
        heapq.heappush(self._heap, (us, self._count, action))
        if len(self._heap) > MAX_ENTRIES:
            raise LocalError(f"more than {MAX_ENTRIES} things are about to happen at {self.now} us")

    def after(self, us: int, action: Callable[[], object]) -> None:
        """Put an action down for `us` microseconds from now."""
        self.at(self.now + us, action)

    def run(self, until: int) -> None:
        """Let everything happen up to and including `until`."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, action = pop(heap)
            action()
            self._left -= 1
            if not self._left:
                self._left = BURST
                self._burst(self.now - self._burst_began)
                self._burst_began = self.now
        self.now = until

    @property
    def happened(self) -> int:
        """How many actions there have been."""
        return self._count - len(self._heap)
