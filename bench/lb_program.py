"""The balancer's program by itself: nanoseconds for one packet, by BPF_PROG_TEST_RUN, without network or driver.

What the front program costs that restores the packet and varies its flow is subtracted: it is measured with a program
in ours' place that only answers. Each figure is the best of many short runs; its tables were empty before it.
"""

import statistics
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from bench.katran import PROGRAM as KATRAN
from bench.katran import load_katran, object_of_katran
from bench.row import Row
from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.lb.service import (
    Duty,
    Encapsulation,
    Forward,
    Protocol,
    RealServer,
    Scheduler,
    ServiceKey,
    Tunnel,
    VirtualService,
    Way,
)
from yaoki.linux.bpf.build import object_file
from yaoki.linux.bpf.layout import index
from yaoki.linux.bpf.object import LoadedObject, load
from yaoki.linux.bpf.services import Seat, render
from yaoki.linux.bpf.tables import Tables
from yaoki.packet import icmp
from yaoki.packet.ethernet import EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.tcp import TcpFlags, TcpSegment

IPV4_HEADER = 20
LOOPBACK, OURS, ROUTER = 1, MacAddress(bytes(6)), MacAddress.parse("02:00:00:00:00:01")
VIP: dict[Family, IPAddress] = {Family.IPV4: IPv4Address("192.0.2.50"), Family.IPV6: IPv6Address("2001:db8:1::50")}
CLIENT4, CLIENT6 = IPv4Address("198.51.100.9"), IPv6Address("2001:db8:2::9")
MANY = 1 << 25
"""So many flows that none is met twice in a run."""
SERVERS = 3
REPEATS = 65_536
"""Packets of one run: few, so that some run is not disturbed."""
CONNECTION = 5
"""Packets of a client that asks once and is answered once: SYN, ACK, its question, ACK, FIN."""
FULL = 300_000
"""More flows than their table holds."""
_TEMPLATE = struct.Struct("=128sIIIIIIII")
LEAST, TURNS = Scheduler.LEAST_CONNECTION, Scheduler.ROUND_ROBIN
IPIP, GUE = Tunnel(), Tunnel(Encapsulation.GUE)
GOAL_SYN = "<= 1.6"
GOAL_DIRECT, GOAL_IPIP = "<= 0.75", "<= 0.85"
FLOWS = (1, 1024, 65_536)
TURNS_OF_EACH = 3
"""Ours and a peer's are measured in turn so often, and the median of each is told: what memory costs varies."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame, where its source port, the end of its source address and its TCP flags lie, and the hook it comes in at.
    With `packets` it is that many of a connection, from a SYN to a FIN."""

    frame: bytes
    port_at: int = 0
    address_at: int = 0
    hook: str = "xdp"
    packets: int = 0
    flags_at: int = 0


def rows(quick: bool) -> list[Row]:
    """Nanoseconds of a packet, net of the front."""
    bench = Bench(20 if quick else 100)
    tcp, syn, tcp6 = _tcp(TcpFlags.ACK), _tcp(TcpFlags.SYN), _tcp6(TcpFlags.ACK)
    one, one6 = bench.cost(tcp, flows=1), bench.cost(tcp6, flows=1)
    syn6 = bench.cost(_tcp6(TcpFlags.SYN), flows=MANY)
    everything = bench.cost(tcp, flows=65_536, services=1000, deadline=True)
    whole = replace(tcp, packets=CONNECTION, flags_at=47)
    return [
        Row("front alone, with a program that only answers", bench.front(tcp), "ns"),
        *(row for flows in FLOWS for row in _beside_katran(bench, tcp, flows)),
        Row("established, 1 flow, 1,000 services", bench.cost(tcp, flows=1, services=1000), "ns"),
        Row("established, 1 flow, VIP with a deadline", bench.cost(tcp, flows=1, deadline=True), "ns"),
        Row("established, 65,536 flows, 1,000 services, VIP with a deadline", everything, "ns"),
        Row("flood of SYN, source hash", bench.cost(syn, flows=MANY), "ns", one, "established, 1 flow", GOAL_SYN),
        Row("flood of SYN, round robin", bench.cost(syn, flows=MANY, scheduler=TURNS), "ns"),
        Row(f"flood of SYN, least connection of {SERVERS} servers", bench.cost(syn, flows=MANY, scheduler=LEAST), "ns"),
        Row(f"a packet of new connections of {CONNECTION}, source hash", bench.cost(whole, flows=MANY), "ns"),
        Row(
            f"a packet of new connections of {CONNECTION}, round robin",
            bench.cost(whole, flows=MANY, scheduler=TURNS),
            "ns",
        ),
        Row("established, 1 flow, least connection", bench.cost(tcp, flows=1, scheduler=LEAST), "ns"),
        Row("IPv6, established, 1 flow", one6, "ns"),
        Row("IPv6, established, 65,536 flows", bench.cost(tcp6, flows=65_536), "ns"),
        Row("IPv6, flood of SYN, source hash", syn6, "ns", one6, "IPv6, established, 1 flow", GOAL_SYN),
        Row("ICMP error about a known flow", bench.cost(_error(), flows=1, before=tcp), "ns"),
        Row("first fragment", bench.cost(_fragment(more=True), flows=1), "ns"),
        Row("later fragment", bench.cost(_fragment(more=False), flows=1, before=_fragment(more=True)), "ns"),
        Row("GUE, established, 1 flow", bench.cost(tcp, flows=1, tunnel=GUE), "ns", one, "established, 1 flow"),
        Row("IPv6 in IPv6, established, 1 flow", bench.cost(tcp6, flows=1, tunnel=IPIP), "ns"),
        Row("of no service, passed", bench.cost(_tcp(TcpFlags.ACK, port=81), flows=1), "ns"),
        Row("tc: established, 1 flow", bench.cost(_tcp(TcpFlags.ACK, hook="tc"), flows=1), "ns"),
    ]


