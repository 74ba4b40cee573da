"""Invariants of how the assemblies behave, whatever they decide."""

from yaoki.core.event import Event, EventId
from yaoki.sim.faults import Part
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import BURST, SECOND
from yaoki.sim.topology import Virtual

MAX_EFFECTS_OF_ONE_INPUT = 64
"""For each virtual router, check and service of a node; configuring everything is the largest input."""
MAX_HAPPENINGS_PER_SECOND = 2_000
"""For each virtual router, check and service of a node: one hundred advertisements or probes, with all that they cause,
on several nodes."""
EVENTS_REMEMBERED = 50_000
"""To be compared with those that are published once more; of older ones is known that they were."""


class NoStorm(Invariant):
    """See `holds`."""

    name = "no storm"
    holds = "no input has more effects, and no second more happenings, than the size of the site explains"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        plans = ledger.world.topology.plans
        self._size = max(1, *(len(plan.routers) + len(plan.checks) + len(plan.services) for plan in plans))

    def effects_wanted(self, process: str, count: int, /) -> None:
        if count > MAX_EFFECTS_OF_ONE_INPUT * self._size:
            self.broken(f"{process} wants {count} things at once")

    def burst(self, took_us: int, /) -> None:
        if MAX_HAPPENINGS_PER_SECOND * self._size * took_us < BURST * SECOND:
            self.broken(f"{BURST} things have happened within {took_us} us")


class CausesExist(Invariant):
    """See `holds`."""

    name = "causes exist"
    holds = "an event's cause is an event made before it; a source numbers its events without gaps, and none twice"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._known: dict[EventId, Event] = {}
        self._last: dict[str, int] = {}
        self._forgotten = False

    def published(self, node: str, event: Event, /) -> None:
        before = self._known.get(event.id)
        if before is not None:
            # What passes through the main process is published there once more.
            if before != event:
                self.broken(f"{event.id} on {node} names two events: {before} and {event}")
            return
        source, number = event.id.source, event.id.number
        if self._forgotten and self._made(event.id):
            return  # it may be one of those
        if number != self._last.get(source, 0) + 1:
            self.broken(f"{event.id} on {node} follows number {self._last.get(source, 0)}")
        if event.because is not None and not self._made(event.because):
            self.broken(f"{event.id} on {node} names {event.because} as its cause, which nobody has made")
        self._last[source] = number
        self._known[event.id] = event
        if len(self._known) > EVENTS_REMEMBERED:
            del self._known[next(iter(self._known))]
            self._forgotten = True

    def _made(self, event: EventId) -> bool:
        """Whether a source has made an event: its numbers have no gaps."""
        return 1 <= event.number <= self._last.get(event.source, 0)


class StopReleases(Invariant):
    """See `holds`."""

    name = "stop releases"
    holds = "a node that an operator stops, and whose processes work meanwhile, holds no VIP once they have ended"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._working: dict[str, bool] = {}
        self._stops: dict[str, int] = {}

    def stopping(self, node: str, /) -> None:
        here = self.ledger.world.nodes[node]
        # Of two that overlap the second is cut short by the end of the first.
        self._working[node] = here.releases_on_stop() and not self._stops.get(node)
        self._stops[node] = self._stops.get(node, 0) + 1

    def looked_at(self, virtual: Virtual, /) -> None:
        """Leaving takes a while, in which the node may be disturbed."""
        for node, _ in virtual.members:
            if node in self._working and self._disturbed(node):
                self._working[node] = False

    def _disturbed(self, node: str) -> bool:
        here = self.ledger.world.nodes[node]
        ended = here.speaker.process.machine is None and not here.processes.killed(Part.SPEAKER)
        return not (here.powered and (ended or here.releases_on_stop()))

    def stopped(self, node: str, /) -> None:
        here = self.ledger.world.nodes[node]
        held = [address for interface in here.kernel.interfaces for address in here.kernel.found(interface).held or ()]
        self._stops[node] -= 1
        if self._working.pop(node, False) and held:
            self.broken(f"{node} was stopped and holds {', '.join(map(str, held))}")
