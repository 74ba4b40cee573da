"""The balancer's program where servers are across routers, frame by frame: the outer packet to the octet, what comes
out of it at the other end, and what a sender is told whose packet does not fit. No network."""

import struct
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lb.samples import NEXT_HOP, OWN, SOURCE, far, server, service
from tests.linux.program import (
    ACK,
    CLIENT,
    LOOPBACK,
    OURS,
    ROUTER,
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
    transport,
)
from yaoki.core.address import Family, IPAddress
from yaoki.lb.service import Duty, Encapsulation, Forward, Protocol, Scheduler, Tunnel, VirtualService
from yaoki.lb.why import Flow
from yaoki.linux.bpf.layout import Reason, Server, ServerFlag, TunnelEntry
from yaoki.packet import ipv4, ipv6
from yaoki.packet.checksum import internet_checksum
from yaoki.packet.ethernet import EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet

TCP, UDP = Protocol.TCP, Protocol.UDP
IPIP, GUE = Tunnel(), Tunnel(Encapsulation.GUE)
HOOKS = pytest.mark.parametrize("hook", list(Hook), ids=str)
BOTH = pytest.mark.parametrize("family", [4, 6])
EACH = pytest.mark.parametrize("tunnel", [IPIP, GUE], ids=str)
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
UDP_HEADER = struct.Struct("!HHHH")
PORTS = range(49152, 65536)
"""Source ports of UDP around a packet."""


def tunnelled(tunnel: Tunnel, family: int, *, protocol: Protocol = TCP, mtu: int = 1500) -> VirtualService:
    """A service with one server, behind a tunnel."""
    return service(far(1, tunnel, family=family, mtu=mtu), family=family, protocol=protocol)


def wrapped(program: Bench, given: bytes, hook: Hook) -> bytes:
    """The frame that leaves in place of the one given."""
    run = program.run(given, hook)
    assert run.verdict == {Hook.XDP: 3, Hook.TC: 7}[hook]
    return run.frame


def unwrapped(outer: bytes, tunnel: Tunnel, family: int) -> tuple[IPv4Packet | IPv6Packet, int, bytes]:
    """What the other end makes of a frame: the outer packet, the source port of UDP around the inner one, or 0, and the
    inner one."""
    assert outer[:14] == NEXT_HOP.octets + OWN.octets + ETHERTYPE[family].to_bytes(2, "big")
    found: IPv4Packet | IPv6Packet
    if family == 4:
        decoded = ipv4.decode(outer[14:])
        assert isinstance(decoded, IPv4Packet)
        found, protocol = decoded, decoded.protocol
    else:
        decoded6 = ipv6.decode(outer[14:])
        assert isinstance(decoded6, IPv6Packet)
        found, protocol = decoded6, decoded6.next_header
    if tunnel == IPIP:
        assert protocol == {4: 4, 6: 41}[family]
        return found, 0, found.payload
    assert protocol == 17
    port, to_port, length, checksum = UDP_HEADER.unpack_from(found.payload)
    assert port in PORTS
    assert (to_port, length, checksum) == (tunnel.port, len(found.payload), 0)
    return found, port, found.payload[UDP_HEADER.size :]


def of_class(inner: IPv4Packet | IPv6Packet, octet: int) -> IPv4Packet | IPv6Packet:
    """With this type of service, or traffic class."""
    if isinstance(inner, IPv4Packet):
        return replace(inner, type_of_service=octet, identification=octet, dont_fragment=bool(octet & 1))
    return replace(inner, traffic_class=octet, flow_label=octet)


# --- what leaves


@pytest.mark.req("D-05")
@HOOKS
@BOTH
@EACH
def test_a_packet_goes_as_it_is_inside_another_one(program: Bench, family: int, tunnel: Tunnel, hook: Hook) -> None:
    """To the octet; of UDP around it the source port is the flow's, and so is the flow label."""
    program.put(tunnelled(tunnel, family))
    inner = of_class(packet(family, TCP, flags=SYN), 0xB9)
    found = wrapped(program, frame(inner), hook)
    outer, port, _ = unwrapped(found, tunnel, family)
    payload = inner.encode()
    if tunnel == GUE:
        payload = UDP_HEADER.pack(port, 6080, 8 + len(payload), 0) + payload
    number = 17 if tunnel == GUE else {4: 4, 6: 41}[family]
    wanted: IPv4Packet | IPv6Packet = ip(SOURCE[family], far(1, family=family).address, number, payload)
    if isinstance(wanted, IPv4Packet):
        wanted = replace(wanted, type_of_service=0xB9, dont_fragment=True)
    else:
        assert isinstance(outer, IPv6Packet)
        assert outer.flow_label
        wanted = replace(wanted, traffic_class=0xB9, flow_label=outer.flow_label)
    assert found == EthernetFrame(NEXT_HOP, OWN, ETHERTYPE[family], wanted.encode()).encode()


