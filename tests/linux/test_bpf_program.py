"""The balancer's program, frame by frame, in both hooks: what it answers, and what it remembers. No network."""

import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lb.samples import server, service, trio
from tests.linux.program import (
    ACK,
    CLIENT,
    DROP,
    FIN,
    LOOPBACK,
    PASS,
    ROUTER,
    RST,
    SYN,
    VIP,
    Bench,
    Hook,
    Outcome,
    error_about,
    fragments,
    frame,
    ip,
    packet,
    sent,
)
from yaoki.core.address import Family, IPAddress
from yaoki.lb.kernel_hash import flow_slot, source_slot
from yaoki.lb.schedulers import slots_of
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.lb.why import Flow
from yaoki.linux.bpf.layout import FlowState, Reason, RingSize, Server, ServerFlag, ServiceFlag
from yaoki.packet.tcp import TcpFlags

DIRECT = Forward.DIRECT
TCP, UDP = Protocol.TCP, Protocol.UDP
HOOKS = pytest.mark.parametrize("hook", list(Hook), ids=str)
BOTH = pytest.mark.parametrize("family", [4, 6])
EITHER = pytest.mark.parametrize("protocol", list(Protocol), ids=str)


def hashed(family: int, protocol: Protocol = TCP, *duties: Duty) -> VirtualService:
    return trio(DIRECT, *duties, family=family, protocol=protocol, scheduler=Scheduler.SOURCE_HASH)


def expected(service: VirtualService, source: IPAddress) -> str:
    slots = slots_of(service)
    assert slots is not None
    return slots.servers[source_slot(source, len(slots))].name


def opened(program: Bench, family: int, protocol: Protocol, port: int, hook: Hook = Hook.TC) -> str:
    """A flow of two packets; the server that it has."""
    found = [program.give(frame(packet(family, protocol, port=port, flags=flags)), hook) for flags in (SYN, ACK)]
    assert found[0] == found[1]
    assert found[0].to is not None
    return found[0].to


# --- new flows


@pytest.mark.req("D-01", "D-06", "D-08")
@HOOKS
@BOTH
@EITHER
def test_new_flows_get_servers_in_turn(program: Bench, family: int, protocol: Protocol, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family, protocol=protocol))
    names = [program.give(frame(packet(family, protocol, port=1000 + n, flags=SYN)), hook) for n in range(6)]
    assert names == [sent("s1"), sent("s2"), sent("s3")] * 2


@pytest.mark.req("D-30")
def test_a_servers_share_is_its_share_of_the_slots(program: Bench) -> None:
    program.put(trio(DIRECT, weights=(3000, 2000, 1000)))
    names = [program.give(frame(packet(4, TCP, port=1000 + n, flags=SYN))).to for n in range(12)]
    assert {name: names.count(name) for name in names} == {"s1": 6, "s2": 4, "s3": 2}


@pytest.mark.req("D-34")
@BOTH
@HOOKS
@pytest.mark.parametrize("duties", [(), (Duty.SERVE, Duty.DRAIN)], ids=["all-serve", "one-drained"])
def test_a_source_gets_the_server_that_python_foretells(
    program: Bench, family: int, hook: Hook, duties: tuple[Duty, ...]
) -> None:
    """The Maglev table is Python's and the hash is Bob Jenkins' in both, so every plane and node agrees."""
    wanted = hashed(family, TCP, *duties)
    program.put(wanted)

    @given(st.ip_addresses(v=4 if family == 4 else 6))
    def foretold(source: IPv4Address | IPv6Address) -> None:
        outcome = program.give(frame(packet(family, TCP, source=source, flags=SYN)), hook)
        assert outcome == sent(expected(wanted, source))

    foretold()


@pytest.mark.req("D-34")
@BOTH
@HOOKS
def test_a_flow_gets_the_server_that_python_foretells(program: Bench, family: int, hook: Hook) -> None:
    wanted = trio(DIRECT, family=family, scheduler=Scheduler.MAGLEV)
    slots = slots_of(wanted)
    assert slots is not None
    program.put(wanted)

    @given(st.ip_addresses(v=4 if family == 4 else 6), st.integers(1, 65535), st.sampled_from((SYN, ACK)))
    def foretold(source: IPv4Address | IPv6Address, port: int, flags: TcpFlags) -> None:
        outcome = program.give(frame(packet(family, TCP, source=source, port=port, flags=flags)), hook)
        assert outcome == sent(slots.servers[flow_slot(source, port, len(slots))].name)

    foretold()
    assert program.tables.flow(wanted.key, Flow(CLIENT[family], 1)) is None


