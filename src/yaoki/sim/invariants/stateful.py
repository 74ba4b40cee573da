"""The invariant of stateful VIPs."""

from yaoki.core.event import Event
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.topology import Virtual
from yaoki.vrrp.events import Admitted, Quarantined, QuarantineLifted
from yaoki.vrrp.params import Quarantine


class QuarantineKept(Invariant):
    """See `holds`. That a node begins anew is seen from outside: a speaker starts, and the kernel holds no address from
    before. What it says counts only besides: that it was released, or is in quarantine for another reason."""

    name = "quarantine kept"
    holds = "a node that begins anew, or says that it is in quarantine, answers for no stateful VIP before its release"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._released: set[tuple[Virtual, str]] = set()
        self._last: dict[str, int] = {}

    def started(self, process: str, /) -> None:
        node, _, part = process.partition("/")
        if part != "speaker":
            return
        kernel = self.ledger.world.nodes[node].kernel
        for virtual in self.ledger.world.topology.virtuals:
            for member, params in virtual.members:
                held = any(kernel.holds(params.key.interface, each) for each in params.addresses)
                if member == node and not held:
                    self._released.discard((virtual, node))

    def published(self, node: str, event: Event, /) -> None:
        # What passes through the main process is published there once more.
        if event.id.number <= self._last.get(event.id.source, 0):
            return
        self._last[event.id.source] = event.id.number
        match event.body:
            case Quarantined(router=key):
                self._released.discard((self.ledger.virtual(node, key), node))
            case Admitted(router=key):
                self._released.add((self.ledger.virtual(node, key), node))
            case QuarantineLifted(router=key):
                virtual = self.ledger.virtual(node, key)
                if virtual.params(node).quarantine is not Quarantine.LAST:
                    self.broken(f"{node} has released itself from the quarantine of {virtual}")
                self._released.add((virtual, node))
            case _:
                pass

    def owners_changed(self, virtual: Virtual, /) -> None:
        for node in self.ledger.holders[virtual]:
            if virtual.params(node).quarantines and (virtual, node) not in self._released:
                self.broken(f"{node} has returned, was not released, and answers for {virtual}")
