"""What the speaker knows of its peers from their heartbeats: who is alive on which path, and what each said last.

A path is silent when three of the peer's intervals and a little have passed without a heartbeat; a peer is silent when
all its paths are. What a silent peer said last is known no more.

Invariants: the table has the peers and paths of the configuration and nothing else; a heartbeat older than the newest
(on a slower path, or of an earlier life) changes no word; nothing here elects: it answers questions.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from yaoki.core.address import Family, IPAddress
from yaoki.core.event import EventBody
from yaoki.core.instant import Deadline, Instant
from yaoki.node.messages import PathStatus, PeerStatus
from yaoki.node.speaker_events import (
    GenerationAgrees,
    GenerationDiffers,
    NodeNotReplaced,
    NodeReplaced,
    PeerHeard,
    PeerOwnsNoMore,
    PeerPathHeard,
    PeerPathSilent,
    PeerRestarted,
    PeerSilent,
)
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord
from yaoki.vrrp.peer_params import NO_PEERS, HeartbeatParams, PeerParams, PeerPath

LOST_HEARTBEATS = 3
"""As many may be lost as advertisements (RFC 9568 6.1)."""
SLACK = timedelta(milliseconds=20)
"""How late a heartbeat may come for the scheduling of both nodes."""
GENERATION_GRACE = timedelta(seconds=10)
"""Nodes are given a new site file one after another: so long their generations may differ without a word."""

WireAddress = tuple[str, IPAddress]


@dataclass(slots=True)
class _Path:
    params: PeerPath
    heard: Instant | None = None
    silent_at: Instant | None = None

    @property
    def alive(self) -> bool:
        return self.silent_at is not None


@dataclass(slots=True)
class _Peer:
    """`words` are the newest of each router, with the sequence of the heartbeat that brought it.
    `replaces_us`: by its configuration another node has taken our place."""

    params: PeerParams
    shared: frozenset[RouterKeyOnWire]
    paths: list[_Path]
    since: Instant
    boot: int | None = None
    former_boot: int | None = None
    generation: str | None = None
    sequence: int = -1
    differs_told_at: Instant | None = None
    differs_told: bool = False
    replaces_us: bool = False
    words: dict[RouterKeyOnWire, tuple[int, RouterWord]] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return any(path.alive for path in self.paths)

    def word(self, key: RouterKeyOnWire) -> RouterWord | None:
        found = self.words.get(key)
        return found[1] if found is not None and self.alive else None


class SpeakerPeers:
    """The table. What changes in it is answered as event bodies."""

    def __init__(self) -> None:
        self.params = NO_PEERS
        self._peers: dict[str, _Peer] = {}
        self._by_address: dict[WireAddress, tuple[_Peer, _Path]] = {}
        self._owner_generations: dict[RouterKeyOnWire, str] = {}
        # Worked out anew only when something has changed.
        self._deadline: Deadline | None = None
        self._changed = True

    def configure(self, now: Instant, params: HeartbeatParams) -> list[EventBody]:
        """Take other peers, or other paths to them; what is known of those that stay is kept."""
        self._changed = True
        if params.generation != self.params.generation:
            # What was said of us was said of another file; who still says it will say it again.
            for peer in self._peers.values():
                peer.replaces_us = False
        before, self._peers, self._by_address, self.params = self._peers, {}, {}, params
        events: list[EventBody] = []
        for wanted in params.peers:
            known = before.get(wanted.node)
            kept = {} if known is None else {path.params: path for path in known.paths}
            paths = [kept.get(path) or _Path(path) for path in wanted.paths]
            shared = frozenset(RouterKeyOnWire.of(vip, family) for vip in wanted.vips for family in Family)
            peer = known or _Peer(wanted, shared, paths, now)
            peer.params, peer.shared, peer.paths = wanted, shared, paths
            self._peers[wanted.node] = peer
            for path in paths:
                self._by_address[path.params.interface, path.params.peer] = peer, path
            events += self._compare(now, peer)
        shared_by_any = frozenset(key for peer in self._peers.values() for key in peer.shared)
        for key in [key for key in self._owner_generations if key not in shared_by_any]:
            del self._owner_generations[key]
        return events

    # --- what is heard

    def expected(self, interface: str, source: IPAddress) -> str | None:
        """The peer that is to be heard from there."""
        found = self._by_address.get((interface, source))
        return None if found is None else found[0].params.node

    def heard(self, now: Instant, interface: str, source: IPAddress, beat: Heartbeat, at: Instant) -> list[EventBody]:
        """A heartbeat of the peer that is `expected` there, received `at`."""
        peer, path = self._by_address[interface, source]
        if beat.boot == peer.former_boot:
            return []
        self._changed = True
        events: list[EventBody] = []
        was_alive, path_was_alive = peer.alive, path.alive
        if path.heard is None or path.heard < at:
            path.heard = at
            path.silent_at = at + LOST_HEARTBEATS * beat.interval + SLACK
        if not was_alive:
            peer.since = now
            events.append(PeerHeard(peer.params.node, interface))
        elif not path_was_alive:
            events.append(PeerPathHeard(peer.params.node, interface))
        if beat.boot != peer.boot:
            if peer.boot is not None and was_alive:
                events.append(PeerRestarted(peer.params.node))
            peer.former_boot, peer.boot, peer.sequence = peer.boot, beat.boot, -1
            peer.words.clear()
        for word in beat.routers:
            newest = peer.words.get(word.key)
            if word.key in peer.shared and (newest is None or newest[0] < beat.sequence):
                if newest is not None and newest[1].role is Role.ACTIVE and word.role is Role.INITIALIZE:
                    events += self._owns_no_more(peer, word.key)
                peer.words[word.key] = beat.sequence, word
                if word.role is Role.ACTIVE:
                    self._owner_generations[word.key] = beat.generation
        if beat.sequence > peer.sequence:
            peer.sequence = beat.sequence
            peer.generation = beat.generation
            events += self._compare(now, peer)
            events += self._learn_of_us(peer, replaced=beat.replaced)
        return events

    def pass_time(self, now: Instant) -> list[EventBody]:
        """Who has fallen silent, and whose generation has differed for too long."""
        first = self.deadline()
        if first is None or first.at > now:
            return []
        self._changed = True
        events: list[EventBody] = []
        for peer in self._peers.values():
            was_alive = peer.alive
            silent = [path for path in peer.paths if path.silent_at is not None and path.silent_at <= now]
            for path in silent:
                path.silent_at = None
            if was_alive and not peer.alive:
                peer.since = now
                peer.words.clear()
                peer.differs_told_at = None
                events.append(PeerSilent(peer.params.node, tuple(path.params.interface for path in silent)))
            else:
                events += [PeerPathSilent(peer.params.node, path.params.interface) for path in silent]
            if peer.differs_told_at is not None and peer.differs_told_at <= now and peer.generation is not None:
                peer.differs_told_at, peer.differs_told = None, True
                events.append(GenerationDiffers(peer.params.node, peer.generation, self.params.generation))
        return events

    def deadline(self) -> Deadline | None:
        """When time alone changes something."""
        if self._changed:
            self._changed, self._deadline = False, self._first()
        return self._deadline

    def _first(self) -> Deadline | None:
        at = [path.silent_at for peer in self._peers.values() for path in peer.paths if path.silent_at is not None]
        at += [peer.differs_told_at for peer in self._peers.values() if peer.differs_told_at is not None]
        return Deadline(min(at), "peer's silence") if at else None

    def _owns_no_more(self, peer: _Peer, key: RouterKeyOnWire) -> list[EventBody]:
        vips = [vip for vip in peer.params.vips if RouterKeyOnWire.of(vip, key.family) == key]
        return [PeerOwnsNoMore(peer.params.node, vip, key.family) for vip in vips]

    def _compare(self, now: Instant, peer: _Peer) -> list[EventBody]:
        if peer.generation is None or peer.generation == self.params.generation:
            told, peer.differs_told, peer.differs_told_at = peer.differs_told, False, None
            return [GenerationAgrees(peer.params.node, self.params.generation)] if told else []
        if peer.differs_told_at is None and not peer.differs_told:
            peer.differs_told_at = now + GENERATION_GRACE
        return []

    def _learn_of_us(self, peer: _Peer, *, replaced: bool) -> list[EventBody]:
        """What a peer says of us stays said while it is silent: who was replaced is so whoever else has died."""
        before, peer.replaces_us = self.replaced, replaced
        if self.replaced == before:
            return []
        if not replaced:
            return [NodeNotReplaced()]
        return [NodeReplaced(peer.params.node, peer.generation or "", self.params.generation)]

    # --- what is asked

    @property
    def replaced(self) -> bool:
        """Whether any peer has said, of the configuration that is in force here, that another node has our place."""
        return any(peer.replaces_us for peer in self._peers.values())

    def members(self, vip: str) -> tuple[str, ...]:
        """The other nodes that may own a VIP."""
        return tuple(name for name, peer in self._peers.items() if vip in peer.params.vips)

    def alive(self, node: str) -> bool:
        """Whether a peer is heard on any path."""
        peer = self._peers.get(node)
        return peer is not None and peer.alive

    def any_alive(self, vip: str) -> bool:
        """Whether a peer that may own this VIP is heard on any path."""
        return any(peer.alive for peer in self._sharing(vip))

    def word(self, node: str, vip: str, family: Family) -> RouterWord | None:
        """What a peer that is heard says of itself in a virtual router."""
        peer = self._peers.get(node)
        return None if peer is None else peer.word(RouterKeyOnWire.of(vip, family))

    def best_other(self, vip: str, family: Family) -> int | None:
        """The greatest effective priority among the other members that are heard; 0 if none of them can own now, None
        if none is heard."""
        words = self._words(vip, family)
        return max((word.priority for word in words if word is not None), default=None)

    def owner_heard(self, vip: str, family: Family) -> bool:
        """Whether a peer says that it holds the addresses."""
        words = self._words(vip, family)
        return any(word is not None and word.role in (Role.ACTIVE, Role.LEAVING) for word in words)

    def owner_answers(self, vip: str, family: Family) -> bool:
        """Whether a peer says that it holds the addresses, and not that it yields them."""
        words = self._words(vip, family)
        return any(w is not None and w.role in (Role.ACTIVE, Role.LEAVING) and not w.yields for w in words)

    def out_of_step(self, vip: str, family: Family) -> bool:
        """Whether the owner of a virtual router runs another generation than this node; of one that is silent, what it
        ran when it was heard last."""
        owners = self._owner_generations.get(RouterKeyOnWire.of(vip, family))
        return owners is not None and owners != self.params.generation

    def next_in_line(self, vip: str, family: Family, priority: int) -> bool:
        """Whether nobody would take over before us if the present owner left: we are the only other member, or every
        other one is heard and is the owner, or has a lower effective priority than this `priority` of ours."""
        words = self._words(vip, family)
        return len(words) == 1 or all(
            word is not None and (word.role in (Role.ACTIVE, Role.LEAVING) or word.priority < priority)
            for word in words
        )

    def statuses(self) -> list[PeerStatus]:
        """Every peer as it is known."""
        return [
            PeerStatus(
                peer.params.node,
                peer.alive,
                peer.since,
                tuple(PathStatus(p.params.interface, p.params.peer, p.alive, p.heard) for p in peer.paths),
                peer.generation,
            )
            for peer in self._peers.values()
        ]

    def _sharing(self, vip: str) -> list[_Peer]:
        return [peer for peer in self._peers.values() if vip in peer.params.vips]

    def _words(self, vip: str, family: Family) -> list[RouterWord | None]:
        key = RouterKeyOnWire.of(vip, family)
        return [peer.word(key) for peer in self._sharing(vip)]
