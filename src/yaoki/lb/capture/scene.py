"""Who is who in a recording of a virtual service, and its packets as they concern the service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.service import Forward, ServiceKey
from yaoki.packet import headers
from yaoki.packet.headers import Headers
from yaoki.packet.malformed import Malformed
from yaoki.packet.recording import Direction, Recording


class Role(StrEnum):
    """What a machine is for the service."""

    BALANCER = "balancer"
    SERVER = "server"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Party:
    """A machine. `places`: the addresses and ports at which a server has the service when addresses are translated;
    `forward`: the method that the site file wants for it."""

    name: str
    role: Role
    macs: tuple[MacAddress, ...] = ()
    places: tuple[tuple[IPAddress, int], ...] = ()
    forward: Forward | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A virtual service with the machines around it. `vip` is the name of its address; `own` are the balancers' other
    addresses, from which they ask servers on their own behalf (checks): that is none of the service's traffic."""

    service: str
    vip: str
    keys: tuple[ServiceKey, ...]
    parties: tuple[Party, ...]
    own: frozenset[IPAddress] = frozenset()

    def of_mac(self, mac: MacAddress) -> Party | None:
        """Whose MAC it is."""
        return next((party for party in self.parties if mac in party.macs), None)

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
    """One packet as it passed one interface of one machine. `place` is NODE/INTERFACE."""

    at_ns: int
    node: str
    place: str
    direction: Direction
    length: int
    headers: Headers


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
    return tuple(_frames(recording, macs))


def _frames(recording: Recording, macs: Mapping[str, tuple[MacAddress, ...]]) -> Iterable[Frame]:
    for packet in recording.packets:
        found = headers.decode(packet.octets, packet.length)
        if isinstance(found, Malformed):
            continue
        interface = recording.interfaces[packet.interface]
        direction = packet.direction
        if direction is None:
            own = found.source_mac == interface.mac or found.source_mac in macs.get(interface.node, ())
            direction = Direction.OUT if own else Direction.IN
        yield Frame(packet.at_ns, interface.node, str(interface), direction, packet.length, found)
