"""Flows of direct return in the tables of the balancer's program, as other nodes are told of them and tell of theirs.

The program tells of a flow at its second packet (news.h); of services whose slots are found again it tells nothing, and
of those only flows are read that are elsewhere than the slots say: older than a change of the servers.
When a VIP goes, flows that are just opening are read, for their second packets will come to the next owner.

A copy is an entry as the program makes it, for the server's own seat; its `seen` is set back, so that it idles out when
it shall. Who is not seated here, or has no service here, is passed back: the other plane may have it.

Invariants: an entry never leads to another server than the one that was told (a seat's stamp is compared before, and by
the program after that); no copy is put into a table that is filled beyond MOST_FILLED with this node's own.
Limits: PART entries in one read; records are read anew at most once in LEARN_EVERY_S on account of a miss.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from yaoki.core.address import Family, IPAddress
from yaoki.lb.flow import MAX_SECONDS, CopiedService, Flow, Stage
from yaoki.lb.flow_datagram import address
from yaoki.lb.kernel_hash import flow_slot, source_slot
from yaoki.lb.service import ServiceKey
from yaoki.linux.bpf import installation, layout
from yaoki.linux.bpf.hooks import number_of
from yaoki.linux.bpf.installation import Installation
from yaoki.linux.bpf.layout import FlowEntry, FlowState, ServerFlag, Service, ServiceFlag, SourceEntry
from yaoki.linux.bpf.records import ServiceRecord
from yaoki.linux.bpf.ring import RingReader
from yaoki.linux.bpf.services import Seat, ServerPlace

PART = 256
MOST_FILLED = 0.8
LEARN_EVERY_S = 1.0
JUST_OPENED_S = 1.0
"""Longer than a client's second packet takes."""
LOOKS = 10
"""How often services that are not here yet are looked for, once a second, after a new wish."""
TRIES = 16
"""As in flow.h."""

_TICKS_PER_S = 1_000_000_000 / layout.TICK_NS


@dataclass(frozen=True, slots=True)
class _Seated:
    """A copied service as the program has it."""

    key: ServiceKey
    entry: Service
    seats: Mapping[ServerPlace, Seat]


