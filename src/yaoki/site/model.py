"""The site, as values: what `load` makes of the file and what `lint`, `compile` and the lab read.

References are names; `Site` finds what they name. Every reference has been checked by the loader, so a look-up here
cannot fail. Positions are kept beside the model (yaoki.site.source_map), not in it.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from yaoki.checks.check import KindParams, Schedule
from yaoki.core.address import Family, IPAddress, IPInterface, IPNetwork, MacAddress
from yaoki.core.secret import SecretRef
from yaoki.election.lease_params import DEFAULT_DURATION
from yaoki.lb.realserver import OperatingSystem
from yaoki.lb.service import (
    GUE_PORT,
    Encapsulation,
    Forward,
    PlaneWish,
    Protocol,
    Scheduler,
    Tunnel,
    WhenAllDown,
)
from yaoki.packet.authentication_params import AuthenticationParams
from yaoki.pool.member import DEFAULT_PRIORITY
from yaoki.vrrp.params import ChecksumForm, Failback, OutOfStep, Quarantine, Transport
from yaoki.vrrp.virtual_mac import MacKind

DEFAULT_ELECTION_TIMEOUT = timedelta(milliseconds=500)


class Election(StrEnum):
    """How a VIP's owner is found: by VRRP priority, which a cut network can answer twice, or by a lease in the store,
    which it cannot."""

    VRRP = "vrrp"
    LEASE = "lease"


class StoreKind(StrEnum):
    """What keeps the leases: an etcd cluster, a witness (`yaoki witness` on one machine), or the memory of the only
    node."""

    ETCD = "etcd"
    WITNESS = "witness"
    IN_PROCESS = "in-process"


@dataclass(frozen=True, slots=True)
class StoreMember:
    """One voter of the store, as its clients reach it: a machine of the site or an address, the other is None."""

    machine: str | None
    address: IPAddress | None
    port: int


@dataclass(frozen=True, slots=True)
class Store:
    """Where leases are kept. `election_timeout` is the members' own; the secrets name PEM files; with `ca` it is spoken
    to by TLS."""

    kind: StoreKind
    members: tuple[StoreMember, ...] = ()
    election_timeout: timedelta = DEFAULT_ELECTION_TIMEOUT
    ca: SecretRef | None = None
    certificate: SecretRef | None = None
    key: SecretRef | None = None

    @property
    def majority(self) -> int:
        """How many members must live and reach each other for a lease to be taken or renewed."""
        return len(self.members) // 2 + 1


@dataclass(frozen=True, slots=True)
class Network:
    """A broadcast domain. `gateway` names the host or VIP that leads out of it."""

    name: str
    prefixes: tuple[IPNetwork, ...]
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a machine; each address carries the length of the network's prefix that holds it."""

    name: str
    network: str
    addresses: tuple[IPInterface, ...]
    alias: str | None = None
    """What the machine's own operating system calls it; None: as `name`."""
    wake_on_lan: MacAddress | None = None
    """The MAC that switches the machine on."""

    def address(self, family: Family) -> IPAddress | None:
        """The first address of a family, or None."""
        return next((a.ip for a in self.addresses if Family.of(a) is family), None)


@dataclass(frozen=True, slots=True)
class Machine:
    """A node (runs Yaoki) or a host (does not; the lab plays it).

    `plays` names what the lab starts on a host ("nginx", "echo", "client"); `gateway` names a host or VIP and replaces
    the network's; `forwards` makes it a router. `hz` is the CONFIG_HZ of a node's kernel; None: it is not known. A node
    can be told to take the place of those that it is `standby_for`, and `replaces` one of them then. `os` and
    `loopback`, the name of its loopback adapter, are for the set-up of a real server.
    """

    name: str
    interfaces: tuple[Interface, ...]
    is_node: bool
    plays: tuple[str, ...] = ()
    gateway: str | None = None
    forwards: bool = False
    hz: int | None = None
    standby_for: tuple[str, ...] = ()
    replaces: str | None = None
    os: OperatingSystem | None = None
    loopback: str | None = None

    def on_network(self, network: str) -> Interface | None:
        """Its first interface in a network, or None."""
        return next((i for i in self.interfaces if i.network == network), None)


@dataclass(frozen=True, slots=True)
class CheckDefinition:
    """A named check. Port 0 in `params` stands for the port of the server that is checked. `source`: the network from
    whose address of the node probes are sent; None: the server's own if the node is on it, else the VIP's."""

    name: str
    params: KindParams
    schedule: Schedule
    source: str | None = None


