"""The invariant of nodes that another one has taken the place of."""

from yaoki.core.event import Event
from yaoki.node.speaker_events import NodeNotReplaced, NodeReplaced
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.succession import robbed
from yaoki.sim.ledger import Ledger
from yaoki.sim.topology import Virtual


class ReplacedOwnsNothing(Invariant):
    """See `holds`. Who was replaced is read from the others' plans; that it knows is what it says itself."""

    name = "replaced owns nothing"
    holds = "a node that was replaced takes nothing once its speaker was told so, and owns nothing when all has settled"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._replaced = ledger.world.topology.replaced
        self._told: set[str] = set()
        self._held: set[tuple[Virtual, str]] = set()
        self._last: dict[str, int] = {}

    def started(self, process: str, /) -> None:
        node, _, part = process.partition("/")
        if part == "speaker":
            self._told.discard(node)

    def published(self, node: str, event: Event, /) -> None:
        # What passes through the main process is published there once more.
        if event.id.number <= self._last.get(event.id.source, 0):
            return
        self._last[event.id.source] = event.id.number
        if isinstance(event.body, NodeReplaced):
            self._told.add(node)
            if node not in self._replaced:
                self.broken(f"{node} says that it was replaced, and was not")
            # What it has just taken it may come to answer for, as with fresh IPv6 addresses, before it is relieved.
            self._held.update((virtual, node) for virtual in self.ledger.holders if self._holds(virtual, node))
        elif isinstance(event.body, NodeNotReplaced):
            self._told.discard(node)

    def owners_changed(self, virtual: Virtual, /) -> None:
        holders = self.ledger.holders[virtual]
        for node in self._replaced:
            if node in holders and node in self._told and (virtual, node) not in self._held:
                self.broken(f"{node} was replaced, was told so, and takes {virtual}")
            if node in holders:
                self._held.add((virtual, node))
            elif not self._holds(virtual, node) and not robbed(self.ledger, virtual, node, within_us=1):
                # While a machine stands still, or is hushed, or an address was deleted there that its speaker puts back
                # at once, it answers nobody, and owns what it owned.
                self._held.discard((virtual, node))

    def _holds(self, virtual: Virtual, node: str) -> bool:
        params, kernel = virtual.params(node), self.ledger.world.nodes[node].kernel
        return any(kernel.holds(params.key.interface, address) for address in params.addresses)

    def settled(self) -> None:
        for virtual, holders in self.ledger.holders.items():
            for node in self._replaced.intersection(holders):
                self.broken(f"{node} was replaced, and answers for {virtual}")
