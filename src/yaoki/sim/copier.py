"""The simulated flow copier: no flow is in this world, but the time that it takes to tell them, and to say nothing.

What it decides in truth, when to stop catching up, is bounded by yaoki.lb.flow_peer.BULK_LIMIT; here nobody has flows
for longer than LONGEST_US. A copier may also die without a word, and is waited for then (flow_wish.FIRST_WORD).
"""

from collections.abc import Callable
from functools import partial

from yaoki.core.instant import Instant
from yaoki.node.flow_messages import ConfigureFlows, CopierOrder, CopyState, FlowStatus, PeerCopy
from yaoki.sim.chance import Chance
from yaoki.sim.timeline import MILLISECOND, SECOND

QUICK_US = (1 * MILLISECOND, 600 * MILLISECOND)
LONGEST_US = 3 * SECOND
SLOW_US = (600 * MILLISECOND, LONGEST_US)
SLOW, SAYS_NOTHING = 0.1, 0.05


class Copier:
    """Of one node. `later` does something after so many microseconds, `report` takes a FlowStatus."""

    def __init__(
        self,
        chance: Chance,
        *,
        later: Callable[[int, partial[None]], None],
        report: Callable[[FlowStatus], None],
        now: Callable[[], Instant],
    ) -> None:
        self._chance = chance
        self._later = later
        self._report = report
        self._now = now
        self._told = 0

    def told(self, order: CopierOrder) -> None:
        """The Brain's wish."""
        if not isinstance(order, ConfigureFlows) or not order.peers:
            return
        self._told += 1
        if self._chance.happens(SAYS_NOTHING):
            return
        peers = tuple(peer.node for peer in order.peers)
        self._say(self._told, peers, CopyState.ASKED)
        took = self._chance.between(*(SLOW_US if self._chance.happens(SLOW) else QUICK_US))
        self._later(took, partial(self._say, self._told, peers, CopyState.FOLLOWING))

    def _say(self, told: int, peers: tuple[str, ...], state: CopyState) -> None:
        if told == self._told:
            copies = tuple(PeerCopy(node, state, self._now()) for node in peers)
            self._report(FlowStatus(state is CopyState.ASKED, copies))
