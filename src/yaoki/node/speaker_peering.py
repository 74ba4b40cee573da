"""The speaker's heartbeats: those it sends to its peers, and what it makes of theirs.

A heartbeat goes to every peer on every path at the interval, and at once when a router's state or priority has changed.

Invariants: sequences grow; each peer is told of the routers that it shares and of no others, and one that was
replaced of that; at most one event for each
interface and reason of rejection in REJECTION_QUIET.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import assert_never

from yaoki.core.event import EventBody
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.node.messages import HeartbeatArrived, PeerStatus, SendHeartbeat
from yaoki.node.speaker_events import HeartbeatRejected
from yaoki.node.speaker_peers import SpeakerPeers
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.heartbeat import MAX_ROUTERS, Heartbeat, HeartbeatFlaw, Role, RouterKeyOnWire, RouterWord, decode
from yaoki.vrrp.leased_router import LeasedRouter
from yaoki.vrrp.leased_state import Bidding, Standby
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams
from yaoki.vrrp.router_state import Active, Backup, Initialize, Leaving, Yielding
from yaoki.vrrp.virtual_router import VirtualRouter

REJECTION_QUIET = timedelta(seconds=10)


class SpeakerPeering:
    """`boot` tells this life of the speaker from its others. `peers` is the table of what is known."""

    def __init__(self, boot: int) -> None:
        self.peers = SpeakerPeers()
        self._boot = boot
        self._sequence = 0
        self._beat: Deadline | None = None
        self._rejected: dict[tuple[str, HeartbeatFlaw], tuple[int, Instant]] = {}

    def configure(self, now: Instant, params: HeartbeatParams) -> list[EventBody]:
        """Take other peers; they are sent to at once."""
        self._beat = Deadline(now, "heartbeat") if params.peers else None
        return self.peers.configure(now, params)

    def send(self, now: Instant, routers: Iterable[VirtualRouter | LeasedRouter]) -> list[SendHeartbeat]:
        """A heartbeat to every peer, telling of these routers."""
        params = self.peers.params
        if not params.peers:
            return []
        self._beat = Deadline(now + params.interval, "heartbeat")
        words = _words(routers)
        return [sent for peer in params.peers for sent in self._to(peer, words)]

    def _to(self, peer: PeerParams, words: dict[str, list[RouterWord]]) -> list[SendHeartbeat]:
        shared = [word for vip in peer.vips for word in words.get(vip, ())]
        sends = []
        for start in range(0, max(len(shared), 1), MAX_ROUTERS):
            self._sequence += 1
            params = self.peers.params
            payload = Heartbeat(
                params.node,
                params.generation,
                self._boot,
                self._sequence,
                params.interval,
                tuple(shared[start : start + MAX_ROUTERS]),
                peer.replaced,
            ).encode()
            sends += [SendHeartbeat(path.interface, path.own, path.peer, payload) for path in peer.paths]
        return sends

    def hear(self, now: Instant, arrived: HeartbeatArrived) -> list[EventBody]:
        """What a datagram changes; one that is no heartbeat of a peer is told, and changes nothing."""
        if arrived.flaw is not None:
            return self._reject(now, arrived, arrived.flaw)
        beat = decode(arrived.payload, hop_limit=arrived.hop_limit)
        if isinstance(beat, Malformed):
            return self._reject(now, arrived, beat.reason)
        if beat.node != self.peers.expected(arrived.interface, arrived.source):
            return self._reject(now, arrived, HeartbeatFlaw.WRONG_NODE)
        received = arrived.received if arrived.received <= now else now
        return self.peers.heard(now, arrived.interface, arrived.source, beat, received)

    def due(self, now: Instant) -> bool:
        """Whether a heartbeat is to be sent."""
        return self._beat is not None and self._beat.at <= now

    def deadline(self) -> Deadline | None:
        """The next heartbeat, or the end of the patience with a peer."""
        return earliest(self._beat, self.peers.deadline())

    def statuses(self) -> list[PeerStatus]:
        """What readers are told of the peers."""
        return self.peers.statuses()

    def _reject(self, now: Instant, arrived: HeartbeatArrived, reason: HeartbeatFlaw) -> list[EventBody]:
        count, said_at = self._rejected.get((arrived.interface, reason), (0, None))
        count += 1
        news: list[EventBody] = []
        if said_at is None or now - said_at >= REJECTION_QUIET:
            said_at = now
            news.append(HeartbeatRejected(arrived.interface, arrived.source, reason, count))
        self._rejected[arrived.interface, reason] = count, said_at
        return news


def _words(routers: Iterable[VirtualRouter | LeasedRouter]) -> dict[str, list[RouterWord]]:
    words: dict[str, list[RouterWord]] = {}
    for machine in routers:
        params = machine.params
        role, priority = _standing(machine)
        key = RouterKeyOnWire.of(params.vip, params.key.family)
        words.setdefault(params.vip, []).append(RouterWord(key, role, priority, isinstance(machine.state, Yielding)))
    return words


def _standing(machine: VirtualRouter | LeasedRouter) -> tuple[Role, int]:
    """The role of a router, and the priority with which it could own now."""
    match machine.state:
        case Initialize():
            return Role.INITIALIZE, 0
        case Backup(held_out=held_out) | Standby(held_out=held_out):
            return Role.BACKUP, 0 if held_out or machine.params.barred else machine.params.priority
        case Bidding():
            return Role.BACKUP, machine.params.priority
        case Active():
            return Role.ACTIVE, 0 if machine.params.barred else machine.params.priority
        case Leaving(stays=False) | Yielding(then=Initialize()):
            return Role.LEAVING, 0
        case Leaving() | Yielding():
            return Role.LEAVING, machine.params.priority
        case _:
            assert_never(machine.state)