@HOOKS
@BOTH
@EACH
@pytest.mark.parametrize("protocol", list(Protocol), ids=str)
def test_every_packet_comes_out_of_its_tunnel_as_it_went_in(
    program: Bench, family: int, tunnel: Tunnel, protocol: Protocol, hook: Hook
) -> None:
    program.put(tunnelled(tunnel, family, protocol=protocol))
    tos, sources = st.integers(0, 255), st.ip_addresses(v=4 if family == 4 else 6)

    @given(sources, st.integers(1, 65535), st.binary(max_size=1300), tos, st.integers(1, 255))
    def comes_out(source: IPv4Address | IPv6Address, port: int, payload: bytes, tos: int, hops: int) -> None:
        segment = transport(source, VIP[family], protocol=protocol, port=port, payload=payload)
        inner = ip(source, VIP[family], protocol.number, segment)
        inner = replace(of_class(inner, tos), hop_limit=hops)
        outer, _, carried = unwrapped(wrapped(program, frame(inner), hook), tunnel, family)
        assert carried == inner.encode()
        assert (outer.source, outer.destination) == (SOURCE[family], far(1, family=family).address)
        assert outer.hop_limit == 64

    comes_out()


@HOOKS
def test_what_pads_a_short_frame_is_no_part_of_the_packet(program: Bench, hook: Hook) -> None:
    """Ethernet's shortest frame is longer than the shortest packet; the receiver goes by the outer length."""
    program.put(tunnelled(GUE, 4, protocol=UDP))
    inner = packet(4, UDP)
    outer, _, carried = unwrapped(wrapped(program, frame(inner) + bytes(18), hook), GUE, 4)
    assert carried == inner.encode()
    assert isinstance(outer, IPv4Packet)


@HOOKS
@BOTH
def test_flows_differ_in_what_spreads_them_and_a_flow_does_not(program: Bench, family: int, hook: Hook) -> None:
    program.put(tunnelled(GUE, family))

    def spreads(port: int) -> tuple[int, int]:
        found = wrapped(program, frame(packet(family, TCP, port=port)), hook)
        outer, from_port, _ = unwrapped(found, GUE, family)
        return from_port, outer.flow_label if isinstance(outer, IPv6Packet) else 0

    first = [spreads(port) for port in range(1000, 1400)]
    assert [spreads(port) for port in range(1000, 1400)] == first
    assert len({port for port, _ in first}) > 380
    if family == 6:
        assert len({label for _, label in first}) > 390


@BOTH
def test_a_service_may_have_servers_beside_it_and_across_routers(program: Bench, family: int) -> None:
    near = server(1, Forward.DIRECT, family=family)
    program.put(service(near, far(2, family=family), family=family, scheduler=Scheduler.ROUND_ROBIN))
    found = [program.run(frame(packet(family, TCP, port=1000 + n, flags=SYN)), Hook.TC).frame for n in range(4)]
    assert near.mac is not None
    assert [each[:6] for each in found] == [near.mac.octets, NEXT_HOP.octets] * 2
    assert [len(each) - len(found[0]) for each in found] == [0, {4: 20, 6: 40}[family]] * 2


@HOOKS
def test_a_tunnel_may_leave_by_another_interface(program: Bench, hook: Hook) -> None:
    program.put(wanted := tunnelled(IPIP, 4))
    seat = program.seat(wanted, 0)
    entry = program.tables.tunnel(seat.number, Family.IPV4)
    assert entry is not None
    assert entry.interface == LOOPBACK
    program.tables.put_tunnels({seat.number: replace(entry, interface=LOOPBACK + 1)})
    assert program.run(frame(packet(4, TCP)), hook).verdict == {Hook.XDP: 4, Hook.TC: 7}[hook]


