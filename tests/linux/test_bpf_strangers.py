"""Segments in the midst of connections that the program does not know: held up, once. No network."""

import time
from dataclasses import replace

import pytest

from tests.lb.samples import trio
from tests.linux.program import (
    ACK,
    CLIENT,
    DROP,
    FIN,
    PASS,
    RST,
    SYN,
    Bench,
    Hook,
    Outcome,
    bench,
    error_about,
    fragments,
    frame,
    packet,
    sent,
)
from yaoki.core.address import Family
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import FlowEntry, FlowState, Reason
from yaoki.packet.tcp import TcpFlags

pytestmark = pytest.mark.req("B-14", "B-22")

DIRECT, TCP, UDP = Forward.DIRECT, Protocol.TCP, Protocol.UDP
BOTH = pytest.mark.parametrize("family", [4, 6])
HOOKS = pytest.mark.parametrize("hook", list(Hook), ids=str)
HELD_UP_S, PAST_S = 0.08, 0.13
"""Less than a stranger waits, by more than a tick of the kernel's clock; and more."""


@pytest.fixture
def program(program: Bench) -> Bench:
    """Another member wants to hear of the first service."""
    program.tables.put_told([0])
    return program


def in_turn(family: int = 4, *duties: Duty, protocol: Protocol = TCP) -> VirtualService:
    return trio(DIRECT, *duties, family=family, protocol=protocol, scheduler=Scheduler.ROUND_ROBIN)


def give(
    program: Bench,
    flags: TcpFlags,
    *,
    family: int = 4,
    port: int = 40000,
    protocol: Protocol = TCP,
    hook: Hook = Hook.TC,
) -> Outcome:
    return program.give(frame(packet(family, protocol, port=port, flags=flags)), hook)


def put_copy(program: Bench, service: VirtualService, server: int, *, port: int = 40000) -> None:
    """Another node has told of the flow."""
    seat, family = program.seat(service, server), service.key.family
    seen = layout.tick()
    key = layout.flow_key_of(service.key, CLIENT[family.value], port)
    program.tables.put_flows(family, {key: FlowEntry(seat.number, seat.stamp, seen, FlowState.ESTABLISHED)})


@HOOKS
@BOTH
def test_a_stranger_is_dropped_for_a_while_and_then_scheduled(program: Bench, family: int, hook: Hook) -> None:
    program.put(in_turn(family))
    again = None
    for port in range(40000, 40050):
        begun = time.monotonic()
        assert give(program, ACK, family=family, port=port, hook=hook) == DROP
        again = give(program, ACK, family=family, port=port, hook=hook)
        if time.monotonic() - begun < HELD_UP_S:
            break
    assert again == DROP
    assert program.tables.reasons()[Reason.HELD_UP] >= 2
    time.sleep(PAST_S)
    first = give(program, ACK, family=family, port=port, hook=hook)
    assert first.verdict == "send"
    assert [give(program, flags, family=family, port=port, hook=hook) for flags in (ACK, FIN | ACK)] == [first] * 2


@BOTH
@pytest.mark.parametrize("flags", [ACK, FIN | ACK], ids=str)
@pytest.mark.parametrize("server", [0, 1, 2])
def test_one_whose_copy_comes_meanwhile_goes_to_its_server(
    program: Bench, family: int, flags: TcpFlags, server: int
) -> None:
    service = in_turn(family)
    program.put(service)
    assert give(program, flags, family=family) == DROP
    put_copy(program, service, server)
    assert give(program, flags, family=family) == sent(service.servers[server].name)


def test_a_copy_that_comes_later_still_has_the_last_word(program: Bench) -> None:
    service = in_turn()
    program.put(service)
    assert give(program, ACK) == DROP
    time.sleep(PAST_S)
    assert give(program, ACK) == sent("s1")
    put_copy(program, service, 2)
    assert give(program, ACK) == sent("s3")