@BOTH
def test_a_hashed_services_first_packet_stores_nothing_and_its_second_does(program: Bench, family: int) -> None:
    wanted = hashed(family)
    program.put(wanted)
    flow = Flow(CLIENT[family], 40000)
    program.give(frame(packet(family, TCP, flags=SYN)))
    assert program.tables.flow(wanted.key, flow) is None
    program.give(frame(packet(family, TCP)))
    entry = program.tables.flow(wanted.key, flow)
    assert entry is not None
    assert entry.state is FlowState.ESTABLISHED


@BOTH
def test_a_ring_of_many_slots_is_read_to_its_last(program: Bench, family: int) -> None:
    """65,521 slots, all of one server but the last."""
    wanted = service(server(1, DIRECT, family=family), server(2, DIRECT, family=family), family=family)
    program.put(wanted)
    program.tables.put_rings({0: [1] * 65520 + [2]})
    (key, entry), *_ = program.tables.services()
    program.tables.put_service(key, replace(entry, ring=RingSize.LARGE, flags=ServiceFlag.BY_SOURCE))
    base = int(CLIENT[family])
    sources = (type(CLIENT[family])(base + number) for number in range(400_000))
    last = next(source for source in sources if source_slot(source, 65521) == 65520)
    assert program.give(frame(packet(family, TCP, source=last))) == sent("s2")
    assert program.give(frame(packet(family, TCP, source=CLIENT[family]))) == sent("s1")


# --- known flows


@HOOKS
@BOTH
@EITHER
def test_a_flow_keeps_its_server_whatever_becomes_of_the_ring(
    program: Bench, family: int, protocol: Protocol, hook: Hook
) -> None:
    program.put(trio(DIRECT, family=family, protocol=protocol))
    has = opened(program, family, protocol, 40000, hook)
    program.put(trio(DIRECT, Duty.DRAIN, family=family, protocol=protocol, weights=(1000, 1, 7)))
    for _ in range(3):
        assert program.give(frame(packet(family, protocol)), hook) == sent(has)


@pytest.mark.req("D-12")
@BOTH
@EITHER
def test_a_dead_servers_flow_moves_at_once_before_the_ring_follows(
    program: Bench, family: int, protocol: Protocol
) -> None:
    program.put(trio(DIRECT, family=family, protocol=protocol))
    assert opened(program, family, protocol, 40000) == "s1"
    program.servers_only(trio(DIRECT, Duty.OUT, family=family, protocol=protocol))
    moved = program.give(frame(packet(family, protocol)))
    assert moved.to in {"s2", "s3"}
    assert program.give(frame(packet(family, protocol))) == moved
    names = {program.give(frame(packet(family, protocol, port=port, flags=SYN))).to for port in range(1000, 1009)}
    assert names == {"s2", "s3"}


def test_a_server_that_came_in_anothers_place_does_not_inherit_its_flows(program: Bench) -> None:
    """A number that is used again has another stamp: what is remembered of the old one leads nowhere."""
    program.put(trio(DIRECT))
    assert opened(program, 4, TCP, 40000) == "s1"
    s3 = server(3, DIRECT).mac
    assert s3 is not None
    program.tables.put_servers({1: Server(s3, ServerFlag.KEEPS, 5000, 0)})
    assert program.give(frame(packet(4, TCP))) == sent("s2")


@EITHER
def test_a_flow_that_was_idle_too_long_is_a_new_one(program: Bench, protocol: Protocol) -> None:
    program.put(trio(DIRECT, protocol=protocol), established=1)
    assert opened(program, 4, protocol, 40000) == "s1"
    time.sleep(0.3)
    assert program.give(frame(packet(4, protocol))) == sent("s2")