class BpfFlows:
    """In the network namespace of this process. `listen` and `ignore` say which descriptor is readable for `hear`."""

    def __init__(self, listen: Callable[[int], None], ignore: Callable[[int], None]) -> None:
        self._listen, self._ignore = listen, ignore
        self._installed: Installation | None = None
        self._number = 0
        self._ring: RingReader | None = None
        self._watched: dict[ServiceKey, None] = {}
        self._looks = 0
        self._decoded: dict[bytes, ServiceRecord] = {}
        self._services: dict[ServiceKey, _Seated] = {}
        self._by_seat: dict[tuple[int, int], tuple[_Seated, ServerPlace]] = {}
        self._told: frozenset[int] | None = None
        self._learnt_at = 0.0
        self._reading: Iterator[Flow | None] = iter(())
        self._filled: dict[Family, float] = {}

    # --- what there is

    def watch(self, services: Iterable[CopiedService]) -> None:
        """These services, and no others. Raises ActuatorError, as everything here."""
        self._watched = {service.key: None for service in services}
        self._looks = LOOKS
        self.look()

    def look(self) -> None:
        """Whether the program is another one now, or services have come; to be called once a second."""
        found = installation.find() if self._watched or self._installed else None
        number = 0 if found is None else number_of(found.program)
        if number != self._number:
            self._let_go()
            self._installed, self._number = found, number
            self._hear_of()
            self._looks = LOOKS
        elif found is not None:
            found.close()
        if self._looks:
            self._looks -= 1
            self._learn()

    def has(self, key: ServiceKey) -> bool:
        """Whether the program has the service."""
        return key in self._services

    def close(self) -> None:
        """Let go of it; what was put there stays."""
        self._let_go()

    def _let_go(self) -> None:
        if self._ring is not None:
            self._ignore(self._ring.fileno())
            self._ring.close()
        if self._installed is not None:
            self._installed.close()
        self._installed, self._ring, self._number, self._told = None, None, 0, None
        self._services, self._by_seat, self._reading = {}, {}, iter(())

    def _hear_of(self) -> None:
        news = None if self._installed is None else self._installed.tables.news
        if news is not None:
            self._ring = RingReader(news)
            self._listen(self._ring.fileno())

    def _learn(self) -> None:
        """Which services are there, with whom on which seat."""
        self._learnt_at = time.monotonic()
        if self._installed is None:
            return
        self._decoded = self._installed.records.decoded(self._decoded)
        entries = dict(self._installed.tables.services())
        self._services = {
            key: _Seated(key, entries[key], record.seats)
            for record in self._decoded.values()
            if (key := record.service.key) in self._watched and key in entries
        }
        self._by_seat = {
            (seat.number, seat.stamp): (each, place)
            for each in self._services.values()
            for place, seat in each.seats.items()
        }
        told = frozenset(each.entry.id for each in self._services.values())
        if told != self._told:
            self._installed.tables.put_told(told)
            self._told = told

    def _learn_again(self) -> bool:
        """After a miss; whether it was worth while."""
        if time.monotonic() - self._learnt_at < LEARN_EVERY_S:
            return False
        self._learn()
        return True

    # --- telling

    def hear(self) -> list[Flow]:
        """Flows that the program told of."""
        now, found = layout.tick(), list[Flow]()
        for octets in [] if self._ring is None else self._ring.read():
            entry, key = layout.read_news(octets)
            owner = self._by_seat.get((entry.server, entry.stamp))
            if owner is None and self._learn_again():
                owner = self._by_seat.get((entry.server, entry.stamp))
            if owner is not None and (flow := _flow(owner, key, entry.seen, now)) is not None:
                found.append(flow)
        return found

    def begin(self) -> None:
        """Read the tables from the beginning."""
        self._learn()
        self._reading = iter(()) if self._installed is None else self._entries(self._installed)

    def read(self) -> tuple[list[Flow], bool]:
        """The next part: flows that the other nodes have to be told of, and whether that was the last."""
        part = list(islice(self._reading, PART))
        return [flow for flow in part if flow is not None], len(part) < PART

    def _entries(self, installed: Installation) -> Iterator[Flow | None]:
        """Every entry: its flow, or None where there is nothing to tell."""
        slots = _Slots(installed)
        for family in dict.fromkeys(key.family for key in self._services):
            count = 0
            for key, octets in installed.tables.lasting(family):
                count += 1
                ((number, stamp, seen, state),) = layout.flow_words(octets)
                owner = self._by_seat.get((number, stamp))
                if owner is None or state != FlowState.ESTABLISHED:
                    yield None
                    continue
                flow = _flow(owner, key, seen, layout.tick())
                yield None if flow is None or slots.lead(owner[0].entry, flow, number) else flow
            self._filled[family] = count / installed.tables.most_flows(family)

    def openings(self, addresses: Collection[IPAddress]) -> Iterator[Flow]:
        """TCP flows to these VIPs of which the first packet has just come, and which no hash finds."""
        at, now = frozenset(addresses), layout.tick()
        if self._installed is None:
            return
        for family in dict.fromkeys(map(Family.of, at)):
            for key, octets in self._installed.tables.opening(family):
                ((number, stamp, seen, state),) = layout.flow_words(octets)
                owner = self._by_seat.get((number, stamp))
                if owner is None or state != FlowState.OPENING or _since(seen, now) > JUST_OPENED_S * _TICKS_PER_S:
                    continue
                flow = _flow(owner, key, seen, now)
                if flow is not None and flow.service.address in at:
                    seconds = min(flow.seconds, round(owner[0].entry.opening / _TICKS_PER_S))
                    yield replace(flow, stage=Stage.OPENING, seconds=seconds)

    # --- being told

    def put(self, flows: Sequence[Flow], *, owned: bool) -> tuple[list[Flow], int]:
        """Put copies there; those that are for another plane, and how many there was no room for. `owned`: only those
        of which there is nothing."""
        entries: dict[Family, dict[bytes, FlowEntry]] = {}
        left, refused, now = list[Flow](), 0, layout.tick()
        seats: dict[tuple[ServiceKey, IPAddress, int], Seat | None] = {}
        for flow in flows:
            place = flow.service, flow.server, flow.port
            if place not in seats:
                seats[place] = self._seat(*place)
            seat, family = seats[place], flow.service.family
            if seat is None or not flow.client_port or flow.stage is Stage.CLOSING:
                left.append(flow)
            elif not owned and self._filled.get(family, 0.0) >= MOST_FILLED:
                refused += 1
            else:
                limit = self._services[flow.service].entry.established
                kept = min(limit, round(flow.seconds * _TICKS_PER_S))
                entry = FlowEntry(seat.number, seat.stamp, (now - limit + kept) & 0xFFFFFFFF, FlowState.ESTABLISHED)
                key = layout.flow_key_of(flow.service, flow.client, flow.client_port)
                entries.setdefault(family, {})[key] = entry
        if self._installed is not None:
            for family, those in entries.items():
                (self._installed.tables.add_flows if owned else self._installed.tables.put_flows)(family, those)
        return left, refused

    def remember(self, key: ServiceKey, server: IPAddress, port: int, sources: Iterable[bytes]) -> bool:
        """Keep sources, masked, with a server; whether the service is here."""
        seat = self._seat(key, server, port)
        if seat is None or self._installed is None:
            return key in self._services
        entry, number = SourceEntry(seat.number, seat.stamp, layout.tick()), self._services[key].entry.id
        if self._services[key].entry.persistence:
            found = {layout.source_key(key.family, number, source): entry for source in sources}
            self._installed.tables.put_sources(key.family, found)
        return True

    def _seat(self, key: ServiceKey, server: IPAddress, port: int) -> Seat | None:
        """A server's seat as it is now, None if it has none. One that is out for the moment has one."""
        seat, keeps = self._stands(key, server, port)
        if not keeps and key in self._watched and self._learn_again():
            seat, _ = self._stands(key, server, port)
        return seat

    def _stands(self, key: ServiceKey, server: IPAddress, port: int) -> tuple[Seat | None, bool]:
        """The seat that was learnt if it still is the server's, and whether flows stay with that."""
        service = self._services.get(key)
        seat = None if service is None else service.seats.get((server, port))
        if seat is None or self._installed is None:
            return None, False
        found = self._installed.tables.server(seat.number)
        return (seat, ServerFlag.KEEPS in found.flags) if found.stamp == seat.stamp else (None, False)