@HOOKS
@BOTH
@EACH
def test_fragments_and_errors_go_to_the_flows_server(program: Bench, family: int, tunnel: Tunnel, hook: Hook) -> None:
    servers = [far(number, tunnel, family=family) for number in (1, 2, 3)]
    program.put(service(*servers, family=family, protocol=UDP))
    given = [frame(packet(family, UDP)), *fragments(family, UDP), error_about(family, UDP)]
    found = [unwrapped(wrapped(program, each, hook), tunnel, family) for each in given]
    assert {outer.destination for outer, _, _ in found} == {servers[0].address}
    assert [carried for _, _, carried in found] == [each[14:] for each in given]


# --- who gets it


@BOTH
def test_a_server_without_a_way_gets_nothing(program: Bench, family: int) -> None:
    program.put(service(far(1, family=family, resolved=False), family=family))
    assert program.give(frame(packet(family, TCP))) == Outcome("pass")
    assert program.tables.reasons()[Reason.NO_SERVER] == 1


@HOOKS
@BOTH
def test_flows_stay_behind_a_tunnel_that_leads_another_way(program: Bench, family: int, hook: Hook) -> None:
    """A change of route, and of encapsulation, is one of the way only."""
    servers = [far(number, IPIP, family=family) for number in (1, 2)]
    wanted = service(*servers, family=family, protocol=UDP)
    program.put(wanted)
    given = frame(packet(family, UDP))
    before, _, _ = unwrapped(wrapped(program, given, hook), IPIP, family)
    assert program.tables.flow(wanted.key, Flow(CLIENT[family], 40000)) is not None
    moved = [replace(each, tunnel=GUE, weight=7, duty=Duty.DRAIN) for each in servers]
    program.put(service(*moved, family=family, protocol=UDP))
    after, _, _ = unwrapped(wrapped(program, given, hook), GUE, family)
    assert after.destination == before.destination


@pytest.mark.req("B-19")
@HOOKS
@BOTH
@EACH
def test_nothing_is_wrapped_for_an_address_whose_deadline_has_passed(
    program: Bench, family: int, tunnel: Tunnel, hook: Hook
) -> None:
    program.put(tunnelled(tunnel, family))
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    program.tables.put_deadline(VIP[family], now + 60_000_000_000)
    wrapped(program, frame(packet(family, TCP)), hook)
    program.tables.put_deadline(VIP[family], now - 1)
    time.sleep(0.02)
    for each in (frame(packet(family, TCP)), too_big(family), error_about(family, TCP)):
        run = program.run(each, hook)
        assert (program.verdict(each, hook), run.frame) == ("drop", each)
    assert program.tables.reasons()[Reason.SHUT] == 6


@pytest.mark.req("D-02")
@HOOKS
@BOTH
@EACH
def test_what_goes_inside_is_counted_without_its_outer_headers(
    program: Bench, family: int, tunnel: Tunnel, hook: Hook
) -> None:
    program.put(wanted := tunnelled(tunnel, family))
    given = [frame(packet(family, TCP, port=port, flags=flags)) for port in (1, 2) for flags in (SYN, ACK)]
    for each in given:
        wrapped(program, each, hook)
    octets = sum(len(each) - 14 for each in given)
    number = program.seat(wanted, 0).number
    counts = list(program.tables.server_counts())[number], program.tables.service_count(0)
    assert [(count.packets, count.octets, count.flows) for count in counts] == [(4, octets, 2)] * 2


# --- what does not fit

ROOM = {(4, IPIP): 1480, (4, GUE): 1472, (6, IPIP): 1460, (6, GUE): 1452}
QUOTED = 504


def too_big(family: int, octets: int = 1500, *, source: IPAddress | None = None) -> bytes:
    """A frame with a TCP packet of so many octets."""
    client = source or CLIENT[family]
    headers = {4: 40, 6: 60}[family]
    segment = transport(client, VIP[family], protocol=TCP, payload=bytes(range(256)) * 8)[: octets - headers + 20]
    return frame(ip(client, VIP[family], 6, segment))


@pytest.mark.rfc("1191", "4")
@pytest.mark.rfc("4443", "3.2")
@HOOKS
@BOTH
@EACH
def test_a_sender_is_told_how_large_its_packets_may_be(program: Bench, family: int, tunnel: Tunnel, hook: Hook) -> None:
    program.put(tunnelled(tunnel, family))
    room = ROOM[family, tunnel]
    fits, given = too_big(family, room), too_big(family, room + 1)
    _, _, carried = unwrapped(wrapped(program, fits, hook), tunnel, family)
    assert carried == fits[14:]
    found = wrapped(program, given, hook)
    assert found[:14] == ROUTER.octets + OURS.octets + ETHERTYPE[family].to_bytes(2, "big")
    message = told(found, family)
    assert message[:2] == {4: b"\x03\x04", 6: b"\x02\x00"}[family]
    assert int.from_bytes(message[4:8], "big") == room
    assert message[8:] == given[14 : 14 + QUOTED]
    assert program.tables.reasons()[Reason.TOO_BIG] == 1
    count = program.tables.service_count(0)
    assert count.packets == 1


