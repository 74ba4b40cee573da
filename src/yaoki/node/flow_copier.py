"""The flow copier's machine: what is told of this node's flows, and what is taken of its peers'.

It tells of flows that packets through this node make or change, of direct return only those that its peers could not
know; and, now and then or when a peer asks, of all such flows of the VIPs that this node owns. What a peer tells is put
into the kernel if it is a flow of a service of ours to a server that may have flows: so a server that this node knows
to be dead gets none back. For a VIP that this node owns only what it lacks is taken, because its own kernel sees the
packets.

A copy is kept for COPY_KEPT without news, so what a peer forgot to end is gone after that; when its VIP comes here, it
is kept as long as a flow of our own, and when the VIP goes, our own as long as a copy.

Invariants: no more than OPENINGS_TOLD and FLOWS_TOLD are told, and FLOWS_TAKEN taken, in a second; no copy is taken
beyond FULL of the kernel's table; a peer that is silent, slow or mad never keeps this node catching up for longer than
flow_peer.BULK_LIMIT.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.event import Emit, EventBody, EventNumbering
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.lb.flow import CopiedService, Flow, Stage
from yaoki.lb.flow_datagram import (
    HOP_LIMIT,
    Ask,
    Coming,
    DatagramFlaw,
    End,
    FlowDatagram,
    Hello,
    Message,
    Told,
    decode,
    encode,
    portions,
)
from yaoki.lb.flow_events import (
    FlowDatagramRefused,
    FlowEventsLost,
    FlowsCaughtUp,
    FlowsNotCaughtUp,
    FlowsNotTaken,
    FlowsNotTold,
    NotTaken,
)
from yaoki.lb.flow_peer import HELLO_EVERY, CaughtUp, FlowPeer, Outcome, ask, hear, is_news, pass_time
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.node.copy_book import CopyBook
from yaoki.node.flow_messages import (
    AddressesHeld,
    ChangeServices,
    ConfigureFlows,
    CopierEffect,
    CopierInput,
    DatagramArrived,
    EventsOverrun,
    FlowsPut,
    FlowsSeen,
    FlowStatus,
    KeepPaths,
    PutFlows,
    ReadTable,
    RepeatFlowStatus,
    SendDatagram,
    TableFilled,
    TableRead,
    WatchFlows,
)
from yaoki.node.flow_reading import AFTER_CHANGE, AFTER_MOVE, AFTER_OVERRUN, FlowReading
from yaoki.node.flow_sources import FlowSources
from yaoki.node.messages import Published
from yaoki.vrrp.peer_params import PeerParams

OPENINGS_TOLD = 5_000
FLOWS_TOLD = 20_000
FLOWS_TAKEN = 30_000
FULL = 0.8
"""Of the kernel's table; the rest is for flows of this node's own."""
COPY_KEPT_S = 120
OTHERS_KEPT_S = 45
"""Copies of flows that are being opened or closed: longer than it takes until all are told anew."""
STATUS_EVERY = timedelta(seconds=2)
TELL_AGAIN = timedelta(seconds=30)
"""A misfortune of one kind is told once in this time."""

_SECOND = timedelta(seconds=1)


class Budget:
    """So many in a second."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._until: Instant | None = None
        self._left = limit

    def take(self, now: Instant, wanted: int) -> int:
        """How many of those wanted may be had now."""
        if self._until is None or now >= self._until:
            self._until, self._left = now + _SECOND, self.limit
        granted = min(wanted, self._left)
        self._left -= granted
        return granted


