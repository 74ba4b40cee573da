"""The store of leases as the nodes of a world reach it: a cluster that answers, is out, or cannot be reached.

Voters are not simulated: what a node sees of them is that the store answers it, soon or late, or does not. A request
that is under way when the store goes out may have been carried out or not; the node is told neither.

Invariants: requests take effect one after another; news of a key arrive in the order of its writes, and may leave some
out; who was cut off from the store is told of the newest write when it no longer is.
"""

from collections.abc import Callable
from functools import partial

from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import KeyState, StoreRequest, StoreResult, SwapKey, Swapped
from yaoki.sim.chance import Chance
from yaoki.sim.timeline import MILLISECOND, Timeline

WAY_US = (300, 3 * MILLISECOND)
"""To the store or back, its disk included."""

OnAnswer = Callable[[StoreResult], None]
OnSeen = Callable[[str, KeyState], None]


class LeaseStore:
    """One store for the whole world."""

    def __init__(self, timeline: Timeline, chance: Chance) -> None:
        self._memory = MemoryStore()
        self._timeline = timeline
        self._chance = chance
        self._outages = 0
        self._cuts: dict[str, int] = {}
        self._slowness: dict[str, list[int]] = {}
        self._watching: dict[str, tuple[tuple[str, ...], OnSeen]] = {}
        self._last_news: dict[str, int] = {}
        self._late_until: dict[str, int] = {}
        self._written_late: dict[str, int] = {}

    def reached(self, node: str) -> bool:
        """Whether a request of this node would be answered in time, and news of the store reach it so."""
        return self._passes(node) and not self._slowness.get(node) and self.late_until(node) <= self._timeline.now

    def late_until(self, node: str) -> int:
        """When the last of what was slow on its way to a node has arrived, or will: later news arrive after it."""
        return self._late_until.get(node, 0)

    def written_late(self, key: str) -> int:
        """When the store last took a write of a key that had been slow on its way."""
        return self._written_late.get(key, 0)

    # --- what a node does

    def ask(self, node: str, request: StoreRequest, answered: OnAnswer) -> None:
        """Carry out a request; the answer may never come."""
        way = self._way(node)
        self._timeline.after(way, partial(self._arrive, node, request, answered, late=way > WAY_US[1]))

    def watch(self, node: str, keys: tuple[str, ...], seen: OnSeen) -> None:
        """Tell this node of writes of these keys, beginning with what they are."""
        self._watching[node] = keys, seen
        self._catch_up(node)

    def forget(self, node: str) -> None:
        """The node's process is gone."""
        self._watching.pop(node, None)

    # --- faults

    def cut(self, node: str | None) -> None:
        """A node (None: everybody) does not reach it, until as many mendings."""
        if node is None:
            self._outages += 1
        else:
            self._cuts[node] = self._cuts.get(node, 0) + 1

    def mend(self, node: str | None) -> None:
        """Take one cut back."""
        if node is None:
            self._outages -= 1
        else:
            self._cuts[node] -= 1
        for watching in list(self._watching) if node is None else [node]:
            self._catch_up(watching)

    def slow(self, node: str, us: int) -> None:
        """The way between a node and the store takes up to so much longer."""
        self._slowness.setdefault(node, []).append(us)

    def quicken(self, node: str, us: int) -> None:
        """Take one slowness back."""
        self._slowness[node].remove(us)

    # --- inside

    def _passes(self, node: str) -> bool:
        return not self._outages and not self._cuts.get(node, 0)

    def _way(self, node: str) -> int:
        slowest = max(self._slowness.get(node, ()), default=0)
        return self._chance.between(*WAY_US) + (self._chance.between(0, slowest) if slowest else 0)

    def _arrive(self, node: str, request: StoreRequest, answered: OnAnswer, *, late: bool) -> None:
        if not self._passes(node):
            return
        result = self._memory.carry_out(request)
        if isinstance(request, SwapKey) and isinstance(result, Swapped):
            if late:
                self._written_late[request.key] = self._timeline.now
            for watching in list(self._watching):
                self._tell(watching, request.key)
        self._timeline.after(self._way(node), partial(self._return, node, result, answered))

    def _return(self, node: str, result: StoreResult, answered: OnAnswer) -> None:
        if self._passes(node):
            answered(result)

    def _catch_up(self, node: str) -> None:
        if node in self._watching:
            for key in self._watching[node][0]:
                self._tell(node, key)

    def _tell(self, node: str, key: str) -> None:
        """News of one write; one that overtakes another is of no use."""
        if not self._passes(node) or key not in self._watching[node][0]:
            return
        at = max(self._timeline.now + self._way(node), self._last_news.get(node, 0))
        self._last_news[node] = at
        if at - self._timeline.now > WAY_US[1]:
            self._late_until[node] = at
        self._timeline.at(at, partial(self._deliver, node, key, self._memory.state(key), self._watching[node]))

    def _deliver(self, node: str, key: str, state: KeyState, watching: tuple[tuple[str, ...], OnSeen]) -> None:
        if self._passes(node) and self._watching.get(node) is watching:
            watching[1](key, state)
