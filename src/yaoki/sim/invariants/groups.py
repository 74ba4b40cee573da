"""Invariants of sync groups."""

from functools import cached_property

from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.topology import Virtual
from yaoki.vrrp.events import Reason

_HELD_OUT = {each.value for each in (Reason.HELD_OUT, Reason.HINDERED, Reason.KEPT)}


class GroupTogether(Invariant):
    """See `holds`."""

    name = "group together"
    holds = (
        "once settled, one node owns every VIP of a sync group, if any node may own them all, or owns a part and is "
        "kept from the rest by manual failback alone"
    )

    def settled(self) -> None:
        for group, virtuals in self._groups.items():
            nodes = [node for node, _ in virtuals[0].members if self._may_own_all(node, virtuals)]
            holders = {virtual: self.ledger.holders[virtual] for virtual in virtuals}
            if nodes and (len(set(holders.values())) != 1 or len(holders[virtuals[0]]) != 1):
                held = ", ".join(f"{virtual} by {' and '.join(by) or 'nobody'}" for virtual, by in holders.items())
                self.broken(f"of the sync group {group} is held: {held}; {nodes[0]} could own it all")

    def _may_own_all(self, node: str, virtuals: list[Virtual]) -> bool:
        if all(self.ledger.fit_since(virtual, node) is not None for virtual in virtuals):
            return True
        found = [status for virtual in virtuals if (status := self.ledger.status(virtual, node)) is not None]
        part = any(node in self.ledger.holders[virtual] for virtual in virtuals)
        # A check bars in the words of a group that is held out.
        checked = any(track.weight is None for track in self.ledger.plan(node).tracks)
        return part and not checked and len(found) == len(virtuals) and {each.reason for each in found} <= _HELD_OUT

    @cached_property
    def _groups(self) -> dict[str, list[Virtual]]:
        found: dict[str, list[Virtual]] = {}
        for virtual in self.ledger.world.topology.virtuals:
            if virtual.group is not None:
                found.setdefault(virtual.group, []).append(virtual)
        return found