def test_a_flow_that_is_only_opening_is_forgotten_sooner(program: Bench) -> None:
    program.put(trio(DIRECT), opening=8)  # 0.5 s
    assert opened(program, 4, TCP, 40000) == "s1"
    assert program.give(frame(packet(4, TCP, port=40001, flags=SYN))) == sent("s2")
    time.sleep(0.8)
    assert program.give(frame(packet(4, TCP, port=40001, flags=SYN))) == sent("s3")
    assert program.give(frame(packet(4, TCP))) == sent("s1")


@BOTH
@pytest.mark.parametrize("end", [FIN | ACK, RST], ids=["fin", "rst"])
@pytest.mark.parametrize("packets", [0, 1, 2], ids=["after-syn", "after-ack", "after-data"])
def test_a_flow_that_ends_keeps_its_server_until_a_new_one_begins(
    program: Bench, family: int, packets: int, end: TcpFlags
) -> None:
    program.put(trio(DIRECT, family=family))
    for flags in (SYN, ACK, ACK)[: packets + 1]:
        program.give(frame(packet(family, TCP, flags=flags)))
    assert program.give(frame(packet(family, TCP, flags=end))) == sent("s1")
    entry = program.tables.flow(trio(DIRECT, family=family).key, Flow(CLIENT[family], 40000))
    assert entry is not None
    assert entry.state is FlowState.CLOSING
    assert program.give(frame(packet(family, TCP))) == sent("s1")
    assert opened(program, family, TCP, 40000) == "s2"


@BOTH
@pytest.mark.parametrize("packets", [1, 2], ids=["after-ack", "after-data"])
def test_a_port_that_is_used_again_has_one_server_though_the_servers_have_changed(
    program: Bench, family: int, packets: int
) -> None:
    """A client's port comes again within seconds where it was the server that closed. What that server remembers of the
    connection before answers neither a second one's segments nor lets them be."""
    wanted = hashed(family)
    program.put(wanted)
    before = program.give(frame(packet(family, TCP, flags=SYN)))
    for flags in (ACK,) * packets + (FIN | ACK,):
        assert program.give(frame(packet(family, TCP, flags=flags))) == before
    program.put(hashed(family, TCP, *(Duty.DRAIN if sent(s.name) == before else Duty.SERVE for s in wanted.servers)))
    now = program.give(frame(packet(family, TCP, flags=SYN)))
    assert now not in {before, PASS}
    assert [program.give(frame(packet(family, TCP))) for _ in range(2)] == [now, now]


def test_of_a_flow_that_has_ended_the_entry_goes_soon(program: Bench) -> None:
    program.put(trio(DIRECT), closing=1)
    assert opened(program, 4, TCP, 40000) == "s1"
    assert program.give(frame(packet(4, TCP, flags=FIN | ACK))) == sent("s1")
    time.sleep(0.3)
    assert program.give(frame(packet(4, TCP))) == sent("s2")


@pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
def test_a_repeated_syn_goes_where_the_first_one_went(program: Bench, scheduler: Scheduler) -> None:
    program.put(trio(DIRECT, scheduler=scheduler))
    first = program.give(frame(packet(4, TCP, flags=SYN)))
    assert program.give(frame(packet(4, TCP, flags=SYN))) == first
    program.give(frame(packet(4, TCP)))
    assert program.give(frame(packet(4, TCP, flags=SYN))) == first


@BOTH
@EITHER
@pytest.mark.parametrize("scheduler", [Scheduler.ROUND_ROBIN, Scheduler.SOURCE_HASH], ids=str)
def test_a_flood_of_first_packets_is_bounded_and_drives_out_no_established_flow(
    program: Bench, family: int, protocol: Protocol, scheduler: Scheduler
) -> None:
    wanted = trio(DIRECT, family=family, protocol=protocol, scheduler=scheduler)
    program.put(wanted)
    names = {port: opened(program, family, protocol, port) for port in range(2000, 2050)}
    base = int(CLIENT[family])
    for number in range(3000):
        source = type(CLIENT[family])(base + number)
        assert program.give(frame(packet(family, protocol, source=source, port=9, flags=SYN))).verdict == "send"
    assert len(list(program.tables.flows(Family(family)))) <= 512
    program.put(trio(DIRECT, Duty.DRAIN, family=family, protocol=protocol, scheduler=scheduler))
    for port, name in names.items():
        assert program.give(frame(packet(family, protocol, port=port))) == sent(name)


