"""Virtual services and real servers, as the balancer plane is asked to have them (the domain's Desired).

A virtual service of the site file becomes one VirtualService per listening address here, so the planes see one family
at a time. Everything is already decided: a plane knows nothing of checks, slow start or operators.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.packet.tunnel import GUE_PORT as GUE_PORT  # noqa: PLC0414 - re-exported: a plane needs no other word of packet
from yaoki.packet.tunnel import Encapsulation as Encapsulation  # noqa: PLC0414 - the same
from yaoki.packet.tunnel import Tunnel as Tunnel  # noqa: PLC0414 - the same
from yaoki.pool.member import Duty as Duty  # noqa: PLC0414 - re-exported: a plane needs no other word of pool


class Protocol(StrEnum):
    """Transport of a virtual service."""

    TCP = "tcp"
    UDP = "udp"

    @property
    def number(self) -> int:
        """The IP protocol number."""
        return 6 if self is Protocol.TCP else 17


class Forward(StrEnum):
    """Forwarding method of a real server.

    `nat` rewrites the destination (client address kept; the server's way back must lead through the balancer);
    `fullnat` rewrites source and destination; `direct` rewrites only the destination MAC, and the server, which holds
    the VIP on its loopback, answers the client itself; `tunnel` is the same across routers, the packet inside another.
    """

    NAT = "nat"
    FULLNAT = "fullnat"
    DIRECT = "direct"
    TUNNEL = "tunnel"

    @property
    def returns_directly(self) -> bool:
        """Whether the server holds the VIP and answers the client past the balancer."""
        return self in (Forward.DIRECT, Forward.TUNNEL)


@dataclass(frozen=True, slots=True)
class Way:
    """How packets to an address across routers leave this node: the route that the kernel has. `own` is the MAC of the
    interface, `mac` that of the next hop, `source` this node's address there, `mtu` what the path takes as far as the
    kernel knows."""

    interface: str
    own: MacAddress
    next_hop: IPAddress
    mac: MacAddress
    source: IPAddress
    mtu: int


class Scheduler(StrEnum):
    """How a new flow gets its server: in turn, in turn by weight, by a hash of the source address, by one of source
    address and port; or by the flows that servers have: the fewest, the fewest for its weight, the fewer of two that
    are drawn by weight."""

    ROUND_ROBIN = "rr"
    WEIGHTED_ROUND_ROBIN = "wrr"
    SOURCE_HASH = "sh"
    MAGLEV = "maglev"
    LEAST_CONNECTION = "lc"
    WEIGHTED_LEAST_CONNECTION = "wlc"
    POWER_OF_TWO = "p2c"

    @property
    def finds_again(self) -> bool:
        """Whether whoever has the same servers finds the same one for a flow, without having seen its beginning."""
        return self in (Scheduler.SOURCE_HASH, Scheduler.MAGLEV)

    @property
    def counts_flows(self) -> bool:
        """Whether it asks how many flows servers have."""
        return self in (Scheduler.LEAST_CONNECTION, Scheduler.WEIGHTED_LEAST_CONNECTION, Scheduler.POWER_OF_TWO)


USUAL_IDLE_TIMEOUT = {Protocol.TCP: timedelta(minutes=15), Protocol.UDP: timedelta(minutes=5)}
"""How long a flow is kept without a packet where nothing else is said: as IPVS does."""


@dataclass(frozen=True, slots=True)
class SourcePersistence:
    """Flows from one source (masked to `prefix_length` bits) stay on one server until `timeout` has passed idle."""

    prefix_length: int
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The identity of a virtual service on the wire."""

    address: IPAddress
    protocol: Protocol
    port: int

    @property
    def family(self) -> Family:
        return Family.of(self.address)

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.protocol.value}/{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RealServer:
    """One real server of one virtual service. `weight` 0..65535, after slow start; 0 takes no new flows.

    `mac` is needed by `direct` only; None there means not resolved yet, and the server is left out until it is. So it
    is with `way` for `tunnel`, which has `tunnel` as well. `source` is the address that `fullnat` puts in place of the
    client's. With `limit` flows it takes no more; None: no limit.
    """

    name: str
    address: IPAddress
    port: int
    forward: Forward
    weight: int
    duty: Duty = Duty.SERVE
    mac: MacAddress | None = None
    source: IPAddress | None = None
    limit: int | None = None
    tunnel: Tunnel | None = None
    way: Way | None = None

    @property
    def reachable(self) -> bool:
        """Whether it is known how packets get to it."""
        if self.forward is Forward.DIRECT:
            return self.mac is not None
        return self.way is not None or self.forward is not Forward.TUNNEL

    @property
    def eligible(self) -> bool:
        """Whether new flows may be sent to it."""
        return self.duty is Duty.SERVE and self.weight > 0 and self.reachable


class PlaneWish(StrEnum):
    """Which balancer plane the file wants: one by name, or whichever is better and can carry the service."""

    AUTO = "auto"
    BPF = "bpf"
    XDP = "xdp"
    NFTABLES = "nftables"

    @property
    def is_bpf(self) -> bool:
        """Whether the program in BPF is named, at whatever hook."""
        return self in (PlaneWish.BPF, PlaneWish.XDP)


class WhenAllDown(StrEnum):
    """What a service without an eligible server does: refuse (RST or port unreachable), send to all it last had, or
    send to a server that is there to say sorry."""

    REFUSE = "refuse"
    LAST_KNOWN = "last-known"
    SORRY = "sorry"


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One virtual service on one address. `interface` is where its packets arrive (and leave, for `direct`). `plane` is
    for whoever chooses one; a plane itself does not ask. `idle_timeout`: a flow of a server that returns directly is
    forgotten when idle for so long; None is the usual for its protocol."""

    name: str
    key: ServiceKey
    interface: str
    scheduler: Scheduler
    servers: tuple[RealServer, ...]
    persistence: SourcePersistence | None = None
    when_all_down: WhenAllDown = WhenAllDown.REFUSE
    plane: PlaneWish = PlaneWish.AUTO
    idle_timeout: timedelta | None = None

    @property
    def idles_out_after(self) -> timedelta:
        """How long a flow under way is kept without a packet."""
        return self.idle_timeout or USUAL_IDLE_TIMEOUT[self.key.protocol]

    @property
    def eligible(self) -> tuple[RealServer, ...]:
        """The servers that may get new flows, in the order of the site file."""
        return tuple(server for server in self.servers if server.eligible)

    @property
    def is_limited(self) -> bool:
        """Whether some of its servers take so many flows at most."""
        return any(server.limit is not None for server in self.servers)

    @property
    def finds_again(self) -> bool:
        """Whether whoever has the same servers finds the same one for a flow, without having seen its beginning."""
        return self.scheduler.finds_again and not self.is_limited and self.persistence is None

    @property
    def counts_flows(self) -> bool:
        """Whether it depends on the flows that its servers have who gets a new one."""
        return self.scheduler.counts_flows or self.is_limited


@dataclass(frozen=True, slots=True)
class Desired:
    """All virtual services that a node's balancer plane shall have; disabled ones are simply not in it."""

    services: tuple[VirtualService, ...] = ()
