"""The balancer's program on its bench: its maps filled, frames given to it one by one, nothing sent anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

import pytest

from yaoki.core.address import IPAddress, MacAddress, parse_address
from yaoki.core.error import ActuatorError
from yaoki.lb.service import Protocol, VirtualService
from yaoki.linux.bpf.build import object_file
from yaoki.linux.bpf.layout import Service, ServiceFlag, index, tick
from yaoki.linux.bpf.maps import MapKind
from yaoki.linux.bpf.object import load
from yaoki.linux.bpf.program import TestRun
from yaoki.linux.bpf.services import Seat, ServerPlace, render
from yaoki.linux.bpf.tables import Tables
from yaoki.packet import icmp, icmp6
from yaoki.packet.ethernet import EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.tcp import TcpFlags, TcpSegment
from yaoki.packet.udp import UdpDatagram

EPERM, ENOSYS = 1, 38
OURS = MacAddress(bytes(6))
"""Frames of a test run come in at the loopback interface, whose MAC this is."""
LOOPBACK = 1
ROUTER = MacAddress.parse("02:00:00:00:00:01")
VIP = {4: parse_address("192.0.2.50"), 6: parse_address("2001:db8:1::50")}
CLIENT = {4: parse_address("198.51.100.9"), 6: parse_address("2001:db8:2::9")}
GATEWAY = {4: parse_address("198.51.100.1"), 6: parse_address("2001:db8:2::1")}
SMALL = {
    name + version: 256 for name in ("flows", "new_flows", "sources", "fragments") for version in "46"
} | {"servers": 256, "server_counts": 256}  # fmt: skip
SYN, ACK, FIN, RST = TcpFlags.SYN, TcpFlags.ACK, TcpFlags.FIN, TcpFlags.RST


class Hook(StrEnum):
    XDP = "xdp"
    TC = "tc"


_VERDICTS = {Hook.XDP: {1: "drop", 2: "pass", 3: "send"}, Hook.TC: {2: "drop", -1: "pass", 7: "send"}}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`to` is the name of the server whose MAC the frame has got, None if it is not sent on."""

    verdict: str
    to: str | None = None


PASS, DROP = Outcome("pass"), Outcome("drop")


def sent(to: str) -> Outcome:
    return Outcome("send", to)


class Bench:
    """The loaded program with its maps."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._loaded = load(object_file("balancer"), sizes=sizes)
        self.tables = Tables(self._loaded.maps)
        self._seats: dict[tuple[str, ServerPlace], Seat] = {}
        self._ids: dict[str, int] = {}
        self._gates: dict[IPAddress, int] = {}
        self.names: dict[MacAddress, str] = {}

    def empty(self) -> None:
        """As if just loaded, which takes longer."""
        for name, map_ in self._loaded.maps.items():
            if map_.shape.kind in (MapKind.HASH, MapKind.LRU_HASH):
                map_.delete_all([key for key, _ in map_.items()])
            elif map_.shape.kind == MapKind.PER_CPU_ARRAY:
                some = range(min(map_.shape.max_entries, 32))
                map_.update_all((index(number), bytes(map_.shape.value_room)) for number in some)
            elif name in ("services", "servers", "loads", "capacities"):
                map_.update_all((index(number), bytes(map_.shape.value_room)) for number in range(32))
            elif name in ("told", "strangers"):
                map_.update_all((index(n), bytes(map_.shape.value_room)) for n in range(map_.shape.max_entries))
        self._seats.clear()
        self._ids.clear()
        self._gates.clear()
        self.names.clear()

    def put(self, *services: VirtualService, **changed: object) -> None:
        """As a plane does it; fields of the service's entry may be `changed`."""
        for service in services:
            id_ = self._ids.setdefault(str(service.key), len(self._ids))
            for server in service.servers:
                place = (str(service.key), (server.address, server.port))
                number = len(self._seats) + 1
                self._seats.setdefault(place, Seat(number, number + 1000))
                if server.mac is not None:
                    self.names[server.mac] = server.name
            seats = {place: seat for (key, place), seat in self._seats.items() if key == str(service.key)}
            address = service.key.address
            if address not in self._gates:
                self._gates[address] = len(self._gates) + 1
                self.tables.put_gate(address, self._gates[address])
            gate = self._gates[address]
            rendered = render(
                service, id_=id_, interface=LOOPBACK, mac=OURS, seats=seats, gate=gate, indices={"lo": LOOPBACK}
            )
            self.tables.put_tunnels(rendered.tunnels)
            self.tables.put_servers(rendered.servers)
            self.tables.put_capacities(rendered.capacities)
            hashed = rendered.service.flags & ServiceFlag.LAZY
            self.tables.put_rings({id_: rendered.slots}, {id_: tick()} if hashed else None)
            entry: Service = replace(rendered.service, **changed)  # type: ignore[arg-type] # a test knows its fields
            self.tables.put_service(service.key, entry)

    def loads(self, service: VirtualService) -> list[int]:
        """How many flows each server has open, as the program counts."""
        places = [(str(service.key), (server.address, server.port)) for server in service.servers]
        return [self.tables.load(self._seats[place].number) for place in places]

    def set_load(self, service: VirtualService, index: int, flows: int) -> None:
        """As if a server had so many flows open."""
        server = service.servers[index]
        self.tables.put_load(self._seats[str(service.key), (server.address, server.port)].number, flows)

    def servers_only(self, service: VirtualService) -> None:
        """What a plane does first of a change: servers live or die, the ring is still the old one."""
        seats = {place: seat for (key, place), seat in self._seats.items() if key == str(service.key)}
        id_ = self._ids[str(service.key)]
        self.tables.put_servers(render(service, id_=id_, interface=LOOPBACK, mac=OURS, seats=seats).servers)

    def give(self, frame: bytes, hook: Hook = Hook.TC) -> Outcome:
        """What becomes of a frame. Whatever it is, nothing of it may change but the two MACs."""
        run = self._loaded.programs[f"balance_{hook}"].test_run(frame)
        verdict = _VERDICTS[hook][run.verdict]
        assert run.frame[12:] == frame[12:]
        if verdict != "send":
            assert run.frame == frame
            return Outcome(verdict)
        assert run.frame[6:12] == frame[:6]
        return Outcome(verdict, self.names.get(MacAddress(run.frame[:6]), run.frame[:6].hex(":")))

    def run(self, frame: bytes, hook: Hook) -> TestRun:
        """The same, as it is."""
        return self._loaded.programs[f"balance_{hook}"].test_run(frame)

    def verdict(self, frame: bytes, hook: Hook) -> str:
        """What the program answers."""
        return _VERDICTS[hook][self.run(frame, hook).verdict]

    def seat(self, service: VirtualService, index: int) -> Seat:
        """Where a server sits."""
        server = service.servers[index]
        return self._seats[str(service.key), (server.address, server.port)]

    def close(self) -> None:
        self._loaded.close()