# --- persistence


@pytest.mark.req("D-31")
@HOOKS
@BOTH
def test_a_source_is_remembered_under_its_mask(program: Bench, family: int, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family, mask=24 if family == 4 else 64))
    base = int(CLIENT[family])
    near, far = type(CLIENT[family])(base + 3), type(CLIENT[family])(base + (1 << (9 if family == 4 else 70)))
    answers = [
        program.give(frame(packet(family, TCP, port=port, flags=SYN, source=source)), hook).to
        for port, source in enumerate((CLIENT[family], CLIENT[family], near, far), 1000)
    ]
    assert answers == ["s1", "s1", "s1", "s2"]


@pytest.mark.req("D-31")
@pytest.mark.parametrize("duty", [Duty.DRAIN, Duty.OUT], ids=str)
def test_a_server_that_takes_no_new_flows_lets_go_of_the_sources_it_had(program: Bench, duty: Duty) -> None:
    program.put(trio(DIRECT, mask=32))
    assert opened(program, 4, TCP, 40000) == "s1"
    program.put(trio(DIRECT, duty, mask=32))
    after = program.give(frame(packet(4, TCP, port=40001, flags=SYN)))
    assert after.to in {"s2", "s3"}
    assert program.give(frame(packet(4, TCP))) == (sent("s1") if duty is Duty.DRAIN else after)
    assert program.give(frame(packet(4, TCP, port=40002, flags=SYN))) == after


def test_a_source_is_forgotten_when_it_was_idle_too_long_and_kept_while_it_is_not(program: Bench) -> None:
    program.put(trio(DIRECT, mask=32), persistence=32)  # 2 s
    assert opened(program, 4, TCP, 40000) == "s1"
    for _ in range(3):
        time.sleep(0.8)
        program.give(frame(packet(4, TCP)))
    assert program.give(frame(packet(4, TCP, port=40001, flags=SYN))) == sent("s1")
    time.sleep(2.3)
    assert program.give(frame(packet(4, TCP, port=40002, flags=SYN))) == sent("s2")


# --- errors and fragments


@pytest.mark.req("D-35")
@HOOKS
@BOTH
@EITHER
def test_an_error_about_a_servers_packet_reaches_that_server(
    program: Bench, family: int, protocol: Protocol, hook: Hook
) -> None:
    program.put(trio(DIRECT, family=family, protocol=protocol))
    for port, name in ((40000, "s1"), (40001, "s2"), (40002, "s3")):
        assert opened(program, family, protocol, port) == name
    for port, name in ((40000, "s1"), (40001, "s2"), (40002, "s3")):
        assert program.give(error_about(family, protocol, port=port), hook) == sent(name)


@pytest.mark.req("D-35")
@BOTH
def test_an_error_about_an_unknown_flow_goes_by_the_hash_or_up_the_stack(program: Bench, family: int) -> None:
    program.put(trio(DIRECT, family=family))
    assert program.give(error_about(family, TCP)) == PASS
    assert program.tables.reasons()[Reason.NO_FLOW] == 1
    program.put(hashed(family))
    assert program.give(error_about(family, TCP)) == sent(expected(hashed(family), CLIENT[family]))
    assert list(program.tables.flows(Family(family))) == []


@HOOKS
@BOTH
def test_an_error_that_quotes_what_the_vip_has_not_sent_is_left_alone(program: Bench, family: int, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family))
    opened(program, family, TCP, 40000)
    other = type(VIP[family])(int(VIP[family]) + 1)
    assert program.give(error_about(family, TCP, of=other), hook) == PASS
    assert program.give(error_about(family, TCP, to_port=81), hook) == PASS


def test_an_error_does_not_end_or_prolong_a_flow(program: Bench) -> None:
    program.put(trio(DIRECT))
    opened(program, 4, TCP, 40000)
    before = program.tables.flow(trio(DIRECT).key, Flow(CLIENT[4], 40000))
    time.sleep(0.2)
    assert program.give(error_about(4, TCP)) == sent("s1")
    assert program.tables.flow(trio(DIRECT).key, Flow(CLIENT[4], 40000)) == before


