"""Two router nodes on two networks, inside and outside, with a VIP in each; the VIPs are a sync group."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from tests.node.speaker_scene import INTERVAL, Speaker
from yaoki.core.address import Family, IPInterface
from yaoki.core.event import EventBody
from yaoki.node.messages import (
    ConfigureRouters,
    HeartbeatArrived,
    InterfaceFound,
    PacketArrived,
    Published,
    RouterState,
    SendAdvertisement,
    SendHeartbeat,
    SpeakerEffect,
    SpeakerInput,
)
from yaoki.vrrp.params import Failback, Quarantine, RouterKey, RouterParams
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

INNER = RouterKey("eth0", Family.IPV4, 51)
INNER_6 = RouterKey("eth0", Family.IPV6, 51)
OUTER = RouterKey("eth1", Family.IPV4, 52)
KEYS = (INNER, INNER_6, OUTER)
VIPS: dict[RouterKey, tuple[str, IPInterface]] = {
    INNER: ("inner", IPv4Interface("192.0.2.1/24")),
    INNER_6: ("inner", IPv6Interface("2001:db8:1::1/64")),
    OUTER: ("outer", IPv4Interface("198.51.100.1/24")),
}
STEP_MS = 10


def own_address(index: int, interface: str) -> IPv4Address:
    """The addresses are so chosen that each node has the greater one on one of the networks."""
    return IPv4Address("192.0.2.11") + index if interface == "eth0" else IPv4Address("198.51.100.12") - index


class Edge:
    """The two nodes. `cut` holds the interfaces whose network carries nothing between them."""

    def __init__(
        self,
        failback: Failback = Failback.PREFER,
        *,
        priorities: tuple[int, int] = (150, 100),
        heartbeats: bool = True,
        group: str | None = "edge",
        quarantine: Quarantine = Quarantine.NONE,
        start: int = 1000,
    ) -> None:
        self.quarantine = quarantine
        self.priorities, self.failback, self.heartbeats, self.group = priorities, failback, heartbeats, group
        self.cut: set[str] = set()
        self.events: list[tuple[int, EventBody]] = []
        self.down: set[tuple[int, str]] = set()
        self.speakers = [self.speaker(0), self.speaker(1)]
        self.run(start)

    def speaker(self, index: int) -> Speaker:
        scene = Speaker(interface=None)
        for name in ("eth0", "eth1"):
            scene.tell(found(index, name))
        scene.tell(ConfigureRouters(self.routers(index), heartbeat=self.heartbeat(index)))
        return scene

    def routers(self, index: int) -> tuple[RouterParams, ...]:
        priority, other = self.priorities[index], self.priorities[1 - index]
        return tuple(
            RouterParams(
                vip,
                key,
                priority,
                INTERVAL,
                (address,),
                failback=self.failback,
                others=(other,),
                group=self.group,
                quarantine=self.quarantine,
            )
            for key, (vip, address) in VIPS.items()
        )

    def heartbeat(self, index: int) -> HeartbeatParams:
        paths = tuple(
            PeerPath(name, own_address(index, name), own_address(1 - index, name)) for name in ("eth0", "eth1")
        )
        peers = (PeerParams(f"r{2 - index}", ("inner", "outer"), paths),) if self.heartbeats else ()
        return HeartbeatParams(f"r{1 + index}", "g1", INTERVAL, peers)

    # --- what happens

    def tell(self, index: int, *inputs: SpeakerInput) -> None:
        for input_ in inputs:
            self.carry(index, self.speakers[index].tell(input_))

    def set_link(self, index: int, interface: str, *, up: bool) -> None:
        (self.down.discard if up else self.down.add)((index, interface))
        self.tell(index, replace(found(index, interface), up=up, held=()))

    def carry(self, sender: int, effects: Iterable[SpeakerEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Published):
                self.events.append((sender, effect.event.body))
            elif isinstance(effect, SendAdvertisement | SendHeartbeat) and self._passes(effect.interface):
                self.carry(1 - sender, self.speakers[1 - sender].tell(self._arrival(1 - sender, effect)))

    def _passes(self, interface: str) -> bool:
        return interface not in self.cut and not {(0, interface), (1, interface)} & self.down

    def _arrival(self, hearer: int, sent: SendAdvertisement | SendHeartbeat) -> SpeakerInput:
        now = self.speakers[hearer].now
        if isinstance(sent, SendHeartbeat):
            return HeartbeatArrived(sent.interface, sent.source, 255, sent.payload, now)
        return PacketArrived(sent.interface, sent.family, sent.source, sent.destination, 255, sent.payload, now)

    def run(self, ms: int) -> None:
        for _ in range(ms // STEP_MS):
            for index, speaker in enumerate(self.speakers):
                self.carry(index, speaker.run_to(speaker.now.us / 1000 + STEP_MS))

    # --- what is seen

    def owners(self) -> dict[RouterKey, list[int]]:
        return {
            key: [index for index, speaker in enumerate(self.speakers) if speaker.state(key) is RouterState.ACTIVE]
            for key in KEYS
        }

    def owner(self) -> int | None:
        """The node that owns all three routers, if one node alone does."""
        owners = list(self.owners().values())
        return owners[0][0] if len(owners[0]) == 1 and owners.count(owners[0]) == len(owners) else None

    def told(self, kind: type[EventBody], index: int | None = None) -> list[EventBody]:
        return [body for who, body in self.events if isinstance(body, kind) and index in (None, who)]


def found(index: int, interface: str) -> InterfaceFound:
    link_local = IPv6Address(f"fe80::1{index}")
    return InterfaceFound(interface, True, own_address(index, interface), link_local, ())
