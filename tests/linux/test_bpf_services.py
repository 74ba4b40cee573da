"""A service as entries of the program's maps, as far as no program is needed to see whether they are right."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.lb.samples import trio
from yaoki.lb.service import Duty, Forward, Protocol, RealServer, Scheduler, VirtualService
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import Capacity, ServerFlag, ServiceFlag
from yaoki.linux.bpf.services import UNKNOWN_MAC, Rendered, Seat, ServerPlace, leaving, render

DIRECT = Forward.DIRECT
SEATS: dict[ServerPlace, Seat] = {
    (server.address, server.port): Seat(number, 100 + number) for number, server in enumerate(trio(DIRECT).servers, 1)
}


def rendered(service: VirtualService) -> Rendered:
    return render(service, id_=0, interface=1, mac=UNKNOWN_MAC, seats=SEATS)


def limited(server: RealServer, limit: int | None) -> RealServer:
    return replace(server, limit=limit)


def test_servers_that_are_to_take_or_keep_less_are_told_from_others() -> None:
    before = rendered(trio(DIRECT, Duty.SERVE, Duty.DRAIN)).servers
    after = trio(DIRECT, Duty.DRAIN, Duty.OUT, Duty.SERVE)
    found = leaving(after, before, SEATS)
    assert {number: server.flags for number, server in found.items()} == {1: ServerFlag.KEEPS, 2: ServerFlag(0)}
    assert leaving(trio(DIRECT), before, SEATS) == {}, "who is to do more waits for its slots"
    one = {place: seat for place, seat in SEATS.items() if seat.number == 3}
    assert leaving(after, before, one) == {}


def test_flows_are_counted_where_it_depends_on_them_and_a_counted_service_enters_every_one() -> None:
    assert (
        rendered(trio(DIRECT, scheduler=Scheduler.SOURCE_HASH)).service.flags
        == ServiceFlag.BY_SOURCE | ServiceFlag.LAZY
    )
    assert rendered(trio(DIRECT)).capacities == {}
    wanted = trio(DIRECT, scheduler=Scheduler.SOURCE_HASH)
    some = replace(wanted, servers=(limited(wanted.servers[0], 7), *wanted.servers[1:]))
    counted = ServiceFlag.COUNTED | ServiceFlag.LIMITED
    assert rendered(some).service.flags == ServiceFlag.BY_SOURCE | counted
    assert rendered(some).capacities == {1: Capacity(1000, 7), 2: Capacity(1000), 3: Capacity(1000)}
    least = trio(DIRECT, scheduler=Scheduler.LEAST_CONNECTION, weights=(5, 6, 7))
    assert rendered(least).service.flags == ServiceFlag.LEAST | ServiceFlag.COUNTED
    assert set(rendered(least).capacities.values()) == {Capacity(1)}


@pytest.mark.parametrize(
    ("protocol", "idle_s", "opening", "established"),
    [
        (Protocol.TCP, None, 60, 900),
        (Protocol.TCP, 90, 60, 90),
        (Protocol.TCP, 20, 20, 20),
        (Protocol.UDP, None, 300, 300),
        (Protocol.UDP, 90, 90, 90),
        (Protocol.UDP, 3600, 3600, 3600),
    ],
)
def test_flows_are_kept_for_as_long_as_their_service_says(
    protocol: Protocol, idle_s: int | None, opening: int, established: int
) -> None:
    idle = None if idle_s is None else timedelta(seconds=idle_s)
    service = rendered(replace(trio(DIRECT, protocol=protocol), idle_timeout=idle)).service
    kept = (service.opening, service.established, service.closing)
    assert kept == tuple(layout.ticks(timedelta(seconds=seconds)) for seconds in (opening, established, 30))