@HOOKS
@BOTH
def test_what_opens_never_waits_nor_what_follows(program: Bench, family: int, hook: Hook) -> None:
    program.put(in_turn(family))
    for number in range(6):
        wanted = sent(f"s{number % 3 + 1}")
        for flags in (SYN, SYN, ACK, ACK, FIN | ACK, ACK):
            assert give(program, flags, family=family, port=1000 + number, hook=hook) == wanted
    assert program.tables.reasons()[Reason.HELD_UP] == 0


@BOTH
def test_resets_datagrams_and_errors_never_wait(program: Bench, family: int) -> None:
    program.put(in_turn(family))
    for flags in (RST, RST | ACK):
        assert give(program, flags, family=family, port=1000 + flags).verdict == "send"
    assert program.give(error_about(family, TCP, port=2000)) == PASS
    program.put(in_turn(family, protocol=UDP))
    program.tables.put_told([0, 1])
    assert give(program, ACK, family=family, protocol=UDP).verdict == "send"
    assert program.tables.reasons()[Reason.HELD_UP] == 0


@BOTH
@pytest.mark.parametrize("scheduler", [Scheduler.MAGLEV, Scheduler.SOURCE_HASH])
def test_where_every_member_finds_the_server_nobody_waits(program: Bench, family: int, scheduler: Scheduler) -> None:
    program.put(trio(DIRECT, family=family, scheduler=scheduler))
    opened = give(program, SYN, family=family)
    assert opened.verdict == "send"
    assert give(program, ACK, family=family) == opened


@BOTH
def test_where_nobody_wants_to_hear_of_a_service_nobody_waits(program: Bench, family: int) -> None:
    program.put(in_turn(family))
    program.tables.put_told([1])
    assert give(program, ACK, family=family) == sent("s1")


def test_flows_of_a_server_that_has_died_are_scheduled_anew_at_once(program: Bench) -> None:
    program.put(in_turn())
    assert [give(program, flags) for flags in (SYN, ACK)] == [sent("s1")] * 2
    program.put(in_turn(4, Duty.OUT, Duty.SERVE, Duty.SERVE))
    assert give(program, ACK).to in {"s2", "s3"}


def test_a_source_is_not_remembered_by_who_waits(program: Bench) -> None:
    service = replace(trio(DIRECT, mask=32), scheduler=Scheduler.ROUND_ROBIN)
    program.put(service)
    assert give(program, ACK) == DROP
    assert program.tables.source(Family.IPV4, 0, CLIENT[4].packed) is None
    time.sleep(PAST_S)
    assert give(program, ACK) == sent("s1")
    assert program.tables.source(Family.IPV4, 0, CLIENT[4].packed) is not None


@BOTH
def test_fragments_wait_for_their_first(program: Bench, family: int) -> None:
    program.put(in_turn(family))
    first, rest = fragments(family, TCP)
    assert [program.give(first), program.give(rest)] == [DROP, PASS]
    time.sleep(PAST_S)
    assert [program.give(first), program.give(rest)] == [sent("s1"), sent("s1")]


@BOTH
def test_whose_place_is_taken_does_not_wait(program: Bench, family: int) -> None:
    """Of 2,000 among 16,384 places, some 120 find theirs taken; while all are, a flood is scheduled as ever."""
    program.put(in_turn(family))
    begun = time.monotonic()
    outcomes = [give(program, ACK, family=family, port=port) for port in range(20000, 22000)]
    held_up = outcomes.count(DROP)
    assert program.tables.reasons()[Reason.HELD_UP] == held_up
    assert held_up > 1700
    if time.monotonic() - begun < 1.5:
        assert held_up < 1970


def test_a_table_of_counters_without_a_place_for_it_is_no_harm() -> None:
    """As the program of an earlier version left it."""
    with bench(reasons=12) as program:
        program.put(in_turn())
        program.tables.put_told([0])
        assert give(program, ACK) == DROP
        assert program.tables.reasons()[Reason.HELD_UP] == 0