@pytest.mark.req("D-35")
@HOOKS
@BOTH
@EITHER
def test_fragments_follow_the_first_one(program: Bench, family: int, protocol: Protocol, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family, protocol=protocol))
    for number, name in ((7, "s1"), (8, "s2")):
        first, later = fragments(family, protocol, identification=number, port=40000 + number)
        assert program.give(first, hook) == sent(name)
        assert program.give(later, hook) == sent(name)
    assert program.give(fragments(family, protocol, identification=9)[1], hook) == PASS
    assert program.tables.reasons()[Reason.NO_FIRST_FRAGMENT] == 1


@pytest.mark.rfc("6946", "4")
@HOOKS
def test_a_fragment_that_is_all_of_its_packet_belongs_to_no_other(program: Bench, hook: Hook) -> None:
    program.put(trio(DIRECT, family=6, protocol=UDP))
    header = bytes([17, 0, 0, 0]) + (7).to_bytes(4, "big")
    whole = frame(ip(CLIENT[6], VIP[6], 44, header + packet(6, UDP).payload))
    assert program.give(whole, hook) == sent("s1")
    assert program.give(fragments(6, UDP, identification=7)[1], hook) == PASS


@BOTH
def test_fragments_of_a_dead_servers_packet_are_not_sent_to_it(program: Bench, family: int) -> None:
    program.put(trio(DIRECT, family=family, protocol=UDP))
    first, later = fragments(family, UDP)
    assert program.give(first) == sent("s1")
    program.put(trio(DIRECT, Duty.OUT, family=family, protocol=UDP))
    assert program.give(later) == PASS


EXTENSIONS = {
    "hop-by-hop": (0, bytes([0, 0, 0, 0, 0, 0])),
    "destination": (60, bytes([1]) + bytes(14)),
    "routing": (43, bytes([2]) + bytes(22)),
}


