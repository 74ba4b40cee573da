"""Who is who in a recording of a virtual service, and its packets as they concern the service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.service import Encapsulation, Forward, ServiceKey, Tunnel
from yaoki.packet import headers, tunnel
from yaoki.packet.headers import Headers
from yaoki.packet.malformed import Malformed
from yaoki.packet.recording import Direction, Recording

IN_IP = Tunnel()


class Role(StrEnum):
    """What a machine is for the service."""

    BALANCER = "balancer"
    SERVER = "server"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Party:
    """A machine. `places`: the addresses and ports at which a server has the service when addresses are translated;
    `ends`: its addresses at which packets come out of others, where it is behind a tunnel; `forward`: the method that
    the site file wants for it."""

    name: str
    role: Role
    macs: tuple[MacAddress, ...] = ()
    places: tuple[tuple[IPAddress, int], ...] = ()
    forward: Forward | None = None
    ends: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """A virtual service with the machines around it. `vip` is the name of its address; `own` are the balancers' other
    addresses, from which they ask servers on their own behalf (checks): that is none of the service's traffic.
    `tunnel` is what packets to servers with `ends` go inside."""

    service: str
    vip: str
    keys: tuple[ServiceKey, ...]
    parties: tuple[Party, ...]
    own: frozenset[IPAddress] = frozenset()
    tunnel: Tunnel = IN_IP

    def of_mac(self, mac: MacAddress) -> Party | None:
        """Whose MAC it is."""
        return next((party for party in self.parties if mac in party.macs), None)

    def of_end(self, address: IPAddress) -> Party | None:
        """Who takes packets out of others there."""
        return next((party for party in self.parties if address in party.ends), None)

    def party(self, name: str) -> Party | None:
        """The machine of that name."""
        return next((party for party in self.parties if party.name == name), None)

    @property
    def balancers(self) -> tuple[Party, ...]:
        return tuple(party for party in self.parties if party.role is Role.BALANCER)

    @property
    def servers(self) -> tuple[Party, ...]:
        return tuple(party for party in self.parties if party.role is Role.SERVER)

    @property
    def wanted(self) -> frozenset[Forward]:
        """The forwarding methods that the site file has for the servers."""
        return frozenset(party.forward for party in self.servers if party.forward is not None)


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet as it passed one interface of one machine. `place` is NODE/INTERFACE. `outer`: what it was inside, on
    the way through a tunnel; the MACs of both are the frame's, and so is the length."""

    at_ns: int
    node: str
    place: str
    direction: Direction
    length: int
    headers: Headers
    outer: Headers | None = None


def scene_of(scene: Scene, recording: Recording) -> Scene:
    """The scene with the MACs that the recording tells: its interfaces' own, and those with a machine's name."""
    macs: dict[str, dict[MacAddress, None]] = {party.name: dict.fromkeys(party.macs) for party in scene.parties}
    for interface in recording.interfaces:
        if interface.mac is not None and interface.node in macs:
            macs[interface.node][interface.mac] = None
    for what, name in recording.names:
        if isinstance(what, MacAddress) and name in macs:
            macs[name][what] = None
    return replace(scene, parties=tuple(replace(party, macs=tuple(macs[party.name])) for party in scene.parties))


def unwrapped(octets: bytes, length: int, scene: Scene) -> tuple[Headers, Headers | None] | None:
    """The headers of a frame's packet, or of the one inside and those that it is inside; None if they are not to be
    read."""
    found = headers.decode(octets, length)
    if isinstance(found, Malformed):
        return None
    if scene.of_end(found.destination) is not None:
        gue = scene.tunnel.encapsulation is Encapsulation.GUE
        within = tunnel.inside(octets, length, scene.tunnel.port if gue else 0)
        if within is not None:
            return within, found
    return found, None


def concerns(found: Headers, scene: Scene, protocol: int) -> bool:
    """Whether a packet is the service's: by its addresses and ports; of ICMP and later fragments, by the VIP alone."""
    if found.protocol == protocol and (found.source_port or found.destination_port):
        places = {(key.address, key.port) for key in scene.keys}
        places.update(place for server in scene.servers for place in server.places)
        ends = {(found.source, found.source_port), (found.destination, found.destination_port)}
        return not places.isdisjoint(ends)
    return any(key.address in (found.source, found.destination) for key in scene.keys)


def frames_of(recording: Recording, scene: Scene) -> tuple[Frame, ...]:
    """The packets with readable headers. Where the file does not tell a direction, the source MAC does."""
    macs: Mapping[str, tuple[MacAddress, ...]] = {party.name: party.macs for party in scene.parties}
    return tuple(_frames(recording, scene, macs))


def _frames(recording: Recording, scene: Scene, macs: Mapping[str, tuple[MacAddress, ...]]) -> Iterable[Frame]:
    for packet in recording.packets:
        read = unwrapped(packet.octets, packet.length, scene)
        if read is None:
            continue
        found, outer = read
        interface = recording.interfaces[packet.interface]
        direction = packet.direction
        if direction is None:
            own = found.source_mac == interface.mac or found.source_mac in macs.get(interface.node, ())
            direction = Direction.OUT if own else Direction.IN
        yield Frame(packet.at_ns, interface.node, str(interface), direction, packet.length, found, outer)
