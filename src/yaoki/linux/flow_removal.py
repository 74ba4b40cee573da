"""Flows of connection tracking that must not go on: of servers that are out or gone, by service.

Rules are never kept waiting for this: taking away the flows of a busy server lasts as long as looking through all of
them does. `run` may therefore be called from another thread than the rest.

Invariants: flows are removed after the rules that would send them elsewhere are in force; those of a server that has
come back meanwhile are left alone; what fails stays to be done.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing

from yaoki.linux.conntrack import Conntrack, Placed


class FlowRemoval:
    """What is still to be removed, and the removing of it."""

    def __init__(self, tracking: Callable[[], Conntrack] = Conntrack) -> None:
        self._tracking = tracking
        self._lock = threading.Lock()
        self._rounds = 0
        self._doomed: dict[Placed, int] = {}
        """By which call of `doom`: who has come back and failed again is another matter than who failed first."""

    def doom(self, places: Iterable[Placed]) -> None:
        """The rules send no flow to these any more."""
        with self._lock:
            self._rounds += 1
            self._doomed |= dict.fromkeys(places, self._rounds)

    def spare(self, places: Iterable[Placed]) -> frozenset[Placed]:
        """The rules are about to send flows to these; those of them that were doomed."""
        with self._lock:
            return frozenset(place for place in places if self._doomed.pop(place, None) is not None)

    def run(self, *, over: bool = False) -> int:
        """Remove them; how many flows there were. Raises ActuatorError. `over` as for Conntrack.delete."""
        with self._lock:
            begun = dict(self._doomed)
        if not begun:
            return 0
        with closing(self._tracking()) as conntrack:
            removed = conntrack.delete(lambda: self._still(begun), over=over)
        self.spare(self._still(begun))
        return removed

    def _still(self, begun: Mapping[Placed, int]) -> frozenset[Placed]:
        """Those of them that nothing has happened to since."""
        with self._lock:
            return frozenset(place for place, number in begun.items() if self._doomed.get(place) == number)
