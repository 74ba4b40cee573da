"""The maps of the loaded balancer program, by what they hold.

Invariant: a ring is put in the place of another as a whole; those of many services after one wait for readers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import ServiceKey
from yaoki.lb.why import Flow
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import (
    Capacity,
    Count,
    FlowEntry,
    Reason,
    RingSize,
    Server,
    Service,
    SourceEntry,
    TunnelEntry,
)
from yaoki.linux.bpf.maps import BpfMap, MapKind, MapShape

RINGS = {RingSize.SMALL: "rings_small", RingSize.MEDIUM: "rings_medium", RingSize.LARGE: "rings_large"}
SIZES = {
    "services4": 52,
    "services6": 52,
    "services": 52,
    "servers": 16,
    "tunnels": 48,
    "flows4": 16,
    "flows6": 16,
    "loads": 4,
    "capacities": 8,
    "server_counts": 24,
    "service_counts": 24,
    "deadlines": 8,
}
"""Octets of the values that are read and written here: what a map must have to be ours."""


class Tables:
    """What the program of one LoadedObject reads. Every method may raise ActuatorError."""

    def __init__(self, maps: Mapping[str, BpfMap]) -> None:
        self._maps = maps
        for name, size in SIZES.items():
            found = maps[name].shape.value_size
            if found != size:
                raise ActuatorError(f"BPF map {name}", f"its values have {found} octets, not {size}: another layout")

    @property
    def most_services(self) -> int:
        """Services of both families together; their ids are below it."""
        return self._maps["service_counts"].shape.max_entries

    @property
    def most_servers(self) -> int:
        """Servers of all services together, number 0 among them, which is nobody."""
        return self._maps["servers"].shape.max_entries

    # --- services, servers, slots

    def put_service(self, key: ServiceKey, service: Service) -> None:
        """From now on packets for `key` are taken."""
        self.put_under_way([service])
        self._of("services", key.family).update(layout.service_key(key), service.pack())

    def put_under_way(self, services: Iterable[Service]) -> None:
        """From now on flows that are under way go by these."""
        self._maps["services"].update_all((layout.index(each.id), each.pack()) for each in services)

    def under_way(self, id_: int) -> Service | None:
        """What flows that are under way go by; None if by nothing."""
        found = self._maps["services"].look_up(layout.index(id_))
        return Service.unpack(found) if found is not None and any(found) else None

    def remove_service(self, key: ServiceKey) -> bool:
        """From now on they are passed; whether the service was there."""
        found = self.service(key)
        if found is not None:
            self._maps["services"].update(layout.index(found.id), bytes(SIZES["services"]))
        return self._of("services", key.family).delete(layout.service_key(key))

    def service(self, key: ServiceKey) -> Service | None:
        """None if there is no such service."""
        found = self._of("services", key.family).look_up(layout.service_key(key))
        return None if found is None else Service.unpack(found)

    def services(self) -> Iterator[tuple[ServiceKey, Service]]:
        """All that are there."""
        for family in Family:
            for key, value in self._of("services", family).items():
                yield layout.read_service_key(family, key), Service.unpack(value)

    def put_servers(self, servers: Mapping[int, Server]) -> None:
        """By their numbers."""
        self._maps["servers"].update_all((layout.index(number), each.pack()) for number, each in servers.items())

    def server(self, number: int) -> Server:
        """By its number."""
        return Server.unpack(self._maps["servers"].look_up(layout.index(number)) or bytes(16))

    def servers(self) -> Iterator[tuple[int, Server]]:
        """All that have a stamp, by their numbers."""
        for number, (_, value) in enumerate(self._maps["servers"].items()):
            found = Server.unpack(value)
            if found.stamp:
                yield number, found

    def put_tunnels(self, tunnels: Mapping[int, TunnelEntry]) -> None:
        """By the numbers of servers."""
        self._maps["tunnels"].update_all((layout.index(number), each.pack()) for number, each in tunnels.items())

    def tunnel(self, number: int, family: Family) -> TunnelEntry | None:
        """Of a server, by its number."""
        found = self._maps["tunnels"].look_up(layout.index(number))
        return None if found is None else TunnelEntry.unpack(found, family)

    def put_capacities(self, capacities: Mapping[int, Capacity]) -> None:
        """By the numbers of servers."""
        entries = ((layout.index(number), each.pack()) for number, each in capacities.items())
        self._maps["capacities"].update_all(entries)

    def capacity(self, number: int) -> Capacity:
        """Of a server, by its number."""
        return Capacity.unpack(self._maps["capacities"].look_up(layout.index(number)) or bytes(8))

    def put_load(self, number: int, flows: int) -> None:
        """How many flows a server has open from now on."""
        self._maps["loads"].update(layout.index(number), layout.load(flows))

    def load(self, number: int) -> int:
        """How many flows a server has open, as the program counts; of what nobody counts, nothing."""
        return layout.read_load(self._maps["loads"].look_up(layout.index(number)) or bytes(4))

    def put_rings(self, slots: Mapping[int, Sequence[int]], turns: Mapping[int, int] | None = None) -> None:
        """By the id of the service, the number of each slot's server, and the turn that it begins with if not the first
        (see layout.ring). Raises ValueError for too many slots."""
        for size, name in RINGS.items():
            mine = {number: ring for number, ring in slots.items() if layout.ring_size(len(ring)) is size}
            with ExitStack() as stack:
                entries = []
                for number, ring in mine.items():
                    shape = MapShape(MapKind.ARRAY, 4, layout.ring_length(size), 1)
                    inner = BpfMap.create(shape, f"{name}[{number}]")
                    stack.callback(inner.close)
                    inner.update(layout.index(0), layout.ring(ring, size, (turns or {}).get(number, 0)))
                    entries.append((layout.index(number), layout.index(inner.descriptor)))
                self._maps[name].update_all(entries)

    def ring(self, number: int, size: RingSize) -> tuple[int, ...]:
        """The number of each slot's server; empty without a ring."""
        found = None if size is RingSize.NONE else self._maps[RINGS[size]].look_up(layout.index(number))
        if found is None:
            return ()
        inner = BpfMap.by_id(layout.read_index(found), f"{RINGS[size]}[{number}]")
        try:
            return layout.read_ring(inner.look_up(layout.index(0)) or bytes(8))
        finally:
            inner.close()

    def remove_ring(self, number: int, size: RingSize) -> None:
        """Give back what a ring holds; the service must not use it any more."""
        if size is not RingSize.NONE:
            self._maps[RINGS[size]].delete(layout.index(number))

    # --- flows

    def flow(self, key: ServiceKey, flow: Flow) -> FlowEntry | None:
        """What is remembered of a flow, whether or not it still holds."""
        octets = layout.flow_key(key, flow)
        for name in ("flows", "new_flows"):
            found = self._of(name, key.family).look_up(octets)
            if found is not None:
                return FlowEntry.unpack(found)
        return None

    def flows(self, family: Family) -> Iterator[FlowEntry]:
        """All that are remembered, whether or not they still hold."""
        for name in ("flows", "new_flows"):
            for _, value in self._of(name, family).items():
                yield FlowEntry.unpack(value)

    def words(self, table: str, family: Family) -> Iterator[tuple[int, int, int, int]]:
        """Server, stamp, seen and state of all that a table ("flows", "new_flows", "sources") remembers: for counting.
        Sources have no state."""
        for octets in self._of(table, family).values():
            yield from layout.flow_words(octets)

    def size(self, table: str, family: Family) -> int:
        """Most entries of a table."""
        return self._of(table, family).shape.max_entries

    # --- flows, as other nodes are told of them and tell of theirs

    @property
    def news(self) -> BpfMap | None:
        """Where the program tells of flows; None in one that does not."""
        return self._maps.get("news")

    def put_told(self, ids: Iterable[int]) -> None:
        """The program shall tell of flows of these services, and of no others."""
        if (told := self._maps.get("told")) is not None:
            wanted = frozenset(ids)
            told.update_all((layout.index(n), layout.index(int(n in wanted))) for n in range(told.shape.max_entries))

    def most_flows(self, family: Family) -> int:
        """How many flows of which two packets have come are remembered."""
        return self._of("flows", family).shape.max_entries

    def lasting(self, family: Family) -> Iterator[tuple[bytes, bytes]]:
        """Keys and entries of flows of which two packets have come, whether or not they still hold."""
        return self._of("flows", family).items()

    def opening(self, family: Family) -> Iterator[tuple[bytes, bytes]]:
        """Keys and entries of flows of which one packet has come, whether or not they still hold."""
        return self._of("new_flows", family).items()

    def remembered_flows(self, family: Family) -> Iterator[tuple[bytes, bytes]]:
        """Keys and entries of all flows, whether or not they still hold."""
        for name in ("flows", "new_flows"):
            yield from self._of(name, family).items()

    def remembered_sources(self, family: Family, service: int) -> Iterator[tuple[IPAddress, SourceEntry]]:
        """Masked sources of a service, whether or not they still hold."""
        for octets, value in self._of("sources", family).items():
            number, source = layout.read_source_key(family, octets)
            if number == service:
                yield source, SourceEntry.unpack(value)

    def put_flows(self, family: Family, flows: Mapping[bytes, FlowEntry]) -> None:
        """Remember these, by their keys, in the place of what is there."""
        self._of("flows", family).update_all((key, entry.pack()) for key, entry in flows.items())

    def add_flows(self, family: Family, flows: Mapping[bytes, FlowEntry]) -> None:
        """Remember those of which nothing is known."""
        for key, entry in flows.items():
            if self._of("new_flows", family).look_up(key) is None:
                self._of("flows", family).insert(key, entry.pack())

    def put_sources(self, family: Family, sources: Mapping[bytes, SourceEntry]) -> None:
        """Remember sources, by their keys, in the place of what is there."""
        self._of("sources", family).update_all((key, entry.pack()) for key, entry in sources.items())

    def source(self, family: Family, service: int, masked: bytes) -> SourceEntry | None:
        """What is remembered of a source, whether or not it still holds."""
        found = self._of("sources", family).look_up(layout.source_key(family, service, masked))
        return None if found is None else SourceEntry.unpack(found)

    # --- the dead-man gate

    @property
    def most_addresses(self) -> int:
        """Addresses with a deadline, number 0 among them, which is none's."""
        return self._maps["deadlines"].shape.max_entries

    def put_gate(self, address: IPAddress, number: int, at_ns: int = 0) -> None:
        """The number of an address's deadline, and what that is to begin with."""
        self.set_deadline(number, at_ns)
        self._of("gates", Family.of(address)).update(address.packed, layout.index(number))

    def remove_gate(self, address: IPAddress) -> None:
        """No error if it has none."""
        self._of("gates", Family.of(address)).delete(address.packed)

    def gates(self) -> Iterator[tuple[IPAddress, int]]:
        """All addresses that have a number."""
        for family in Family:
            for key, value in self._of("gates", family).items():
                yield layout.read_address(key), layout.read_index(value)

    def put_deadline(self, address: IPAddress, at_ns: int) -> bool:
        """Serve an address until CLOCK_MONOTONIC has passed `at_ns`, 0 for ever; whether it has a service here."""
        number = self._of("gates", Family.of(address)).look_up(address.packed)
        if number is not None:
            self.set_deadline(layout.read_index(number), at_ns)
        return number is not None

    def set_deadline(self, number: int, at_ns: int) -> None:
        """The same by its number."""
        self._maps["deadlines"].update(layout.index(number), layout.nanoseconds(at_ns))

    def deadline(self, number: int) -> int:
        """As it was set; 0 is never."""
        return layout.read_nanoseconds(self._maps["deadlines"].look_up(layout.index(number)) or bytes(8))

    # --- counters

    def server_counts(self) -> Iterator[Count]:
        """Of each number, from 0 on."""
        return (Count.unpack(value) for _, value in self._maps["server_counts"].items())

    def service_count(self, number: int) -> Count:
        """Of a service, by its id."""
        value = self._maps["service_counts"].look_up(layout.index(number))
        return Count() if value is None else Count.unpack(value)

    def reset_server_counts(self, numbers: Iterable[int]) -> None:
        """Begin to count anew for these numbers."""
        counts = self._maps["server_counts"]
        nothing = bytes(counts.shape.value_room)
        counts.update_all((layout.index(number), nothing) for number in numbers)

    def reset_service_count(self, number: int) -> None:
        """Begin to count anew for an id."""
        counts = self._maps["service_counts"]
        counts.update(layout.index(number), bytes(counts.shape.value_room))

    def reasons(self) -> dict[Reason, int]:
        """How many packets went each way, other than to a server, which is counted by server. In the map of an earlier
        program, which the one of today goes on with, the last reasons may have no place."""
        counted = [layout.total(value) for _, value in self._maps["reasons"].items()]
        return dict.fromkeys(Reason, 0) | dict(zip(Reason, counted, strict=False))

    def _of(self, name: str, family: Family) -> BpfMap:
        return self._maps[f"{name}{family.value}"]
