"""A SpeakerBrain with one interface, a kernel's address table beside it, and a peer's packets."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from yaoki.core.address import Family, IPAddress
from yaoki.core.event import EventBody, EventId
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.node.messages import (
    AddressTaken,
    ArmGate,
    ClaimAddress,
    ConfigureRouters,
    GateOpened,
    GateRefused,
    InterfaceFound,
    PacketArrived,
    Published,
    ReleaseAddress,
    RouterState,
    RouterStatus,
    SendAdvertisement,
    SpeakerEffect,
    SpeakerInput,
)
from yaoki.node.speaker_brain import SpeakerBrain
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, Advertisement, decode
from yaoki.vrrp.params import ChecksumForm, RouterKey, RouterParams

KEY = RouterKey("eth0", Family.IPV4, 51)
KEY_6 = RouterKey("eth0", Family.IPV6, 51)
VIP = IPv4Interface("192.0.2.50/24")
VIP_6 = IPv6Interface("2001:db8:1::50/64")
OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
OWN_6, PEER_6 = IPv6Address("fe80::11"), IPv6Address("fe80::12")
INTERVAL = timedelta(milliseconds=100)
PARAMS = RouterParams("web-vip", KEY, 100, INTERVAL, (VIP,))
PARAMS_6 = RouterParams("web-vip", KEY_6, 100, INTERVAL, (VIP_6,))
ETH0 = InterfaceFound("eth0", True, OWN, OWN_6, ())
ORDER = EventId("lb1", 7)


def at(ms: float) -> Instant:
    return Instant(round(ms * 1000))


class Speaker:
    """A brain with the kernel's addresses beside it, and everything it has said. `takes`: the kernel takes packets for
    IPv6 addresses as soon as it holds them. `arms`: it arms gates that are answered for."""

    takes = True
    arms = True

    def __init__(self, *routers: RouterParams, interface: InterfaceFound | None = ETH0) -> None:
        self.brain = SpeakerBrain("lb1/speaker")
        self.now = at(0)
        self.addresses: set[tuple[str, str]] = set()
        self.said: list[SpeakerEffect] = []
        if routers:
            self.tell(ConfigureRouters(routers))
        if interface is not None:
            self.addresses |= {(interface.interface, str(address)) for address in interface.held or ()}
            self.tell(interface)

    def tell(self, input_: SpeakerInput) -> list[SpeakerEffect]:
        effects = self.brain.handle(self.now, input_)
        self.said += effects
        for effect in tuple(effects):
            if isinstance(effect, ClaimAddress):
                self.addresses.add((effect.interface, str(effect.address)))
                if self.takes and effect.address.version == 6:
                    effects += self.tell(AddressTaken(effect.interface, effect.address.ip))
            if isinstance(effect, ArmGate) and effect.router is not None:
                effects += self.tell((GateOpened if self.arms else GateRefused)(effect.router))
            if isinstance(effect, ReleaseAddress):
                self.addresses.discard((effect.interface, str(effect.address)))
        return effects

    def run_to(self, ms: float) -> list[SpeakerEffect]:
        """Let time pass, firing each deadline when it is due."""
        effects: list[SpeakerEffect] = []
        while (deadline := self.brain.deadline()) is not None and deadline.at <= at(ms):
            self.now = deadline.at
            effects += self.tell(TimerFired())
        self.now = at(ms)
        return effects

    def hear(
        self,
        priority: int,
        *,
        source: IPAddress = PEER,
        key: RouterKey = KEY,
        addresses: tuple[IPAddress, ...] | None = None,
        form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    ) -> list[SpeakerEffect]:
        return self.tell(packet(self.now, priority, source=source, key=key, addresses=addresses, form=form))

    def state(self, key: RouterKey = KEY) -> RouterState:
        return next(status.state for status in self.brain.statuses() if status.router == key)


def packet(
    now: Instant,
    priority: int,
    *,
    source: IPAddress = PEER,
    key: RouterKey = KEY,
    addresses: tuple[IPAddress, ...] | None = None,
    form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    version: int = 3,
    interval: timedelta = INTERVAL,
) -> PacketArrived:
    ipv4 = key.family is Family.IPV4
    destination: IPAddress = GROUP_IPV4 if ipv4 else GROUP_IPV6
    default: tuple[IPAddress, ...] = (VIP.ip,) if ipv4 else (VIP_6.ip,)
    advertisement = Advertisement(version, key.vrid, priority, interval, addresses or default, form)
    payload = advertisement.encode(source, destination)
    return PacketArrived(key.interface, key.family, source, destination, 255, payload, now)


def bodies(effects: list[SpeakerEffect]) -> list[EventBody]:
    return [effect.event.body for effect in effects if isinstance(effect, Published)]


def sent(effects: list[SpeakerEffect]) -> list[int]:
    """Priorities of the advertisements sent."""
    priorities = []
    for effect in effects:
        if isinstance(effect, SendAdvertisement):
            advertisement = decode(effect.payload, source=effect.source, destination=effect.destination, hop_limit=255)
            assert isinstance(advertisement, Advertisement)
            priorities.append(advertisement.priority)
    return priorities


def statuses(effects: list[SpeakerEffect]) -> list[RouterStatus]:
    return [effect for effect in effects if isinstance(effect, RouterStatus)]