def _beside_katran(bench: "Bench", tcp: Sample, flows: int) -> list[Row]:
    """The three in turn, so that a machine that is slower for a minute is so for all of them."""
    path = object_of_katran()
    direct, ipip, theirs = [], [], []
    for _ in range(TURNS_OF_EACH):
        direct.append(bench.cost(tcp, flows=flows))
        ipip.append(bench.cost(tcp, flows=flows, tunnel=IPIP))
        if path is not None:
            theirs.append(bench.cost_of_katran(path, tcp, flows=flows))
    what = f"established, {flows:,} flow{'s' if flows > 1 else ''}"
    rows = [
        Row(what, statistics.median(direct), "ns", goal=GOAL_DIRECT),
        Row(f"IP in IP, {what}", statistics.median(ipip), "ns", goal=GOAL_IPIP),
    ]
    if not theirs:
        return [replace(row, goal=None) for row in rows]
    return [replace(row, peer=statistics.median(theirs), peer_name="Katran, IP in IP") for row in rows]


class Bench:
    """The front, and a fresh instance of the program for each figure."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._front = load(object_file("lb_program", Path(__file__).parent))
        self._fronts: dict[tuple[str, int], float] = {}

    def front(self, sample: Sample) -> float:
        """What is not the program's."""
        kind = (sample.hook, sample.packets)
        if kind not in self._fronts:
            plain = replace(sample, frame=_tcp(TcpFlags.ACK).frame, port_at=34, address_at=28)
            self._fronts[kind] = self._best(self._front, f"answer_{sample.hook}", plain, 65_536)
        return self._fronts[kind]

    def cost(
        self,
        sample: Sample,
        *,
        flows: int,
        services: int = 1,
        scheduler: Scheduler = Scheduler.SOURCE_HASH,
        deadline: bool = False,
        before: Sample | None = None,
        tunnel: Tunnel | None = None,
    ) -> float:
        """With tables that hold nothing but services, and what `before` left there."""
        loaded = load(object_file("balancer"))
        try:
            tables = Tables(loaded.maps)
            _fill(tables, services, scheduler, tunnel)
            if deadline:
                tables.put_deadline(VIP[Family.IPV4], 1 << 62)
            for _ in range(2):
                if before is not None:
                    loaded.programs["balance_xdp"].test_run(before.frame)
            taken = self._best(loaded, f"balance_{sample.hook}", sample, flows)
        finally:
            loaded.close()
        return max(taken - self.front(sample), 0)

    def cost_of_katran(self, path: Path, sample: Sample, *, flows: int) -> float:
        """The same of Katran's program, which sends by IP in IP. Raises AssertionError if it does not send."""
        vip = VIP[Family.IPV4]
        assert isinstance(vip, IPv4Address)
        loaded = load_katran(path, vip, 80, [vip + 10 + place for place in range(1, SERVERS + 1)], ROUTER)
        try:
            sent = loaded.programs[KATRAN].test_run(sample.frame)
            assert len(sent.frame) == len(sample.frame) + IPV4_HEADER, sent
            taken = self._best(loaded, KATRAN, sample, flows)
        finally:
            loaded.close()
        return max(taken - self.front(sample), 0)

    def _best(self, loaded: LoadedObject, name: str, sample: Sample, flows: int) -> float:
        """Nanoseconds of the front and the program that it calls."""
        self._front.maps[f"target_{sample.hook}"].update(index(0), index(loaded.programs[name].descriptor))
        front = self._front.programs[f"front_{sample.hook}"]
        at = (sample.port_at, sample.address_at, sample.flags_at)
        values = (len(sample.frame) > 64, flows - 1, 0, *at, sample.packets, 0)
        self._front.maps["templates"].update(index(0), _TEMPLATE.pack(sample.frame.ljust(128, b"\0"), *values))
        # Each flow is in its table after two packets; new connections find it full.
        before = 3 * flows if flows < MANY else FULL * sample.packets or REPEATS
        front.test_run(sample.frame, repeat=before)
        return min(front.test_run(sample.frame, repeat=REPEATS).nanoseconds for _ in range(self._runs))