def told(found: bytes, family: int) -> bytes:
    """The ICMP message in a frame from the VIP to the client, its checksum right."""
    error = ipv4.decode(found[14:]) if family == 4 else ipv6.decode(found[14:])
    assert isinstance(error, IPv4Packet | IPv6Packet)
    pseudo = b""
    if isinstance(error, IPv4Packet):
        assert (error.protocol, error.type_of_service, error.hop_limit) == (1, 0xC0, 64)
    else:
        assert (error.next_header, error.hop_limit) == (58, 64)
        pseudo = error.source.packed + error.destination.packed + struct.pack("!II", len(error.payload), 58)
    assert internet_checksum(pseudo + error.payload) == 0
    assert (error.source, error.destination) == (VIP[family], CLIENT[family])
    return error.payload


@pytest.mark.rfc("1122", "3.2.2")
@pytest.mark.rfc("4443", "2.4")
@HOOKS
@BOTH
def test_nobody_is_told_about_an_error_or_a_later_fragment(program: Bench, family: int, hook: Hook) -> None:
    program.put(tunnelled(IPIP, family, protocol=UDP), tunnelled(IPIP, family))
    first, later = fragments(family, UDP)
    for each in (first, frame(packet(family, TCP))):
        unwrapped(wrapped(program, each, hook), IPIP, family)
    error = longer(error_about(family, TCP), family)
    for each in (error, longer(later, family), too_big(family, source=NOBODY[family])):
        run = program.run(each, hook)
        assert (program.verdict(each, hook), run.frame) == ("drop", each)
    assert program.tables.reasons()[Reason.TOO_BIG_UNTOLD] == 6


@pytest.mark.rfc("4443", "2.4")
@HOOKS
@BOTH
def test_not_more_are_told_than_is_good(program: Bench, family: int, hook: Hook) -> None:
    program.put(tunnelled(IPIP, family))
    time.sleep(0.1)  # into a tick in which nobody was told
    verdicts = [program.verdict(too_big(family), hook) for _ in range(1500)]
    told_of = verdicts.count("send")
    assert 64 <= told_of < 1000
    assert verdicts.count("drop") == 1500 - told_of
    reasons = program.tables.reasons()
    assert (reasons[Reason.TOO_BIG], reasons[Reason.TOO_BIG_UNTOLD]) == (told_of, 1500 - told_of)


def longer(given: bytes, family: int) -> bytes:
    """The same with octets added until the packet has 1500; what is inside it is no matter here."""
    inner = given[14:]
    if family == 4:
        length = (1500).to_bytes(2, "big")
        header = inner[:2] + length + inner[4:10] + b"\0\0" + inner[12:20]
        checksum = internet_checksum(header).to_bytes(2, "big")
        return (given[:14] + header[:10] + checksum + header[12:] + inner[20:]).ljust(1514, b"\0")
    return (given[:14] + inner[:4] + (1460).to_bytes(2, "big") + inner[6:]).ljust(1514, b"\0")


NOBODY: dict[int, IPAddress] = {4: IPv4Address("224.0.0.1"), 6: IPv6Address("ff02::1")}


# --- the layout


@BOTH
def test_an_entry_is_read_as_it_was_written(family: int) -> None:
    entry = TunnelEntry(SOURCE[family], far(1, family=family).address, 7, OWN, 6080, 1452)
    assert TunnelEntry.unpack(entry.pack(), Family(family)) == entry
    assert len(entry.pack()) == 48


def test_what_is_rendered_of_a_tunnel(program: Bench) -> None:
    program.put(wanted := tunnelled(GUE, 6))
    seat = program.seat(wanted, 0)
    assert dict(program.tables.servers())[seat.number] == Server(
        NEXT_HOP, ServerFlag.KEEPS | ServerFlag.TAKES | ServerFlag.TUNNELLED, seat.stamp, 0
    )
    assert program.tables.tunnel(seat.number, Family.IPV6) == TunnelEntry(
        SOURCE[6], far(1, family=6).address, LOOPBACK, OWN, 6080, 1452
    )
