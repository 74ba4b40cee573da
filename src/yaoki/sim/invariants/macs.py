"""Invariants of virtual MAC addresses."""

from yaoki.core.address import IPInterface
from yaoki.node.messages import SendAdvertisement
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.kernel import TICK_US, Kernel
from yaoki.sim.speaker import NOTIFY_US
from yaoki.vrrp.params import RouterKey

_SHUT_US = 2 * TICK_US
"""An owner that is late may find its gate shut only when it opens it anew, for its next advertisement. Nobody else owns
so soon: a gate shuts within three intervals and the others wait for longer. That of a lease shuts before it ends."""


class VirtualMacOfOwner(Invariant):
    """See `holds`. A switch sends what is for a MAC to where it saw it last, so one frame of another is an outage."""

    name = "virtual mac of owner"
    holds = "only a node that holds a VIP and answers for it advertises from the VIP's virtual MAC"

    def spoke(self, node: str, advertisement: SendAdvertisement, /) -> None:
        key = RouterKey(advertisement.interface, advertisement.family, advertisement.payload[1])
        virtual, kernel = self.ledger.virtual(node, key), self.ledger.world.nodes[node].kernel
        params = virtual.params(node)
        for address in params.addresses:
            if not kernel.holds(key.interface, address) and not self._unknown(kernel, key.interface, address):
                self.broken(f"{node} advertises from {advertisement.mac} and does not hold {address}")
            if kernel.hushes(address.ip) or (params.lease is None and kernel.silences(address.ip, for_us=_SHUT_US)):
                self.broken(f"{node} advertises from {advertisement.mac} and does not answer for {address}")

    def _unknown(self, kernel: Kernel, interface: str, address: IPInterface) -> bool:
        """Whether an address was deleted by hand, and the kernel's word of it may be on its way to the speaker."""
        at = kernel.taken_away_at(interface, address)
        return at is not None and self.ledger.now <= at + NOTIFY_US[1]
