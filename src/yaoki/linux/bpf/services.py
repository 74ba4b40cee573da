"""A virtual service as entries of the program's maps. Pure: numbers and stamps are given.

Servers share one array. Each has a number in it for as long as it is in its service, and a stamp that no other server
has had or will have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.schedulers import Pick, slots_of
from yaoki.lb.service import Duty, Protocol, RealServer, VirtualService
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import Server, ServerFlag, Service, ServiceFlag
from yaoki.linux.nftables_direct import CLOSING_S, DATAGRAM_S, ESTABLISHED_S, OPENING_S

ENDED_S = 3
"""How long the entry of a TCP flow that has ended still leads to its server where a SYN looks nothing up: the next flow
of the same ports may have gone by another ring. Long enough for the last acknowledgements."""
UNKNOWN_MAC = MacAddress(bytes(6))

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


def render(
    service: VirtualService,
    *,
    id_: int,
    interface: int,
    mac: MacAddress,
    seats: Mapping[ServerPlace, Seat],
    gate: int = layout.UNGATED,
) -> Rendered:
    """A service whose servers are all `direct`; `interface` and `mac` are those of the interface that it is on, `gate`
    is the number of its address's deadline. Raises ValueError for more slots than a ring holds."""
    slots = slots_of(service)
    chosen = () if slots is None else slots.servers
    by_source = slots is not None and slots.pick is Pick.BY_SOURCE
    flags = ServiceFlag.BY_SOURCE if by_source else ServiceFlag(0)
    if by_source and service.persistence is None:
        flags |= ServiceFlag.LAZY
    tcp = service.key.protocol is Protocol.TCP
    lazy = ServiceFlag.LAZY in flags
    persistence = service.persistence
    entry = Service(
        id=id_,
        interface=interface,
        mac=mac,
        ring=layout.ring_size(len(chosen)),
        flags=flags,
        gate=gate,
        opening=_ticks(OPENING_S if tcp else DATAGRAM_S),
        established=_ticks(ESTABLISHED_S if tcp else DATAGRAM_S),
        closing=_ticks(ENDED_S if lazy else CLOSING_S),
        persistence=0 if persistence is None else layout.ticks(persistence.timeout),
        source_mask=bytes(16) if persistence is None else layout.mask_of(persistence.prefix_length),
    )
    numbers = tuple(seats[_place(server)].number for server in chosen)
    return Rendered(entry, {seats[_place(s)].number: _server(s, seats[_place(s)]) for s in service.servers}, numbers)


def _server(server: RealServer, seat: Seat) -> Server:
    flags = ServerFlag(0)
    if server.mac is not None and server.duty is not Duty.OUT:
        flags |= ServerFlag.KEEPS
    if server.eligible:
        flags |= ServerFlag.TAKES
    return Server(server.mac or UNKNOWN_MAC, flags, seat.stamp)


def _place(server: RealServer) -> ServerPlace:
    return server.address, server.port


def _ticks(seconds: int) -> int:
    return layout.ticks(timedelta(seconds=seconds))
