"""Invariants of sync groups."""

from functools import cached_property

from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.topology import Virtual


class GroupTogether(Invariant):
    """See `holds`."""

    name = "group together"
    holds = "once settled, one node owns every VIP of a sync group, if any node may own them all"

    def settled(self) -> None:
        for group, virtuals in self._groups.items():
            nodes = [node for node, _ in virtuals[0].members if self._may_own_all(node, virtuals)]
            holders = {virtual: self.ledger.holders[virtual] for virtual in virtuals}
            if nodes and (len(set(holders.values())) != 1 or len(holders[virtuals[0]]) != 1):
                held = ", ".join(f"{virtual} by {' and '.join(by) or 'nobody'}" for virtual, by in holders.items())
                self.broken(f"of the sync group {group} is held: {held}; {nodes[0]} could own it all")

    def _may_own_all(self, node: str, virtuals: list[Virtual]) -> bool:
        return all(self.ledger.fit_since(virtual, node) is not None for virtual in virtuals)

    @cached_property
    def _groups(self) -> dict[str, list[Virtual]]:
        found: dict[str, list[Virtual]] = {}
        for virtual in self.ledger.world.topology.virtuals:
            if virtual.group is not None:
                found.setdefault(virtual.group, []).append(virtual)
        return found
