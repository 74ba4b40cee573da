"""What a flow copier counts, and reports to its Brain."""

from collections import Counter
from collections.abc import Mapping
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.lb.flow_datagram import DatagramFlaw
from yaoki.lb.flow_peer import Asked, Copying, FlowPeer, Following, Silent
from yaoki.node.flow_messages import CopyState, FlowStatus, PeerCopy


class CopyBook:
    """Of one life of the copier. `told`: flows told to the peers; `refused`: copies that the kernel did not take."""

    def __init__(self) -> None:
        self.told = 0
        self.refused = 0
        self._taken: Counter[str] = Counter()
        self._flaws: Counter[tuple[IPAddress, DatagramFlaw]] = Counter()
        self._copied: dict[str, tuple[int, Instant]] = {}
        self._states: dict[str, tuple[CopyState, Instant]] = {}

    def take(self, node: str, flows: int) -> None:
        """So many flows were taken from a peer."""
        self._taken[node] += flows

    def refuse(self, source: IPAddress, flaw: DatagramFlaw) -> int:
        """A datagram from a peer's address was refused; how many for this reason so far."""
        self._flaws[source, flaw] += 1
        return self._flaws[source, flaw]

    def end(self, now: Instant, node: str, before: FlowPeer) -> int:
        """A peer tells no more of what it was asked for; how many flows had come."""
        flows = before.phase.flows if isinstance(before.phase, Copying) else 0
        if not isinstance(before.phase, Asked) or before.heard is not None:
            self._copied[node] = flows, now
        return flows

    def status(self, now: Instant, peers: Mapping[str, FlowPeer]) -> FlowStatus:
        """As it is."""
        for node in self._states.keys() - peers.keys():
            del self._states[node]
            self._copied.pop(node, None)
        return FlowStatus(
            any(peer.catching_up for peer in peers.values()),
            tuple(self._peer(now, node, peer) for node, peer in peers.items()),
            self.told,
            self.refused,
        )

    def _peer(self, now: Instant, node: str, peer: FlowPeer) -> PeerCopy:
        state = _state(peer)
        known, since = self._states.get(node, (None, now))
        if known is not state:
            self._states[node], since = (state, now), now
        copied, copied_at = self._copied.get(node, (None, None))
        return PeerCopy(node, state, since, peer.heard, copied, copied_at, self._taken[node], peer.lost)


def _state(peer: FlowPeer) -> CopyState:
    match peer.phase:
        case Silent():
            return CopyState.SILENT
        case Asked():
            return CopyState.ASKED
        case Copying():
            return CopyState.COPYING
        case Following():
            return CopyState.FOLLOWING
        case _:
            assert_never(peer.phase)