class VipWhenDisabled(StrEnum):
    """What becomes of a VIP while every service on it is disabled: its owner goes on answering for it, or nobody owns
    it."""

    KEEP = "keep"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class VipMember:
    """A node that may own a VIP, and its VRRP priority there (1..255). `instead_of`: the node whose place it has taken,
    which is the one that the file names as the member."""

    node: str
    priority: int
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class TrackedService:
    """A service, which fails when it has no server up."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class TrackedInterface:
    """An interface of each member, by the kernel's name, which fails when it is down or has no carrier."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class TrackedCheck:
    """A check of a machine of the site, or of an address."""

    check: str
    target: str | IPAddress

    def __str__(self) -> str:
        return f"{self.check} on {self.target}"


@dataclass(frozen=True, slots=True)
class TrackedRoute:
    """A way to `prefix` in each member's table, by a route at least as long."""

    prefix: IPNetwork

    def __str__(self) -> str:
        return f"route to {self.prefix}"


@dataclass(frozen=True, slots=True)
class Track:
    """While what is tracked fails on a node (with `reverse`: works), the VIP's priority there changes by `weight`
    (-253..253); without a weight the node may not own the VIP."""

    tracked: TrackedService | TrackedInterface | TrackedCheck | TrackedRoute
    weight: int | None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class DataCheck:
    """A program that knows whether the data of a stateful VIP is current on its node: exit status 0 says so. It is
    killed after `timeout`, and run again `interval` after it ended, while the node is in quarantine."""

    vip: str
    command: tuple[str, ...]
    user: str = "nobody"
    timeout: timedelta = timedelta(seconds=10)
    interval: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Vip:
    """One or more addresses that move between nodes together. `peers` are routers besides the members that unicast
    advertisements go to."""

    name: str
    network: str
    addresses: tuple[IPInterface, ...]
    members: tuple[VipMember, ...]
    vrid: int
    advertise: timedelta = timedelta(seconds=1)
    version: int = 3
    election: Election = Election.VRRP
    lease_duration: timedelta = DEFAULT_DURATION
    failback: Failback = Failback.PREFER
    checksum: ChecksumForm = ChecksumForm.AS_HEARD
    out_of_step: OutOfStep = OutOfStep.AS_EVER
    transport: Transport = Transport.MULTICAST
    peers: tuple[IPAddress, ...] = ()
    failback_delay: timedelta = timedelta(0)
    startup_delay: timedelta = timedelta(0)
    stateful: bool = False
    quarantine: Quarantine = Quarantine.WAIT
    """Of a stateful VIP: what ends it but a release."""
    data_check: DataCheck | None = None
    accept: bool = True
    mac: MacKind = MacKind.OWN
    authentication: AuthenticationParams | None = None
    track: tuple[Track, ...] = ()
    when_disabled: VipWhenDisabled = VipWhenDisabled.KEEP

    @property
    def tracked_services(self) -> tuple[tuple[int, str, Track], ...]:
        """The tracks of services: their places in `track`, the services' names, and themselves."""
        return tuple(
            (index, track.tracked.name, track)
            for index, track in enumerate(self.track)
            if isinstance(track.tracked, TrackedService)
        )


@dataclass(frozen=True, slots=True)
class SyncGroup:
    """VIPs that one node owns together, or none of them: keepalived's vrrp_sync_group."""

    name: str
    vips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Persistence:
    """Source-address persistence: flows from one source, masked, keep their server until idle for `timeout`."""

    ipv4_mask: int = 32
    ipv6_mask: int = 128
    timeout: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Server:
    """A real server of a service. None means "as the service has it" (port, forward) or the host's own address. Of
    `priority` the highest serves, the others are its backups."""

    host: str
    weight: int = 1000
    port: int | None = None
    forward: Forward | None = None
    priority: int = DEFAULT_PRIORITY
    connection_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Slo:
    """What a rehearsal holds a service against: the longest outage when a node, path or link fails, and when one of
    its servers fails. None: not promised."""

    outage: timedelta | None = None
    server_outage: timedelta | None = None


class ArpLeak(StrEnum):
    """What follows when a real server claims the VIP by ARP or neighbour discovery: an event, or also no new flows."""

    TELL = "tell"
    REMOVE = "remove"


