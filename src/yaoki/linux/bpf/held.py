"""A virtual service as the BPF plane holds it: what was asked for, its id and seats, and the entries that follow."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from yaoki.core.error import ActuatorError
from yaoki.lb.plan import ActualService
from yaoki.lb.service import RealServer, VirtualService
from yaoki.linux.bpf.layout import FlowEntry, FlowState, RingSize, ServerFlag, Service, ServiceFlag
from yaoki.linux.bpf.records import ServiceRecord
from yaoki.linux.bpf.services import UNKNOWN_MAC, Rendered, Seat, ServerPlace, render
from yaoki.linux.hardware import hardware
from yaoki.pool.maglev import Fill


@dataclass(frozen=True, slots=True)
class Held:
    """One service of the plane."""

    actual: ActualService
    id: int
    seats: Mapping[ServerPlace, Seat]
    rendered: Rendered

    @property
    def record(self) -> ServiceRecord:
        """What a later life is told of it."""
        service = self.actual.service
        seats = [self.seats[server.address, server.port] for server in service.servers]
        numbers, stamps = tuple(seat.number for seat in seats), tuple(seat.stamp for seat in seats)
        return ServiceRecord(service, self.actual.digest, numbers, stamps)

    def server(self, number: int, stamp: int) -> RealServer | None:
        """The server on a seat; None if nobody of this service is on it."""
        servers = self.actual.service.servers
        seat = Seat(number, stamp)
        return next((each for each in servers if self.seats[each.address, each.port] == seat), None)

    def is_led_by(self, entry: FlowEntry, now: int) -> bool:
        """Whether the program would still heed the entry of a flow, at this tick, and the flow has not ended."""
        server = self.rendered.servers.get(entry.server)
        stands = server is not None and server.stamp == entry.stamp
        return stands and self.is_led(entry.server, entry.seen, entry.state, now)

    def is_led(self, number: int, seen: int, state: int, now: int) -> bool:
        """The same of the parts of an entry with the right stamp."""
        ended = state == FlowState.CLOSING
        return not ended and self.lasts(seen, state, now) and ServerFlag.KEEPS in self.rendered.servers[number].flags

    def lasts(self, seen: int, state: int, now: int) -> bool:
        """Whether the entry of a flow of this service has not idled out."""
        return now - seen <= self.limits[state]

    @property
    def limits(self) -> tuple[int, int, int]:
        """After how many idle ticks an entry goes, by its FlowState."""
        service = self.rendered.service
        return service.opening, service.established, service.closing


NOTHING = Rendered(
    Service(0, 0, UNKNOWN_MAC, RingSize.NONE, ServiceFlag(0), gate=0, opening=0, established=0, closing=0), {}, ()
)
"""Of a service whose interface is not there."""


def in_force(before: Held | None) -> bool:
    """Whether the service is served as it was asked to be."""
    return before is not None and before.actual.intact


def ring_differs(after: Held, before: Held | None) -> bool:
    """Whether another ring is to be put in place of the one before."""
    return before is None or not before.actual.intact or before.rendered.slots != after.rendered.slots


def rendered_here(
    service: VirtualService, id_: int, seats: Mapping[ServerPlace, Seat], gate: int, filling: Fill
) -> Rendered | None:
    """None if its interface is not there. Its MAC is for the program in a driver; for the one at tcx the kernel has
    compared the frame's already. Raises ActuatorError for more slots than a ring holds."""
    try:
        interface = socket.if_nametoindex(service.interface)
        mac = hardware(service.interface).mac or UNKNOWN_MAC
    except OSError:
        return None
    indices = {name: _index(name) for name in {server.way.interface for server in service.servers if server.way}}
    try:
        return render(
            service, id_=id_, interface=interface, mac=mac, seats=seats, gate=gate, indices=indices, filling=filling
        )
    except ValueError as error:
        raise ActuatorError(subject(service), str(error)) from error


def _index(interface: str) -> int:
    """0 if it is not there."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def subject(service: VirtualService) -> str:
    """As errors name it."""
    return f"service {service.name} ({service.key})"