class FlowCopier:
    """The machine of one flow copier. `source` names it in events ("lb1/flows"), `boot` to the peers; `established_s`
    is how long the kernel keeps an established TCP connection without a packet."""

    def __init__(self, source: str, boot: int, established_s: int) -> None:
        self._numbering = EventNumbering(source)
        self._boot = boot
        self._established_s = established_s
        self._params: dict[str, PeerParams] = {}
        self._peers: dict[str, FlowPeer] = {}
        self._sequences: dict[str, int] = {}
        self._by_place: dict[tuple[str, IPAddress], str] = {}
        self._services: dict[ServiceKey, frozenset[tuple[IPAddress, int]]] = {}
        self._translated: dict[ServiceKey, None] = {}
        self._direct: dict[ServiceKey, CopiedService] = {}
        self._held: frozenset[IPAddress] = frozenset()
        self._gained: frozenset[IPAddress] = frozenset()
        self._reading = FlowReading()
        self._openings, self._telling = Budget(OPENINGS_TOLD), Budget(FLOWS_TOLD)
        self._taking = Budget(FLOWS_TAKEN)
        self._sources = FlowSources()
        self._watched = WatchFlows(())
        self._filled = 0.0
        self._hello_at: Instant | None = None
        self._book = CopyBook()
        self._status_at: Instant | None = None
        self._last_status: FlowStatus | None = None
        self._told_at: dict[object, Instant] = {}

    def deadline(self) -> Deadline | None:
        """See yaoki.core.machine.Machine."""
        at = [self._hello_at, self._status_at, self._reading.deadline(), self._sources.deadline()]
        at += [peer.deadline() for peer in self._peers.values()]
        known = [instant for instant in at if instant is not None]
        return Deadline(min(known), "flow copier") if known else None

    def handle(self, now: Instant, input_: CopierInput) -> list[CopierEffect]:
        """See yaoki.core.machine.Machine."""
        effects = [*self._take(now, input_), *self._due(now)]
        if not self._params:
            self._status_at = None
        status = self.status(now)
        urgent = self._last_status is None or status.catching_up != self._last_status.catching_up
        due = self._status_at is not None and now >= self._status_at
        if isinstance(input_, RepeatFlowStatus) or (self._params and (urgent or due)):
            self._status_at = now + STATUS_EVERY if self._params else None
            if isinstance(input_, RepeatFlowStatus) or status != self._last_status:
                self._last_status = status
                effects.append(status)
        return effects

    def status(self, now: Instant) -> FlowStatus:
        """As it is."""
        return self._book.status(now, self._peers)

    def _take(self, now: Instant, input_: CopierInput) -> list[CopierEffect]:
        match input_:
            case ConfigureFlows():
                return self._configure(now, input_)
            case ChangeServices(services):
                self._serve(now, services)
                self._sources.configure(services, all_=False)
                return self._watch()
            case AddressesHeld(addresses):
                return self._hold(now, addresses)
            case FlowsSeen(flows):
                return self._tell(now, self._ours(flows))
            case EventsOverrun():
                self._reading.want(now + AFTER_OVERRUN)
                return self._once(now, FlowEventsLost(), FlowEventsLost)
            case TableRead():
                return self._read(now, input_)
            case TableFilled(share):
                self._filled = share
                return []
            case FlowsPut(_, refused):
                self._book.refused += refused
                return self._once(now, FlowsNotTaken(NotTaken.KERNEL, refused), NotTaken.KERNEL) if refused else []
            case DatagramArrived():
                return self._arrived(now, input_)
            case RepeatFlowStatus() | TimerFired():
                return []
            case _:
                assert_never(input_)

    # --- the Brain's wish, and what the kernel holds ------------------------------------------------------------------

    def _configure(self, now: Instant, wish: ConfigureFlows) -> list[CopierEffect]:
        paths_before = self._paths()
        for gone in self._services.keys() - {service.key for service in wish.services}:
            for known in (self._services, self._translated, self._direct):
                known.pop(gone, None)
        self._serve(now, wish.services)
        self._sources.configure(wish.services, all_=True)
        self._params = {peer.node: peer for peer in wish.peers}
        self._by_place = {(path.interface, path.peer): peer.node for peer in wish.peers for path in peer.paths}
        for node in [node for node in self._peers if node not in self._params]:
            del self._peers[node]
            self._reading.forget(node)
        effects: list[CopierEffect] = []
        if self._paths() != paths_before:
            effects.append(KeepPaths(tuple(path for peer in wish.peers for path in peer.paths)))
        effects += self._watch()
        if self._hello_at is None and self._params:
            self._hello_at = now
            self._reading.want(now + AFTER_MOVE)
        for node in self._params:
            if node not in self._peers:
                self._peers[node] = FlowPeer()
                effects += self._ask(node, now)
        return effects

    def _serve(self, now: Instant, services: Iterable[CopiedService]) -> None:
        """These services are as they are told now. Where every node finds a flow's server by itself, a change of the
        servers makes flows that it does not find: they are read and told."""
        for service in services:
            key, before = service.key, self._direct.get(service.key)
            self._services[key] = frozenset(service.servers)
            if service.direct is None:
                self._translated[key] = None
                self._direct.pop(key, None)
                continue
            self._translated.pop(key, None)
            self._direct[key] = service
            if before is not None and before != service and service.direct.found_by is not None:
                self._reading.want(now + AFTER_CHANGE)

    def _watch(self) -> list[CopierEffect]:
        """Say what is watched, if that was not said yet. A server that may have no flows for a while stays said."""
        keys, direct = tuple(self._translated), tuple(self._direct.values())
        tcp = (self._services[key] for key in keys if key.protocol is Protocol.TCP)
        servers = frozenset().union(*tcp)
        same = keys == self._watched.services and servers <= self._watched.servers
        if same and direct == self._watched.direct:
            return []
        self._watched = WatchFlows(keys, self._watched.servers if same else servers, direct)
        return [self._watched]

    def _paths(self) -> tuple[object, ...]:
        return tuple(path for peer in self._params.values() for path in peer.paths)

    def _hold(self, now: Instant, addresses: frozenset[IPAddress]) -> list[CopierEffect]:
        before, self._held = self._held, addresses
        vips = {key.address for key in self._services}
        if vips & (addresses ^ before):
            self._gained = (self._gained | (addresses - before)) & addresses
            self._reading.want(now + AFTER_MOVE, retime=True)
        return []

    # --- what is told -------------------------------------------------------------------------------------------------

    def _ours(self, flows: Iterable[Flow]) -> list[Flow]:
        """Those of our services, to servers that may have flows."""
        return [flow for flow in flows if (flow.server, flow.port) in self._services.get(flow.service, frozenset())]

    def _tell(self, now: Instant, flows: list[Flow]) -> list[CopierEffect]:
        """News; what is beyond the limits is told with the next refresh."""
        openings = sum(flow.stage is Stage.OPENING for flow in flows)
        some = self._openings.take(now, openings)
        effects: list[CopierEffect] = []
        if some < openings:
            flows = [flow for flow in flows if flow.stage is not Stage.OPENING]
            effects += self._once(now, FlowsNotTold(OPENINGS_TOLD), OPENINGS_TOLD)
        granted = self._telling.take(now, len(flows))
        if granted < len(flows):
            effects += self._once(now, FlowsNotTold(FLOWS_TOLD), FLOWS_TOLD)
        return effects + self._send_flows(flows[:granted])

    def _send_flows(self, flows: Iterable[Flow]) -> list[CopierEffect]:
        effects: list[CopierEffect] = []
        for told in portions(flows):
            self._book.told += len(told.flows)
            effects += self._send_all(told)
        return effects

    def _send_all(self, message: Message) -> list[CopierEffect]:
        return [effect for node in self._params for effect in self._send(node, message)]

    def _send(self, node: str, message: Message) -> list[CopierEffect]:
        sequence = self._sequences[node] = self._sequences.get(node, 0) + 1
        payload = encode(FlowDatagram(self._boot, sequence, message))
        return [SendDatagram(path, payload) for path in self._params[node].paths]

    def _read(self, now: Instant, read: TableRead) -> list[CopierEffect]:
        ours = self._ours(read.flows)
        effects = self._retimed(ours) if self._reading.retimes else []
        owned = [flow for flow in ours if flow.service.address in self._held and flow.stage is not Stage.CLOSING]
        self._reading.told += len(owned)
        effects += self._send_flows(owned)
        for node, request in self._reading.serving.items():
            if not owned and not read.last:
                effects += self._send(node, Coming(request))
        if read.last and self._reading.retimes:
            self._gained = frozenset()
        for node, request in self._reading.part(now, last=read.last).items():
            effects += self._send(node, End(request, self._reading.told))
        return effects

    def _retimed(self, flows: list[Flow]) -> list[CopierEffect]:
        """Established connections of VIPs that came are kept as our own, of those that went as copies."""
        changed = []
        for flow in flows:
            if flow.service.protocol is not Protocol.TCP or flow.stage is not Stage.ESTABLISHED:
                continue
            if flow.service.address in self._gained and flow.seconds <= COPY_KEPT_S:
                changed.append(replace(flow, seconds=self._established_s))
            elif flow.service.address not in self._held and flow.seconds > COPY_KEPT_S:
                changed.append(replace(flow, seconds=COPY_KEPT_S))
        return [PutFlows(tuple(changed), owned=False)] if changed else []

    # --- what is heard ------------------------------------------------------------------------------------------------

    def _arrived(self, now: Instant, arrived: DatagramArrived) -> list[CopierEffect]:
        node = self._by_place.get((arrived.interface, arrived.source))
        if node is None:  # its path was given up meanwhile
            return []
        datagram = _read(arrived)
        if isinstance(datagram, DatagramFlaw):
            count = self._book.refuse(arrived.source, datagram)
            refused = FlowDatagramRefused(arrived.interface, arrived.source, datagram, count)
            return self._once(now, refused, (arrived.source, datagram))
        before = self._peers[node]
        if not is_news(before, datagram):
            return []
        self._peers[node], outcome, unknown = hear(before, now, datagram)
        effects = self._outcome(now, node, outcome, before)
        if unknown:
            effects += self._ask(node, now)
        match datagram.message:
            case Told(flows):
                effects += self._put(now, node, self._ours(flows))
            case Ask(request):
                effects += self._asked(now, node, request)
            case Coming() | End() | Hello():
                pass
            case _:
                assert_never(datagram.message)
        return effects

    def _asked(self, now: Instant, node: str, request: int) -> list[CopierEffect]:
        if not self._owns:
            return self._send(node, End(request, 0))
        self._reading.asked(node, request, now)
        return self._send(node, Coming(request))

    def _put(self, now: Instant, node: str, flows: list[Flow]) -> list[CopierEffect]:
        if not flows:
            return []
        if self._filled >= FULL:
            return self._once(now, FlowsNotTaken(NotTaken.TABLE_FULL, len(flows)), NotTaken.TABLE_FULL)
        granted = self._taking.take(now, len(flows))
        effects: list[CopierEffect] = []
        if granted < len(flows):
            effects += self._once(now, FlowsNotTaken(NotTaken.RATE, len(flows) - granted), NotTaken.RATE)
        taken = [replace(flow, seconds=_kept(flow)) for flow in flows[:granted]]
        self._book.take(node, len(taken))
        for flow in taken:
            if flow.service.address not in self._held:
                self._sources.note(now, flow)
        for owned in (True, False):
            part = tuple(flow for flow in taken if (flow.service.address in self._held) is owned)
            if part:
                effects.append(PutFlows(part, owned))
        return effects

    # --- time, and what is reported -----------------------------------------------------------------------------------

    def _due(self, now: Instant) -> list[CopierEffect]:
        effects: list[CopierEffect] = []
        for node, peer in list(self._peers.items()):
            self._peers[node], outcome, asking = pass_time(peer, now)
            effects += self._outcome(now, node, outcome, peer)
            if asking is not None:
                effects += self._send(node, asking)
        if self._hello_at is not None and now >= self._hello_at:
            self._hello_at = now + HELLO_EVERY if self._params else None
            effects += self._send_all(Hello())
        effects += self._sources.due(now)
        first = self._reading.due(now)
        if first and not self._owns and not self._reading.retimes:
            effects += self._read(now, TableRead((), last=True))
        elif first is not None:
            effects.append(ReadTable(again=first))
        return effects

    @property
    def _owns(self) -> bool:
        return any(key.address in self._held for key in self._services)

    def _ask(self, node: str, now: Instant) -> list[CopierEffect]:
        self._peers[node], asking = ask(self._peers[node], now)
        return self._send(node, asking)

    def _outcome(self, now: Instant, node: str, outcome: Outcome, before: FlowPeer) -> list[CopierEffect]:
        if outcome is None:
            return []
        told = self._book.end(now, node, before)
        if isinstance(outcome, CaughtUp):
            return [self._publish(now, FlowsCaughtUp(node, outcome.flows, outcome.took))]
        return [self._publish(now, FlowsNotCaughtUp(node, outcome, told))]

    def _once(self, now: Instant, body: EventBody, kind: object) -> list[CopierEffect]:
        """Tell of what may befall us thousands of times."""
        told_at = self._told_at.get(kind)
        if told_at is not None and now < told_at + TELL_AGAIN:
            return []
        self._told_at[kind] = now
        return [self._publish(now, body)]

    def _publish(self, now: Instant, body: EventBody) -> Published:
        return Published(self._numbering.event(now, Emit(body)))


def _read(arrived: DatagramArrived) -> FlowDatagram | DatagramFlaw:
    # As RFC 9568 5.1.1.3 for advertisements: less than 255 has crossed a router.
    if arrived.hop_limit != HOP_LIMIT:
        return DatagramFlaw.HOP_LIMIT
    return decode(arrived.payload) if arrived.flaw is None else arrived.flaw


def _kept(flow: Flow) -> int:
    return min(flow.seconds, COPY_KEPT_S if flow.stage is Stage.ESTABLISHED else OTHERS_KEPT_S)