class WhenDisabled(StrEnum):
    """What becomes of the flows of a service that is disabled: they are cut, or go on to their end."""

    CUT = "cut"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service: a port on a VIP, spread over real servers."""

    name: str
    vip: str
    protocol: Protocol
    port: int
    servers: tuple[Server, ...]
    forward: Forward = Forward.NAT
    scheduler: Scheduler = Scheduler.WEIGHTED_ROUND_ROBIN
    persistence: Persistence | None = None
    checks: tuple[str, ...] = ()
    when_all_down: WhenAllDown = WhenAllDown.REFUSE
    sorry: Server | None = None
    """Who says sorry; exactly where `when_all_down` says so."""
    sorry_checks: tuple[str, ...] = ()
    slow_start: timedelta = timedelta(0)
    panic_threshold: float = 0.0
    """Share of servers (0..1): when more than this fails within one interval, the checker is suspected; 0 is off."""
    enabled: bool = True
    copy_flows: bool = True
    """Whether its flows are copied to the other members of the VIP: under address translation all, with direct return
    those that the others would lead elsewhere; `fullnat` knows no such thing."""
    slo: Slo = Slo()
    plane: PlaneWish | None = None
    """None: the site's."""
    encapsulation: Encapsulation | None = None
    """What packets to `tunnel` servers go inside; None: the usual."""
    encapsulation_port: int | None = None
    idle_timeout: timedelta | None = None
    """A flow of direct return is forgotten when idle for so long; None: the usual for its protocol."""
    arp_leak: ArpLeak = ArpLeak.TELL
    when_disabled: WhenDisabled = WhenDisabled.CUT

    @property
    def tunnel(self) -> Tunnel:
        """How packets to its `tunnel` servers are wrapped."""
        return Tunnel(self.encapsulation or Encapsulation.IPIP, self.encapsulation_port or GUE_PORT)

    @property
    def finds_again(self) -> bool:
        """Whether every node finds the same server for a flow without knowing it; with full servers it is passed on to
        others."""
        limited = any(server.connection_limit is not None for server in self.servers)
        return self.scheduler.finds_again and not limited

    @property
    def recipients(self) -> tuple[Server, ...]:
        """All that may get flows of it: the servers, and the one that says sorry."""
        return self.servers if self.sorry is None else (*self.servers, self.sorry)


@dataclass(frozen=True, slots=True)
class Hook:
    """A program run on events. `on` holds event kinds ("became-active"); killed after `timeout`.

    `vips`: only events of these VIPs; empty: every event. `nodes`: where it runs; empty: everywhere.
    """

    name: str
    on: tuple[str, ...]
    command: tuple[str, ...]
    user: str = "nobody"
    timeout: timedelta = timedelta(seconds=10)
    vips: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site; the order of every tuple is the order of the file."""

    name: str
    networks: tuple[Network, ...] = ()
    machines: tuple[Machine, ...] = ()
    checks: tuple[CheckDefinition, ...] = ()
    vips: tuple[Vip, ...] = ()
    services: tuple[Service, ...] = ()
    hooks: tuple[Hook, ...] = ()
    store: Store | None = None
    sync_groups: tuple[SyncGroup, ...] = ()
    plane: PlaneWish = PlaneWish.AUTO
    _index: dict[tuple[str, str], object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for kind in ("networks", "machines", "checks", "vips", "services"):
            for item in getattr(self, kind):
                self._index[kind, item.name] = item
        for machine in self.machines:
            if machine.replaces is not None:
                self._index["successors", machine.replaces] = machine

    @property
    def leased_vips(self) -> tuple[Vip, ...]:
        """The VIPs whose owner must hold a lease."""
        return tuple(vip for vip in self.vips if vip.election is Election.LEASE)

    def sync_group_of(self, vip: str) -> SyncGroup | None:
        """The sync group that a VIP is in, if it is in one."""
        return next((group for group in self.sync_groups if vip in group.vips), None)

    def successor_of(self, node: str) -> Machine | None:
        """The node that has a node's place now; None if nobody was told to take it. One that has taken a place may
        have been replaced in its turn."""
        found = self._index.get(("successors", node))
        while found is not None:
            assert isinstance(found, Machine)
            following = self._index.get(("successors", found.name))
            if following is None or found.name == node:
                return found
            found = following
        return None

    @property
    def nodes(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if machine.is_node)

    @property
    def hosts(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if not machine.is_node)

    def network(self, name: str) -> Network:
        found = self._index["networks", name]
        assert isinstance(found, Network)
        return found

    def machine(self, name: str) -> Machine:
        found = self._index["machines", name]
        assert isinstance(found, Machine)
        return found

    def check(self, name: str) -> CheckDefinition:
        found = self._index["checks", name]
        assert isinstance(found, CheckDefinition)
        return found

    def vip(self, name: str) -> Vip:
        found = self._index["vips", name]
        assert isinstance(found, Vip)
        return found

    def service(self, name: str) -> Service:
        found = self._index["services", name]
        assert isinstance(found, Service)
        return found

    def has_vip(self, name: str) -> bool:
        """Whether a gateway's name is that of a VIP rather than of a machine."""
        return ("vips", name) in self._index
