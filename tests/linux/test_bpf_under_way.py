"""Packets of flows that are under way: they find their service by their server, and are checked like all others."""

import time

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.program import (
    ACK,
    CLIENT,
    FIN,
    LOOPBACK,
    PASS,
    ROUTER,
    SYN,
    Bench,
    Hook,
    frame,
    packet,
    sent,
)
from yaoki.core.address import Family, MacAddress
from yaoki.lb.service import Forward, Protocol, VirtualService
from yaoki.lb.why import Flow
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import Reason, Server, ServerFlag

DIRECT, TCP, UDP = Forward.DIRECT, Protocol.TCP, Protocol.UDP
HOOKS = pytest.mark.parametrize("hook", list(Hook), ids=str)
BOTH = pytest.mark.parametrize("family", [4, 6])


def under_way(program: Bench, family: int, *, port: int = 40000, hook: Hook = Hook.TC) -> str:
    """A flow of two packets; the server that it has."""
    given = [program.give(frame(packet(family, TCP, port=port, flags=flags)), hook) for flags in (SYN, ACK)]
    assert given[0] == given[1]
    assert given[0].to is not None
    return given[0].to


@HOOKS
@BOTH
def test_a_frame_to_another_mac_is_left_alone(program: Bench, family: int, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family))
    has = under_way(program, family, hook=hook)
    assert program.give(frame(packet(family, TCP), to=ROUTER), hook) == PASS
    assert program.tables.reasons()[Reason.OTHER_HOST] == 1
    assert program.give(frame(packet(family, TCP)), hook) == sent(has)


@BOTH
def test_a_service_that_moves_to_another_interface_takes_nothing_more_here(program: Bench, family: int) -> None:
    program.put(trio(DIRECT, family=family))
    under_way(program, family)
    program.put(trio(DIRECT, family=family), interface=LOOPBACK + 1)
    assert program.give(frame(packet(family, TCP))) == PASS
    assert program.tables.reasons()[Reason.OTHER_INTERFACE] == 1


@BOTH
def test_a_time_out_that_becomes_shorter_is_the_flows_too(program: Bench, family: int) -> None:
    program.put(trio(DIRECT, family=family))
    assert under_way(program, family) == "s1"
    program.put(trio(DIRECT, family=family), established=1)
    assert under_way(program, family, port=40001) == "s1"
    time.sleep(0.3)
    assert program.give(frame(packet(family, TCP))) == sent("s2")


def test_it_keeps_its_source_in_mind(program: Bench) -> None:
    wanted = trio(DIRECT, mask=24)
    program.put(wanted)
    under_way(program, 4)
    entry = program.tables.service(wanted.key)
    assert entry is not None
    masked = layout.masked(CLIENT[4], entry.source_mask)
    first = program.tables.source(Family.IPV4, entry.id, masked)
    time.sleep(0.2)
    program.give(frame(packet(4, TCP)))
    later = program.tables.source(Family.IPV4, entry.id, masked)
    assert first is not None
    assert later is not None
    assert later.seen > first.seen


def test_services_are_told_apart(program: Bench) -> None:
    """Each flow goes by its own service, and is counted there."""
    one, other = trio(DIRECT), service(server(4, DIRECT), protocol=UDP)
    program.put(one, other)
    has = under_way(program, 4)
    assert program.give(frame(packet(4, UDP))) == program.give(frame(packet(4, UDP))) == sent("s4")
    program.put(other, interface=LOOPBACK + 1)
    assert program.give(frame(packet(4, UDP))) == PASS
    assert program.give(frame(packet(4, TCP))) == sent(has)
    assert [program.tables.service_count(id_).packets for id_ in (0, 1)] == [3, 2]


def test_a_service_that_is_gone_takes_nothing_though_its_servers_still_sit(program: Bench) -> None:
    program.put(trio(DIRECT))
    under_way(program, 4)
    entry = program.tables.service(trio(DIRECT).key)
    assert entry is not None
    assert program.tables.under_way(entry.id) == entry
    assert program.tables.remove_service(trio(DIRECT).key)
    assert program.tables.under_way(entry.id) is None
    assert program.give(frame(packet(4, TCP))) == PASS
    assert program.tables.reasons()[Reason.NOT_OURS] == 1


def test_the_end_of_a_flow_is_not_overlooked(program: Bench) -> None:
    """A flow with a FIN is closing: another flow of the same ports may begin."""
    program.put(trio(DIRECT))
    assert under_way(program, 4) == "s1"
    assert program.give(frame(packet(4, TCP, flags=FIN | ACK))) == sent("s1")
    assert program.give(frame(packet(4, TCP))) == sent("s1")
    assert program.give(frame(packet(4, TCP, flags=SYN))) == sent("s2")


def test_a_server_without_flows_to_keep_gets_none_of_them(program: Bench) -> None:
    wanted = trio(DIRECT)
    program.put(wanted)
    assert under_way(program, 4) == "s1"
    seat = program.seat(wanted, 0)
    program.tables.put_servers({seat.number: Server(MacAddress(bytes(6)), ServerFlag.TAKES, seat.stamp, 0)})
    assert program.give(frame(packet(4, TCP))) == sent("s2")


@BOTH
def test_what_is_remembered_of_a_flow_is_renewed(program: Bench, family: int) -> None:
    wanted: VirtualService = trio(DIRECT, family=family)
    program.put(wanted)
    under_way(program, family)
    flow = Flow(CLIENT[family], 40000)
    first = program.tables.flow(wanted.key, flow)
    time.sleep(0.2)
    program.give(frame(packet(family, TCP)))
    later = program.tables.flow(wanted.key, flow)
    assert first is not None
    assert later is not None
    assert later.seen > first.seen
