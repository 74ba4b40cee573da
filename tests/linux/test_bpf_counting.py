"""Counted flows: who gets a new one by those that servers have, and what the program counts. No network."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.program import ACK, FIN, PASS, RST, SYN, Bench, Outcome, bench, frame, packet, sent
from yaoki.core.address import MacAddress
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.linux.bpf.layout import Reason

DIRECT, TCP, UDP = Forward.DIRECT, Protocol.TCP, Protocol.UDP
LC, WLC, P2C = Scheduler.LEAST_CONNECTION, Scheduler.WEIGHTED_LEAST_CONNECTION, Scheduler.POWER_OF_TWO
BOTH = pytest.mark.parametrize("family", [4, 6])

pytestmark = pytest.mark.req("D-30")


def give(program: Bench, port: int, flags: object = SYN, *, family: int = 4, protocol: Protocol = TCP) -> Outcome:
    return program.give(frame(packet(family, protocol, port=port, flags=flags)))  # type: ignore[arg-type] # TcpFlags


def limited(wanted: VirtualService, *limits: int | None) -> VirtualService:
    pairs = zip(wanted.servers, limits, strict=True)
    return replace(wanted, servers=tuple(replace(server, limit=limit) for server, limit in pairs))


@BOTH
def test_a_new_flow_goes_to_the_server_with_the_fewest_and_equals_take_turns(program: Bench, family: int) -> None:
    wanted = trio(DIRECT, family=family, scheduler=LC, weights=(1, 5000, 1000))
    program.put(wanted)
    first = [str(give(program, 1000 + n, family=family).to) for n in range(6)]
    assert sorted(first[:3]) == sorted(first[3:]) == ["s1", "s2", "s3"], "weights do not count"
    assert program.loads(wanted) == [2, 2, 2]
    ended = first.index("s2")
    assert give(program, 1000 + ended, FIN | ACK, family=family) == sent("s2")
    assert program.loads(wanted) == [2, 1, 2]
    assert give(program, 2000, family=family) == sent("s2")


def test_weights_count_where_it_is_by_weight(program: Bench) -> None:
    wanted = trio(DIRECT, scheduler=WLC, weights=(3000, 2000, 1000))
    program.put(wanted)
    for number in range(60):
        give(program, 1000 + number)
    assert program.loads(wanted) == [30, 20, 10]


def test_a_change_of_weights_keeps_what_was_counted(program: Bench) -> None:
    """As each step of a slow start is."""
    program.put(trio(DIRECT, scheduler=WLC))
    for number in range(30):
        give(program, 1000 + number)
    wanted = trio(DIRECT, scheduler=WLC, weights=(1000, 1000, 4000))
    program.put(wanted)
    assert program.loads(wanted) == [10, 10, 10]
    for number in range(30):
        give(program, 2000 + number)
    assert program.loads(wanted) == [10, 10, 40]


def test_of_idle_servers_the_heaviest_is_first(program: Bench) -> None:
    program.put(trio(DIRECT, scheduler=WLC, weights=(1000, 1000, 4000)))
    assert [give(program, 1000 + n).to for n in range(3)] == ["s3", "s3", "s3"]


@BOTH
def test_of_two_that_are_drawn_the_one_with_fewer_flows_gets_it(program: Bench, family: int) -> None:
    wanted = trio(DIRECT, family=family, scheduler=P2C)
    program.put(wanted)
    for number in range(300):
        give(program, 1000 + number, family=family)
    loads = program.loads(wanted)
    assert sum(loads) == 300
    assert max(loads) - min(loads) <= 12, "by chance alone the difference would be some 25"
    program.set_load(wanted, 0, 1000)
    found = [give(program, 5000 + number, family=family).to for number in range(50)]
    assert "s1" not in found


def test_what_is_drawn_is_drawn_by_weight(program: Bench) -> None:
    wanted = trio(DIRECT, scheduler=P2C, weights=(4000, 1000, 1000))
    program.put(wanted)
    for number in range(600):
        give(program, 1000 + number)
    loads = program.loads(wanted)
    assert 360 <= loads[0] <= 440


@BOTH
@pytest.mark.parametrize("protocol", list(Protocol), ids=str)
@pytest.mark.parametrize("scheduler", [LC, WLC, P2C], ids=str)
def test_a_flow_is_counted_once_and_stays_where_it_is(
    program: Bench, family: int, protocol: Protocol, scheduler: Scheduler
) -> None:
    wanted = trio(DIRECT, family=family, protocol=protocol, scheduler=scheduler)
    program.put(wanted)
    names = {give(program, 1000, flags, family=family, protocol=protocol).to for flags in (SYN, SYN, ACK, ACK, ACK)}
    assert len(names) == 1
    assert sorted(program.loads(wanted)) == [0, 0, 1]


@pytest.mark.parametrize("ends", [(FIN | ACK, FIN | ACK, ACK), (RST,), (FIN | ACK, RST)])
def test_the_end_of_a_flow_is_counted_once(program: Bench, ends: tuple[object, ...]) -> None:
    wanted = trio(DIRECT, scheduler=LC)
    program.put(wanted)
    for opening in ((SYN, ACK), (SYN,)):
        for flags in opening + ends:
            give(program, 1000, flags)
        assert program.loads(wanted) == [0, 0, 0]


def test_the_first_packet_that_is_a_last_one_counts_nothing(program: Bench) -> None:
    wanted = trio(DIRECT, scheduler=LC)
    program.put(wanted)
    assert give(program, 1000, RST).verdict == "send"
    assert program.loads(wanted) == [0, 0, 0]


def test_a_port_that_is_used_again_is_another_flow(program: Bench) -> None:
    wanted = trio(DIRECT, scheduler=LC)
    program.put(wanted)
    for flags in (SYN, ACK, FIN | ACK, SYN):
        give(program, 1000, flags)
    assert sorted(program.loads(wanted)) == [0, 0, 1]


def test_where_nobody_asks_nothing_is_counted(program: Bench) -> None:
    wanted = trio(DIRECT)
    program.put(wanted)
    give(program, 1000)
    assert program.loads(wanted) == [0, 0, 0]


@pytest.mark.parametrize("scheduler", [LC, WLC, P2C], ids=str)
def test_a_server_that_takes_none_is_passed_over_before_the_ring_follows(program: Bench, scheduler: Scheduler) -> None:
    program.put(trio(DIRECT, scheduler=scheduler))
    program.servers_only(trio(DIRECT, Duty.OUT, Duty.DRAIN, scheduler=scheduler))
    assert {give(program, 1000 + n).to for n in range(30)} == {"s3"}
    program.servers_only(trio(DIRECT, Duty.OUT, Duty.DRAIN, Duty.OUT, scheduler=scheduler))
    assert give(program, 2000) == PASS
    assert program.tables.reasons()[Reason.NO_SERVER] == 1


def test_below_zero_is_nothing(program: Bench) -> None:
    """As after a count that two processors took part in."""
    wanted = trio(DIRECT, scheduler=LC)
    program.put(wanted)
    program.set_load(wanted, 0, -5)
    assert sorted(str(give(program, 1000 + n).to) for n in range(3)) == ["s1", "s2", "s3"]


# --- limits


@BOTH
@pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
def test_a_server_takes_no_more_flows_than_its_limit(program: Bench, family: int, scheduler: Scheduler) -> None:
    wanted = limited(trio(DIRECT, family=family, scheduler=scheduler), 2, 3, 1)
    program.put(wanted)
    if scheduler is Scheduler.SOURCE_HASH:
        assert len({give(program, 1000 + n, family=family).to for n in range(6)}) == 3, "who is full is passed over"
    else:
        assert {give(program, 1000 + n, family=family).verdict for n in range(6)} == {"send"}
    assert program.loads(wanted) == [2, 3, 1]
    assert give(program, 2000, family=family) == PASS
    assert {give(program, 1000 + n, ACK, family=family).verdict for n in range(6)} == {"send"}, "known flows stay"
    owner = give(program, 1003, FIN | ACK, family=family)
    assert give(program, 2001, family=family) == owner, "its place is free"


def test_a_server_without_a_limit_takes_what_the_others_do_not(program: Bench) -> None:
    wanted = limited(trio(DIRECT), 1, None, 1)
    program.put(wanted)
    names = [give(program, 1000 + n).to for n in range(9)]
    assert (names.count("s1"), names.count("s3")) == (1, 1)


def test_a_source_that_is_remembered_with_a_full_server_gets_another(program: Bench) -> None:
    wanted = limited(trio(DIRECT, mask=32), 2, 2, 2)
    program.put(wanted)
    names = [give(program, 1000 + n).to for n in range(4)]
    assert names[0] == names[1] != names[2] == names[3]


def test_many_full_servers_are_passed_over(program: Bench) -> None:
    servers = [replace(server(n, DIRECT), limit=1 if n < 9 else None) for n in range(1, 10)]
    wanted = service(*[replace(each, weight=8000 if each.limit else 1000) for each in servers])
    program.put(wanted)
    for number in range(80):
        assert give(program, 1000 + number).verdict == "send"
    assert program.loads(wanted)[:8] == [1] * 8


@pytest.mark.parametrize("scheduler", [LC, WLC, P2C], ids=str)
def test_of_very_many_servers_all_get_flows(scheduler: Scheduler) -> None:
    """More than a small ring holds, and more than are compared at a time."""
    count = 1100
    servers = [
        replace(
            server(1, DIRECT),
            name=f"s{n}",
            address=IPv4Address("198.18.0.0") + n,
            mac=MacAddress(bytes(4) + n.to_bytes(2, "big")),
        )
        for n in range(1, count + 1)
    ]
    with bench(servers=2048, loads=2048, capacities=2048, server_counts=2048, flows4=8192, new_flows4=8192) as program:
        wanted = service(*servers, scheduler=scheduler)
        program.put(wanted)
        for number in range(3 * count):
            assert give(program, 1000 + number).verdict == "send"
        loads = program.loads(wanted)
    assert sum(loads) == 3 * count
    assert max(loads) <= 7
    if scheduler is not P2C:
        assert min(loads) >= 1
