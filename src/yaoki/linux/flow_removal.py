"""Flows of connection tracking that must not go on: of servers that are out or gone, by service.

Rules are never kept waiting for this: taking away the flows of a busy server lasts as long as looking through all of
them does. `run` may therefore be called from another thread than the rest.

Invariants: flows are removed after the rules that would send them elsewhere are in force; those of a server that has
come back meanwhile are left alone; what fails stays to be done.
"""

import threading
from collections.abc import Iterable
from contextlib import closing

from yaoki.linux.conntrack import Conntrack, Placed


class FlowRemoval:
    """What is still to be removed, and the removing of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doomed: frozenset[Placed] = frozenset()

    @property
    def doomed(self) -> frozenset[Placed]:
        """Servers of services whose flows are still to be removed."""
        with self._lock:
            return self._doomed

    def doom(self, places: Iterable[Placed]) -> None:
        """The rules send no flow to these any more."""
        with self._lock:
            self._doomed |= frozenset(places)

    def spare(self, places: Iterable[Placed]) -> frozenset[Placed]:
        """The rules are about to send flows to these; those of them that were doomed."""
        with self._lock:
            spared = self._doomed & frozenset(places)
            self._doomed -= spared
        return spared

    def run(self, *, over: bool = False) -> int:
        """Remove them; how many flows there were. Raises ActuatorError. `over` as for Conntrack.delete."""
        begun = self.doomed
        if not begun:
            return 0
        with closing(Conntrack()) as conntrack:
            removed = conntrack.delete(lambda: self.doomed & begun, over=over)
        self.spare(begun)
        return removed
