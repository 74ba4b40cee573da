"""Invariants of Accept_Mode."""

from functools import partial

from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.ownership import SLACK_US
from yaoki.sim.topology import Virtual
from yaoki.vrrp.standing import OWNER_PRIORITY


class TakesNothing(Invariant):
    """See `holds`."""

    name = "takes nothing"
    holds = "a node that holds a VIP with accept mode off takes no packets to it for itself, whatever is restarted"

    def owners_changed(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            if self._takes(virtual, node):
                self.ledger.timeline.after(SLACK_US, partial(self._look_again, virtual, node))

    def _look_again(self, virtual: Virtual, node: str) -> None:
        """What one input makes a speaker do is done one after the other."""
        if self._takes(virtual, node):
            self.broken(f"{node} holds {virtual} and takes packets to it")

    def _takes(self, virtual: Virtual, node: str) -> bool:
        here, params = self.ledger.world.nodes[node], virtual.params(node)
        if params.accept or params.priority == OWNER_PRIORITY:
            return False
        held = [a for a in params.addresses if here.kernel.holds(params.key.interface, a)]
        return any(address.ip not in here.kernel.refused for address in held)
