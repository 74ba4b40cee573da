"""A virtual service as entries of the program's maps. Pure: numbers and stamps are given.

Servers share one array. Each has a number in it for as long as it is in its service, and a stamp that no other server
has had or will have.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.lb.load import weight_of
from yaoki.lb.schedulers import Pick, Slots, slots_of
from yaoki.lb.service import Duty, Encapsulation, Forward, RealServer, VirtualService
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import Capacity, Server, ServerFlag, Service, ServiceFlag, TunnelEntry
from yaoki.linux.nftables_direct import CLOSING_S, opening_s
from yaoki.pool.maglev import Fill, fill

ENDED_S = 3
"""How long the entry of a TCP flow that has ended still leads to its server where a SYN looks nothing up: the next flow
of the same ports may have gone by another ring. Long enough for the last acknowledgements."""
UNKNOWN_MAC = MacAddress(bytes(6))
_LONGEST_PACKET = 65535

ServerPlace = tuple[IPAddress, int]
"""A server's address and port."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A server's number in the array of servers, and its stamp."""

    number: int
    stamp: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """All entries of one service."""

    service: Service
    servers: Mapping[int, Server]
    slots: tuple[int, ...]
    capacities: Mapping[int, Capacity] = field(default_factory=dict)
    """Of a service that counts its servers' flows."""
    tunnels: Mapping[int, TunnelEntry] = field(default_factory=dict)
    """Of servers across routers."""


def render(
    service: VirtualService,
    *,
    id_: int,
    interface: int,
    mac: MacAddress,
    seats: Mapping[ServerPlace, Seat],
    gate: int = layout.UNGATED,
    indices: Mapping[str, int] | None = None,
    filling: Fill = fill,
) -> Rendered:
    """A service whose servers are all `direct` or `tunnel`; `interface` and `mac` are those of the interface that it is
    on, `gate` is the number of its address's deadline, `indices` the numbers of the interfaces that tunnels leave by.
    `filling` fills the table of a service that has one. Raises ValueError for more slots than a ring holds."""
    slots = slots_of(service, filling)
    flags = _flags(service, slots)
    lazy = ServiceFlag.LAZY in flags
    persistence = service.persistence
    entry = Service(
        id=id_,
        interface=interface,
        mac=mac,
        ring=layout.ring_size(0 if slots is None else len(slots)),
        flags=flags,
        gate=gate,
        opening=_ticks(opening_s(service)),
        established=layout.ticks(service.idles_out_after),
        closing=_ticks(ENDED_S if lazy else CLOSING_S),
        persistence=0 if persistence is None else layout.ticks(persistence.timeout),
        source_mask=bytes(16) if persistence is None else layout.mask_of(persistence.prefix_length),
    )
    seated = [(server, seats[_place(server)]) for server in service.servers]
    servers = {seat.number: _server(server, seat, id_) for server, seat in seated}
    capacities = _capacities(service, seats) if service.counts_flows else {}
    return Rendered(entry, servers, _numbers(slots, seats), capacities, dict(_tunnels(service, seats, indices or {})))


def _numbers(slots: Slots | None, seats: Mapping[ServerPlace, Seat]) -> tuple[int, ...]:
    """The number of each slot's server. A ring may have thousands of slots."""
    if slots is None:
        return ()
    members = [seats[_place(server)].number for server in slots.members]
    return tuple(map(members.__getitem__, slots.indices))


_PICKS = {
    Pick.IN_TURN: ServiceFlag(0),
    Pick.BY_SOURCE: ServiceFlag.BY_SOURCE,
    Pick.BY_FLOW: ServiceFlag.BY_FLOW,
    Pick.LEAST: ServiceFlag.LEAST,
    Pick.LESS_OF_TWO: ServiceFlag.LESS_OF_TWO,
}


def _flags(service: VirtualService, slots: Slots | None) -> ServiceFlag:
    """Where flows are counted each first packet stores one: a flow that is counted must have an entry that ends."""
    flags = ServiceFlag(0) if slots is None else _PICKS[slots.pick]
    if service.counts_flows:
        return flags | ServiceFlag.COUNTED | (ServiceFlag.LIMITED if service.is_limited else ServiceFlag(0))
    is_lazy = service.scheduler.finds_again and slots is not None and service.persistence is None
    return flags | ServiceFlag.LAZY if is_lazy else flags


def _capacities(service: VirtualService, seats: Mapping[ServerPlace, Seat]) -> dict[int, Capacity]:
    return {
        seats[_place(server)].number: Capacity(max(1, weight_of(service, server)), server.limit or 0)
        for server in service.servers
    }


def leaving(
    service: VirtualService, before: Mapping[int, Server], seats: Mapping[ServerPlace, Seat]
) -> dict[int, Server]:
    """Of the servers that were there before, as they shall be, those that are to take or keep less than then. Quick,
    where a whole service may take long to render."""
    seated = [(server, seats[_place(server)]) for server in service.servers if _place(server) in seats]
    after = {
        seat.number: _server(server, seat, before[seat.number].service)
        for server, seat in seated
        if seat.number in before
    }
    return {n: server for n, server in after.items() if before[n].flags & ~server.flags}


def unseated(seats: Iterable[Seat]) -> dict[int, Server]:
    """The stamp stays: it tells a later life what was given already."""
    return {seat.number: Server(UNKNOWN_MAC, ServerFlag(0), seat.stamp, 0) for seat in seats}


def _server(server: RealServer, seat: Seat, service: int) -> Server:
    mac, tunnelled = server.mac, server.forward is Forward.TUNNEL
    if tunnelled:
        mac = None if server.way is None else server.way.mac
    keeps = server.duty is not Duty.OUT and server.reachable
    return Server(mac or UNKNOWN_MAC, _SERVER_FLAGS[tunnelled, keeps, server.eligible], seat.stamp, service)


def _server_flags(tunnelled: bool, keeps: bool, takes: bool) -> ServerFlag:
    flags = ServerFlag.TUNNELLED if tunnelled else ServerFlag(0)
    flags |= ServerFlag.KEEPS if keeps else ServerFlag(0)
    return flags | (ServerFlag.TAKES if takes else ServerFlag(0))


# Flags take longer to be put together than all the rest of a server.
_SERVER_FLAGS = {which: _server_flags(*which) for which in product((False, True), repeat=3)}


def _tunnels(
    service: VirtualService, seats: Mapping[ServerPlace, Seat], indices: Mapping[str, int]
) -> Iterator[tuple[int, TunnelEntry]]:
    """An interface that is not there has number 0, and the kernel sends nothing by it."""
    for server in service.servers:
        if server.tunnel is None or server.way is None:
            continue
        way, tunnel = server.way, server.tunnel
        yield (
            seats[_place(server)].number,
            TunnelEntry(
                source=way.source,
                destination=server.address,
                interface=indices.get(way.interface, 0),
                mac=way.own,
                port=tunnel.port if tunnel.encapsulation is Encapsulation.GUE else 0,
                room=max(0, min(way.mtu, _LONGEST_PACKET) - tunnel.overhead(Family.of(server.address))),
            ),
        )


def _place(server: RealServer) -> ServerPlace:
    return server.address, server.port


def _ticks(seconds: int) -> int:
    return layout.ticks(timedelta(seconds=seconds))