class _Slots:
    """The slots of services as they are during one reading."""

    def __init__(self, installed: Installation) -> None:
        self._tables = installed.tables
        self._rings: dict[int, tuple[int, ...]] = {}
        self._takes: dict[int, bool] = {}

    def lead(self, service: Service, flow: Flow, number: int) -> bool:
        """Whether every node with the same servers leads the flow to this server without being told."""
        if ServiceFlag.LAZY not in service.flags:
            return False
        if service.id not in self._rings:
            self._rings[service.id] = self._tables.ring(service.id, service.ring)
        ring = self._rings[service.id]
        if not ring:
            return False
        by_flow = ServiceFlag.BY_FLOW in service.flags
        slot = flow_slot(flow.client, flow.client_port, len(ring)) if by_flow else source_slot(flow.client, len(ring))
        tried = (ring[(slot + step) % len(ring)] for step in range(TRIES))
        return next((each for each in tried if self._takes_new(each)), layout.NOBODY) == number

    def _takes_new(self, number: int) -> bool:
        if number not in self._takes:
            self._takes[number] = ServerFlag.TAKES in self._tables.server(number).flags
        return self._takes[number]


def _flow(owner: tuple[_Seated, ServerPlace], key: bytes, seen: int, now: int) -> Flow | None:
    """None of a flow that has idled out."""
    seated, place = owner
    left = seated.entry.established - max(0, _since(seen, now))
    if left <= 0:
        return None
    source, port = layout.read_client(seated.key.family, key)
    seconds = min(int(left / _TICKS_PER_S), MAX_SECONDS)
    return Flow(seated.key, address(source), port, *place, Stage.ESTABLISHED, seconds)


def _since(seen: int, now: int) -> int:
    """Ticks; below zero where another processor's clock was ahead."""
    return ((now - seen + 0x80000000) & 0xFFFFFFFF) - 0x80000000
