"""Invariants of how the assemblies behave, whatever they decide."""

from collections.abc import Sequence

from yaoki.core.event import Event, EventId
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import SECOND

MAX_EFFECTS_OF_ONE_INPUT = 64
"""For each virtual router and check of the site; a configuration of everything is the largest input."""
MAX_WORK_PER_SECOND = 400
"""Inputs handled and effects wanted, for each virtual router and check, at one hundred advertisements a second."""
EVENTS_REMEMBERED = 50_000


class NoStorm(Invariant):
    """See `holds`."""

    name = "no storm"
    holds = "no input has more effects, and no second more inputs and effects, than the size of the site explains"
    busy = True

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        plans = ledger.world.topology.plans
        size = max(1, *(len(plan.routers) + len(plan.checks) + len(plan.services) for plan in plans))
        self._most_effects = MAX_EFFECTS_OF_ONE_INPUT * size
        self._most_work = MAX_WORK_PER_SECOND * size
        self._work: dict[str, int] = {}
        self._window: dict[str, int] = {}

    def handled(self, process: str, now: int, effects: Sequence[object], /) -> None:
        work = self._work[process] = self._work.get(process, 0) + 1 + len(effects)
        if work > self._most_work or len(effects) > self._most_effects:
            self._weigh(process, now, len(effects))

    def _weigh(self, process: str, now: int, effects: int) -> None:
        if effects > self._most_effects:
            self.broken(f"{process} wants {effects} things at once")
        if now - self._window.get(process, -SECOND) < SECOND:
            self.broken(f"{process} handled more than {self._most_work} inputs and effects within a second")
        self._window[process], self._work[process] = now, 0


class CausesExist(Invariant):
    """See `holds`."""

    name = "causes exist"
    holds = "an event's cause is an event made before it; a source numbers its events without gaps, and none twice"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._known: dict[EventId, Event] = {}
        self._last: dict[str, int] = {}

    def published(self, node: str, event: Event, /) -> None:
        before = self._known.get(event.id)
        if before is not None:
            # What passes through the main process is published there once more.
            if before != event:
                self.broken(f"{event.id} on {node} names two events: {before} and {event}")
            return
        source, number = event.id.source, event.id.number
        if number != self._last.get(source, 0) + 1:
            self.broken(f"{event.id} on {node} follows number {self._last.get(source, 0)}")
        if event.because is not None and event.because not in self._known:
            self.broken(f"{event.id} on {node} names {event.because} as its cause, which nobody has made")
        self._last[source] = number
        self._known[event.id] = event
        if len(self._known) > EVENTS_REMEMBERED:
            del self._known[next(iter(self._known))]


class StopReleases(Invariant):
    """See `holds`."""

    name = "stop releases"
    holds = "a node that an operator stops while its processes work holds no VIP once they have ended"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._working: dict[str, bool] = {}

    def stopping(self, node: str, /) -> None:
        here = self.ledger.world.nodes[node]
        self._working[node] = here.releases_on_stop()

    def stopped(self, node: str, /) -> None:
        here = self.ledger.world.nodes[node]
        held = [address for interface in here.kernel.interfaces for address in here.kernel.found(interface).held or ()]
        if held and self._working[node]:
            self.broken(f"{node} was stopped and holds {', '.join(map(str, held))}")