def _fill(tables: Tables, number: int, scheduler: Scheduler, tunnel: Tunnel | None) -> None:
    rings: dict[int, tuple[int, ...]] = {}
    for family, address in VIP.items():
        tables.put_gate(address, family.value)
    for id_, plain in enumerate(_services(number, scheduler)):
        service = plain if tunnel is None else _behind(plain, tunnel)
        seats = {
            (server.address, server.port): Seat(SERVERS * id_ + place, SERVERS * id_ + place)
            for place, server in enumerate(service.servers, 1)
        }
        gate, indices = service.key.family.value, {"lo": LOOPBACK}
        rendered = render(service, id_=id_, interface=LOOPBACK, mac=OURS, seats=seats, gate=gate, indices=indices)
        tables.put_capacities(rendered.capacities)
        tables.put_tunnels(rendered.tunnels)
        tables.put_servers(rendered.servers)
        tables.put_service(service.key, rendered.service)
        rings[id_] = rendered.slots
    tables.put_rings(rings)


def _behind(service: VirtualService, tunnel: Tunnel) -> VirtualService:
    """The same with all its servers behind tunnels."""
    source = VIP[service.key.family] + 1
    way = Way("lo", OURS, source, ROUTER, source, 1500)
    servers = (replace(server, forward=Forward.TUNNEL, mac=None, tunnel=tunnel, way=way) for server in service.servers)
    return replace(service, servers=tuple(servers))


def _services(number: int, scheduler: Scheduler) -> Iterator[VirtualService]:
    for family in Family:
        for port in range(80, 80 + number) if family is Family.IPV4 else (80,):
            port_ = 80 if port == 80 else 1000 + port
            servers = tuple(
                RealServer(
                    f"web{place}", VIP[family] + 10 + place, port_, Forward.DIRECT, 1000, Duty.SERVE,
                    MacAddress(bytes((2, 0, 0, 0, 0, 0x20 + place))),
                )
                for place in range(SERVERS)
            )  # fmt: skip
            yield VirtualService("web", ServiceKey(VIP[family], Protocol.TCP, port_), "lo", scheduler, servers)


def _tcp(flags: TcpFlags, *, port: int = 80, hook: str = "xdp") -> Sample:
    vip = VIP[Family.IPV4]
    assert isinstance(vip, IPv4Address)
    segment = TcpSegment(40000, port, 1, 1, flags, 512, payload=bytes(10)).encode(CLIENT4, vip)
    return Sample(_frame(IPv4Packet(CLIENT4, vip, 6, segment)), port_at=34, address_at=28, hook=hook)


def _tcp6(flags: TcpFlags) -> Sample:
    vip = VIP[Family.IPV6]
    assert isinstance(vip, IPv6Address)
    segment = TcpSegment(40000, 80, 1, 1, flags, 512, payload=bytes(54)).encode(CLIENT6, vip)
    return Sample(_frame(IPv6Packet(CLIENT6, vip, 6, segment)), port_at=54, address_at=36)


def _error() -> Sample:
    vip = VIP[Family.IPV4]
    assert isinstance(vip, IPv4Address)
    quoted = IPv4Packet(vip, CLIENT4, 6, TcpSegment(80, 40000, 1, 1, TcpFlags.ACK).encode(vip, CLIENT4)).encode()
    return Sample(_frame(IPv4Packet(CLIENT4, vip, 1, icmp.Unreachable(4, quoted.ljust(86, b"\0"), 1300).encode())))


def _fragment(*, more: bool) -> Sample:
    vip = VIP[Family.IPV4]
    assert isinstance(vip, IPv4Address)
    segment = TcpSegment(40000, 80, 1, 1, TcpFlags.ACK, payload=bytes(10)).encode(CLIENT4, vip)
    offset = 0 if more else 32
    packet = IPv4Packet(CLIENT4, vip, 6, segment, identification=7, more_fragments=more, fragment_offset=offset)
    return Sample(_frame(packet))


def _frame(packet: IPv4Packet | IPv6Packet) -> bytes:
    ethertype = 0x0800 if isinstance(packet, IPv4Packet) else 0x86DD
    return EthernetFrame(OURS, ROUTER, ethertype, packet.encode()).encode()