@HOOKS
@pytest.mark.parametrize("names", [("hop-by-hop",), ("hop-by-hop", "destination", "routing"), ("destination",) * 6])
def test_ipv6_extension_headers_are_passed_over(program: Bench, names: tuple[str, ...], hook: Hook) -> None:
    program.put(trio(DIRECT, family=6))
    payload = packet(6, TCP).payload
    number = 6
    for name in reversed(names):
        kind, rest = EXTENSIONS[name]
        rest = rest if len(rest) % 8 == 7 else rest + bytes(7 - len(rest) % 8)
        payload = bytes([number]) + bytes([len(rest) // 8]) + rest[1:] + payload
        number = kind
    assert program.give(frame(ip(CLIENT[6], VIP[6], number, payload)), hook) == sent("s1")


# --- what is left alone


LEFT_ALONE = {
    "another-port": frame(packet(4, TCP, to_port=81)),
    "another-protocol": frame(packet(4, UDP)),
    "ping": frame(ip(CLIENT[4], VIP[4], 1, b"\x08\0\xf7\xff\0\0\0\0")),
    "arp": b"\xff" * 6 + ROUTER.octets + b"\x08\x06" + bytes(46),
    "vlan": frame(packet(4, TCP))[:12] + b"\x81\0\0\x05" + frame(packet(4, TCP))[12:],
    "truncated": frame(packet(4, TCP))[:40],
    "truncated-6": frame(packet(6, TCP))[:60],
    "ip-version-5": frame(packet(4, TCP))[:14] + b"\x55" + frame(packet(4, TCP))[15:],
    "ip-header-of-16": frame(packet(4, TCP))[:14] + b"\x44" + frame(packet(4, TCP))[15:],
}


@HOOKS
@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_is_for_no_service_goes_up_the_stack_as_it_came(program: Bench, name: str, hook: Hook) -> None:
    program.put(trio(DIRECT), trio(DIRECT, family=6))
    assert program.give(LEFT_ALONE[name], hook) == PASS


@HOOKS
@BOTH
def test_a_frame_to_another_mac_is_left_alone(program: Bench, family: int, hook: Hook) -> None:
    """A frame that the bridge floods reaches the balancer too, which must not send it on."""
    program.put(trio(DIRECT, family=family))
    assert program.give(frame(packet(family, TCP), to=ROUTER), hook) == PASS
    assert program.tables.reasons()[Reason.OTHER_HOST] == 1


@HOOKS
@BOTH
def test_a_service_of_another_interface_is_left_alone(program: Bench, family: int, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family), interface=LOOPBACK + 1)
    assert program.give(frame(packet(family, TCP)), hook) == PASS
    assert program.tables.reasons()[Reason.OTHER_INTERFACE] == 1


@HOOKS
@BOTH
@EITHER
def test_without_a_server_new_flows_go_up_the_stack_and_old_ones_stay(
    program: Bench, family: int, protocol: Protocol, hook: Hook
) -> None:
    program.put(trio(DIRECT, family=family, protocol=protocol))
    assert opened(program, family, protocol, 40000, hook) == "s1"
    program.put(trio(DIRECT, *[Duty.DRAIN] * 3, family=family, protocol=protocol))
    assert program.give(frame(packet(family, protocol)), hook) == sent("s1")
    assert program.give(frame(packet(family, protocol, port=40001, flags=SYN)), hook) == PASS
    assert program.tables.reasons()[Reason.NO_SERVER] == 1


def test_a_service_that_was_removed_takes_nothing_any_more(program: Bench) -> None:
    program.put(trio(DIRECT))
    opened(program, 4, TCP, 40000)
    assert program.tables.remove_service(trio(DIRECT).key)
    assert program.give(frame(packet(4, TCP))) == PASS
    assert not program.tables.remove_service(trio(DIRECT).key)


# --- the dead-man gate


@pytest.mark.req("B-19")
@HOOKS
@BOTH
def test_nothing_is_sent_for_an_address_whose_deadline_has_passed(program: Bench, family: int, hook: Hook) -> None:
    program.put(trio(DIRECT, family=family, protocol=UDP), trio(DIRECT, family=family))
    first, later = fragments(family, UDP)
    assert program.give(first, hook) == sent("s1")
    opened(program, family, TCP, 40000, hook)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    program.tables.put_deadline(VIP[family], now + 60_000_000_000)
    assert program.give(frame(packet(family, TCP)), hook) == sent("s1")
    program.tables.put_deadline(VIP[family], now - 1)
    time.sleep(0.02)
    given = (frame(packet(family, TCP)), frame(packet(family, TCP, port=1, flags=SYN)), later, error_about(family, TCP))
    assert [program.give(each, hook) for each in given] == [DROP] * 4
    assert program.tables.reasons()[Reason.SHUT] == 4
    assert program.give(frame(packet(family, TCP, to_port=81)), hook) == PASS
    program.tables.put_deadline(VIP[family], 0)
    assert program.give(frame(packet(family, TCP)), hook) == sent("s1")


def test_a_deadline_is_one_addresss_own(program: Bench) -> None:
    program.put(trio(DIRECT))
    program.put(service(server(1, DIRECT, family=6), family=6))
    assert program.tables.put_deadline(VIP[6], 1)
    assert not program.tables.put_deadline(IPv4Address("192.0.2.51"), 1)
    assert opened(program, 4, TCP, 40000) == "s1"


# --- counters


@pytest.mark.req("D-02")
@BOTH
def test_packets_octets_and_flows_are_counted_for_server_and_service(program: Bench, family: int) -> None:
    wanted = trio(DIRECT, family=family)
    program.put(wanted)
    given = [frame(packet(family, TCP, port=port, flags=flags)) for port in (1, 2) for flags in (SYN, ACK)]
    assert [program.give(each).to for each in given] == ["s1", "s1", "s2", "s2"]
    length = len(given[0]) - 14
    counts = list(program.tables.server_counts())
    assert [(each.packets, each.octets, each.flows) for each in counts[1:4]] == [(2, 2 * length, 1)] * 2 + [(0, 0, 0)]
    found = program.tables.service_count(0)
    assert (found.packets, found.octets, found.flows) == (4, 4 * length, 2)
    program.tables.reset_server_counts([1])
    assert [each.packets for each in program.tables.server_counts()][1:3] == [0, 2]


def test_the_outcome_says_what_it_says() -> None:
    """The bench itself: a frame that is sent and one that is not are not the same outcome."""
    assert sent("s1") != PASS != DROP
    assert Outcome("send", "s1") == sent("s1")
