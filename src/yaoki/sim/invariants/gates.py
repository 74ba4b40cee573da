"""Invariants of the dead-man gate."""

from itertools import permutations

from yaoki.node.messages import RouterState
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Virtual
from yaoki.vrrp.events import Reason

CALM_US = 5 * SECOND
"""For so long network and taker must have been undisturbed for a silence to have been one."""


class SilencedFirst(Invariant):
    """See `holds`."""

    name = "silenced first"
    holds = (
        "when a member takes a VIP because its owner is silent, an owner whose speaker is dead or stands still, and "
        "that had heard a peer, has been silenced by its kernel"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._before: dict[Virtual, tuple[str, ...]] = {}

    def owners_changed(self, virtual: Virtual, /) -> None:
        before, holders = self._before.get(virtual, ()), self.ledger.holders[virtual]
        self._before[virtual] = holders
        for still, taker in permutations(holders, 2):
            if taker in before or not self._is_still(still) or not self._was_armed(virtual, still):
                continue
            if self._took_silence(virtual, still, taker):
                self.broken(f"{taker} has taken {virtual} from {still}, which still answers without a speaker")

    def _is_still(self, node: str) -> bool:
        here = self.ledger.world.nodes[node]
        # After a freeze the kernel's time-outs go on where they stood.
        return here.powered and not here.speaking() and here.port_changed_at <= self.ledger.now - CALM_US

    def _was_armed(self, virtual: Virtual, node: str) -> bool:
        kernel = self.ledger.world.nodes[node].kernel
        return all(kernel.is_armed(address.ip) for address in virtual.params(node).addresses)

    def _took_silence(self, virtual: Virtual, still: str, taker: str) -> bool:
        status, fit = self.ledger.status(virtual, taker), self.ledger.fit_since(virtual, taker)
        clean = self.ledger.clean_since(virtual, still, taker)
        calm = self.ledger.now - CALM_US
        if status is None or fit is None or clean is None or fit > calm or clean > calm:
            return False
        return status.state is RouterState.ACTIVE and status.reason == Reason.ACTIVE_SILENT.value


class ArmedWithPeers(Invariant):
    """See `holds`."""

    name = "armed with peers"
    holds = "once settled, an owner's gate is armed if and only if its speaker hears a member that could take over"

    def settled(self) -> None:
        for virtual, holders in self.ledger.holders.items():
            for node in holders:
                here = self.ledger.world.nodes[node]
                if here.speaking():
                    self._check(virtual, node)

    def _check(self, virtual: Virtual, node: str) -> None:
        here = self.ledger.world.nodes[node]
        members = {member for member, _ in virtual.members}
        heard = [peer.node for peer in here.speaker.peers() if peer.alive and peer.node in members]
        for address in virtual.params(node).addresses:
            armed = here.kernel.is_armed(address.ip)
            if armed != bool(heard):
                state = "is armed" if armed else "is not armed"
                self.broken(f"the gate of {node} {state} for {address.ip}, and it hears {heard or 'nobody'}")
