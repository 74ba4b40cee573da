"""The invariant of flows that are copied."""

from datetime import timedelta

from yaoki.lb.flow import CopiedService
from yaoki.node.flow_wish import TABLES_WITHIN
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import MILLISECOND

_WAIT_US = TABLES_WITHIN // timedelta(microseconds=1) - 50 * MILLISECOND
"""Less what clocks may differ by."""


class CopiesFindPlaces(Invariant):
    """See `holds`. What a peer tells is asked for once, when a copier is first told of its services."""

    name = "copies find places"
    holds = (
        "a flow copier is told of services with direct return when the node's tables have them, unless the main "
        "process has waited for that long enough"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._began: dict[str, int] = {}

    def started(self, process: str, /) -> None:
        node, _, part = process.partition("/")
        if part == "brain":
            self._began[node] = self.ledger.now

    def copier_told(self, node: str, services: tuple[CopiedService, ...], /) -> None:
        if self.ledger.now - self._began[node] >= _WAIT_US:
            return
        placed = {service.key for service in self.ledger.world.nodes[node].kernel.table.services}
        for service in services:
            if service.direct is not None and service.key not in placed:
                self.broken(f"the copier of {node} is told of {service.key}, which the tables there have no place for")
