"""What the program tells of flows to whoever wants to hear of a service. No network."""

from collections.abc import Iterator

import pytest

from tests.lb.samples import trio
from tests.linux.program import ACK, CLIENT, FIN, SYN, Bench, bench, frame, packet
from yaoki.core.address import Family
from yaoki.lb.service import Forward, Protocol, Scheduler, VirtualService
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.layout import FlowState
from yaoki.linux.bpf.ring import AT_ONCE, RingReader

DIRECT, TCP, UDP = Forward.DIRECT, Protocol.TCP, Protocol.UDP
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def program(loaded: Bench) -> Iterator[Bench]:
    loaded.empty()
    loaded.tables.put_told([0])
    yield loaded
    heard(loaded)


def heard(program: Bench) -> list[tuple[int, FlowState, bytes, int]]:
    """The server's number and the state, the client's address and port."""
    assert program.tables.news is not None
    ring = RingReader(program.tables.news)
    try:
        found = []
        while octets := ring.read():
            for each in octets:
                entry, key = layout.read_news(each)
                family = Family.IPV4 if len(key) == 16 else Family.IPV6
                found.append((entry.server, entry.state, *layout.read_client(family, key)))
        return found
    finally:
        ring.close()


def give(program: Bench, family: int, *flags: object, port: int = 40000, protocol: Protocol = TCP) -> None:
    for each in flags:
        program.give(frame(packet(family, protocol, port=port, flags=each)))  # type: ignore[arg-type] # TcpFlags


@pytest.mark.req("B-14")
@BOTH
def test_a_flow_is_told_once_at_its_second_packet(program: Bench, family: int) -> None:
    program.put(trio(DIRECT, family=family, scheduler=Scheduler.ROUND_ROBIN))
    give(program, family, SYN, SYN)
    assert heard(program) == []
    give(program, family, ACK, ACK, ACK, FIN | ACK)
    ((_, state, client, port),) = heard(program)
    assert (state, client, port) == (FlowState.ESTABLISHED, CLIENT[family].packed, 40000)


def test_a_datagram_that_stays_alone_is_not_told(program: Bench) -> None:
    program.put(trio(DIRECT, protocol=UDP, scheduler=Scheduler.ROUND_ROBIN))
    for port in range(1000, 1010):
        give(program, 4, ACK, port=port, protocol=UDP)
    assert heard(program) == []
    give(program, 4, ACK, port=1000, protocol=UDP)
    assert [port for *_, port in heard(program)] == [1000]


def test_nothing_is_told_of_a_service_that_nobody_asks_for_or_whose_slots_are_found_again(program: Bench) -> None:
    service: VirtualService = trio(DIRECT, scheduler=Scheduler.ROUND_ROBIN)
    program.put(service)
    program.tables.put_told([1])
    give(program, 4, SYN, ACK, ACK)
    program.tables.put_told([0])
    program.put(trio(DIRECT, scheduler=Scheduler.MAGLEV))
    give(program, 4, SYN, ACK, ACK, port=40001)
    assert heard(program) == []
    program.put(service)
    give(program, 4, SYN, ACK, ACK, port=40002)
    assert [port for *_, port in heard(program)] == [40002]


def test_more_than_is_read_at_once_is_read_by_and_by(program: Bench) -> None:
    program.put(trio(DIRECT, scheduler=Scheduler.ROUND_ROBIN))
    ports = range(2000, 2000 + AT_ONCE + 10)
    for port in ports:
        give(program, 4, SYN, ACK, port=port)
    assert [port for *_, port in heard(program)] == list(ports)


def test_what_nobody_reads_is_dropped_and_forwarding_goes_on() -> None:
    with bench(news=4096) as program:
        program.put(trio(DIRECT, scheduler=Scheduler.ROUND_ROBIN))
        program.tables.put_told([0])
        for port in range(1000, 1300):
            give(program, 4, SYN, port=port)
            assert program.give(frame(packet(4, TCP, port=port, flags=ACK))).verdict == "send"
        told = [port for *_, port in heard(program)]
        assert told == list(range(1000, 1000 + len(told)))
        assert 50 < len(told) < 110