@contextmanager
def bench(**sizes: int) -> Iterator[Bench]:
    """A bench with small maps; the test is skipped where the kernel refuses BPF to us."""
    try:
        made = Bench(SMALL | sizes)
    except ActuatorError as error:
        if error.errno not in (EPERM, ENOSYS):
            raise
        pytest.skip(f"this kernel refuses BPF: {error}")
    try:
        yield made
    finally:
        made.close()


# --- frames


def frame(packet: IPv4Packet | IPv6Packet, *, to: MacAddress = OURS) -> bytes:
    ethertype = 0x0800 if isinstance(packet, IPv4Packet) else 0x86DD
    return EthernetFrame(to, ROUTER, ethertype, packet.encode()).encode()


def transport(
    source: IPAddress,
    destination: IPAddress,
    *,
    protocol: Protocol,
    port: int = 40000,
    to_port: int = 80,
    flags: TcpFlags = ACK,
    payload: bytes = b"",
) -> bytes:
    """The header of TCP or UDP and what follows it."""
    if protocol is Protocol.TCP:
        return TcpSegment(port, to_port, 1, 1, flags, 512, payload=payload).encode(source, destination)
    return UdpDatagram(port, to_port, payload).encode(source, destination)


def ip(source: IPAddress, destination: IPAddress, number: int, payload: bytes) -> IPv4Packet | IPv6Packet:
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        return IPv4Packet(source, destination, number, payload)
    assert isinstance(source, IPv6Address)
    assert isinstance(destination, IPv6Address)
    return IPv6Packet(source, destination, number, payload)


def packet(
    family: int,
    protocol: Protocol,
    *,
    port: int = 40000,
    to_port: int = 80,
    flags: TcpFlags = ACK,
    source: IPAddress | None = None,
) -> IPv4Packet | IPv6Packet:
    """From the client to the VIP."""
    client, vip = source or CLIENT[family], VIP[family]
    segment = transport(client, vip, protocol=protocol, port=port, to_port=to_port, flags=flags)
    return ip(client, vip, protocol.number, segment)


def fragments(family: int, protocol: Protocol, *, identification: int = 7, port: int = 40000) -> tuple[bytes, bytes]:
    """A first fragment of 64 octets, and the rest."""
    client, vip = CLIENT[family], VIP[family]
    whole = transport(client, vip, protocol=protocol, port=port, payload=bytes(100))
    found = []
    for offset, part in ((0, whole[:64]), (64, whole[64:])):
        more = offset == 0
        if isinstance(client, IPv4Address) and isinstance(vip, IPv4Address):
            found.append(
                frame(
                    IPv4Packet(
                        client, vip, protocol.number, part, identification=identification,
                        more_fragments=more, fragment_offset=offset,
                    )
                )
            )  # fmt: skip
        else:
            header = (
                bytes([protocol.number, 0]) + (offset | more).to_bytes(2, "big") + identification.to_bytes(4, "big")
            )
            found.append(frame(ip(client, vip, 44, header + part)))
    return found[0], found[1]


def error_about(
    family: int,
    protocol: Protocol,
    *,
    port: int = 40000,
    to_port: int = 80,
    of: IPAddress | None = None,
    client: IPAddress | None = None,
) -> bytes:
    """A router's "too big" to the VIP, about a packet of `of` (the VIP) to the client."""
    vip, client = VIP[family], client or CLIENT[family]
    quoted = ip(
        of or vip, client, protocol.number,
        transport(vip, client, protocol=protocol, port=to_port, to_port=port, payload=bytes(400)),
    ).encode()  # fmt: skip
    gateway = GATEWAY[family]
    if isinstance(gateway, IPv6Address) and isinstance(vip, IPv6Address):
        message = icmp6.Unreachable(0, quoted[:200]).encode(gateway, vip)
        return frame(ip(gateway, vip, 58, b"\x02" + message[1:]))
    return frame(ip(gateway, vip, 1, icmp.Unreachable(4, quoted[:28], 1300).encode()))
