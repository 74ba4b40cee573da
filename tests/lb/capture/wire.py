"""Conversations as they pass the machines around a virtual service, recorded where one likes."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress, MacAddress, parse_address
from yaoki.lb.capture import Party, Role, Scene, Verdict, frames_of, judge, scene_of
from yaoki.lb.service import Encapsulation, Forward, Protocol, ServiceKey, Tunnel
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.recording import CapturedPacket, CaptureInterface, Direction, Recording
from yaoki.packet.tcp import TcpFlags, TcpSegment
from yaoki.packet.tunnel import Wrapping
from yaoki.packet.udp import UdpDatagram

MACS = {name: MacAddress(bytes((2, 0, 0, 0, 0, i))) for i, name in enumerate(("router", "lb1", "web1", "web2"))}
CLIENT, VIP = parse_address("198.51.100.60"), parse_address("192.0.2.50")
LB = parse_address("192.0.2.11")
SERVERS = {"web1": parse_address("192.0.2.201"), "web2": parse_address("192.0.2.202")}
GUE = Tunnel(Encapsulation.GUE)
SYN, ACK, FIN, RST, PSH = TcpFlags.SYN, TcpFlags.ACK, TcpFlags.FIN, TcpFlags.RST, TcpFlags.PSH
SECOND_NS = 1_000_000_000


def scene(forward: Forward, protocol: Protocol = Protocol.TCP) -> Scene:
    translated = forward in (Forward.NAT, Forward.FULLNAT)
    servers = [
        Party(
            name,
            Role.SERVER,
            (),
            ((address, 80),) if translated else (),
            forward,
            (address,) if forward is Forward.TUNNEL else (),
        )
        for name, address in SERVERS.items()
    ]
    parties = (Party("lb1", Role.BALANCER), *servers, Party("router", Role.OTHER))
    return Scene("web", "web-vip", (ServiceKey(VIP, protocol, 80),), parties, frozenset({LB}), GUE)


@dataclass
class Wire:
    """A network; only the machines in `recorded` record what they see."""

    recorded: tuple[str, ...]
    packets: list[CapturedPacket] = field(default_factory=list)
    now_ns: int = 0

    def recording(self) -> Recording:
        interfaces = tuple(CaptureInterface(name, "eth0", MACS[name]) for name in self.recorded)
        names = tuple((mac, name) for name, mac in MACS.items())
        return Recording(interfaces, tuple(self.packets), names)

    def verdict(self, around: Scene, *, later_ns: int = 10 * SECOND_NS) -> Verdict:
        """The verdict; a stray reply comes much later, so that what has no answer has none."""
        self.now_ns += later_ns
        self.send("web2", "router", VIP, CLIENT, TcpSegment(80, 9, 1, 1, RST))
        recording = self.recording()
        known = scene_of(around, recording)
        return judge(known, frames_of(recording, known), recorded=self.recorded)

    def send(
        self,
        sender: str,
        receiver: str,
        source: IPAddress,
        destination: IPAddress,
        body: TcpSegment | UdpDatagram,
        *,
        inside: Wrapping | None = None,
    ) -> None:
        """One packet from one machine to another, or inside another: both see it, if they record."""
        self.now_ns += 1000
        protocol = 6 if isinstance(body, TcpSegment) else 17
        data = body.encode(source, destination)
        if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
            kind, packet = ETHERTYPE_IPV4, IPv4Packet(source, destination, protocol, data).encode()
        else:
            assert isinstance(source, IPv6Address)
            assert isinstance(destination, IPv6Address)
            kind, packet = ETHERTYPE_IPV6, IPv6Packet(source, destination, protocol, data).encode()
        packet = packet if inside is None else inside.wrap(packet)
        frame = EthernetFrame(MACS[receiver], MACS[sender], kind, packet).encode()
        for machine, direction in ((sender, Direction.OUT), (receiver, Direction.IN)):
            if machine in self.recorded:
                place = self.recorded.index(machine)
                self.packets.append(CapturedPacket(place, self.now_ns, len(frame), frame, direction))

    def ask(self, server: str, forward: Forward, segment: TcpSegment) -> None:
        """From the client over the balancer to a server."""
        self.send("router", "lb1", CLIENT, VIP, segment)
        if forward is Forward.DIRECT:
            self.send("lb1", server, CLIENT, VIP, segment)
        elif forward is Forward.TUNNEL:
            self.through_tunnel(server, segment)
        else:
            self.send("lb1", server, LB if forward is Forward.FULLNAT else CLIENT, SERVERS[server], segment)

    def through_tunnel(self, server: str, segment: TcpSegment, *, source: IPAddress = LB) -> None:
        """From the balancer over the router to a server, inside another packet."""
        wrapping = Wrapping(GUE, source, SERVERS[server])
        self.send("lb1", "router", CLIENT, VIP, segment, inside=wrapping)
        self.send("router", server, CLIENT, VIP, segment, inside=wrapping)

    def answer(self, server: str, forward: Forward, segment: TcpSegment) -> None:
        """From a server to the client."""
        if forward.returns_directly:
            self.send(server, "router", VIP, CLIENT, segment)
            return
        self.send(server, "lb1", SERVERS[server], LB if forward is Forward.FULLNAT else CLIENT, segment)
        self.send("lb1", "router", VIP, CLIENT, segment)

    def connection(self, server: str, forward: Forward, port: int, *, requests: int = 1, reply: int = 1000) -> None:
        """A whole connection: `requests` of 100 octets, each with a reply of `reply` octets in segments of 1,000."""
        ours, theirs = 5000 * port, 7000 * port

        def asked(flags: TcpFlags, payload: bytes = b"") -> None:
            self.ask(server, forward, TcpSegment(port, 80, ours, theirs, flags, payload=payload))

        def answered(flags: TcpFlags, payload: bytes = b"") -> None:
            self.answer(server, forward, TcpSegment(80, port, theirs, ours, flags, payload=payload))

        self.ask(server, forward, TcpSegment(port, 80, ours, 0, SYN))
        ours += 1
        answered(SYN | ACK)
        theirs += 1
        asked(ACK)
        for _ in range(requests):
            asked(PSH | ACK, bytes(100))
            ours += 100
            for begin in range(0, reply, 1000):
                size = min(1000, reply - begin)
                answered(ACK, bytes(size))
                theirs += size
                asked(ACK)
        asked(FIN | ACK)
        ours += 1
        answered(FIN | ACK)
        theirs += 1
        asked(ACK)
