"""What one node is asked to be: the site compiled for it, holding each engine's own parameters and nothing else."""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.checks.check import CheckId, CheckSpec
from yaoki.core.address import IPAddress
from yaoki.election.lease_params import LeaseParams
from yaoki.election.store import StoreSpec
from yaoki.lb.service import Forward, PlaneWish, Scheduler, ServiceKey, SourcePersistence, Tunnel, WhenAllDown
from yaoki.pool.member import DEFAULT_PRIORITY
from yaoki.site.model import ArpLeak, DataCheck, Hook, TrackedService, WhenDisabled
from yaoki.vrrp.params import RouterKey, RouterParams
from yaoki.vrrp.peer_params import NO_PEERS, HeartbeatParams
from yaoki.vrrp.wire_params import WireParams


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A real server as compiled: its own address in the service's family, and the checks that must all pass.

    Of `priority` the highest serves; a `sorry` one serves when no other can. With `limit` flows it takes no more.
    `source` is what `fullnat` puts in the place of the client's address: the node's own address, never the VIP.
    `tunnel` is what packets go inside, with `forward` TUNNEL.
    """

    name: str
    address: IPAddress
    port: int
    forward: Forward
    weight: int
    checks: tuple[CheckId, ...] = ()
    source: IPAddress | None = None
    priority: int = DEFAULT_PRIORITY
    sorry: bool = False
    limit: int | None = None
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A virtual service on one of its VIP's addresses, present on every node that may own the VIP. The server that says
    sorry, if there is one, is among its `servers`."""

    name: str
    vip: str
    key: ServiceKey
    interface: str
    scheduler: Scheduler
    servers: tuple[ServerPlan, ...]
    persistence: SourcePersistence | None = None
    when_all_down: WhenAllDown = WhenAllDown.REFUSE
    slow_start: timedelta = timedelta(0)
    panic_threshold: float = 0.0
    enabled: bool = True
    copied: bool = False
    """Whether flows of its `nat`, `direct` or `tunnel` servers are copied to the VIP's other members."""
    plane: PlaneWish = PlaneWish.AUTO
    idle_timeout: timedelta | None = None
    arp_leak: ArpLeak = ArpLeak.TELL
    when_disabled: WhenDisabled = WhenDisabled.CUT


@dataclass(frozen=True, slots=True)
class TrackedProbe:
    """A check that is tracked for itself, not as that of a server; `name` is how people know it."""

    check: CheckId
    name: str

    def __str__(self) -> str:
        return self.name


Tracked = TrackedService | TrackedProbe


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """While what is `tracked` fails (with `reverse`: works), `router` advertises its priority plus `weight`, or,
    without a weight, may not own. A service fails when it has no server up on any of its
    addresses. Interfaces are tracked by the speaker, see RouterParams."""

    router: RouterKey
    tracked: Tracked
    weight: int | None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class NodePlan:
    """Everything that one node needs to know. `generation` is a digest of the compiled site, equal on all nodes that
    run the same file."""

    site: str
    node: str
    generation: str
    routers: tuple[RouterParams, ...] = ()
    services: tuple[ServicePlan, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    tracks: tuple[TrackPlan, ...] = ()
    hooks: tuple[Hook, ...] = ()
    wires: tuple[WireParams, ...] = ()
    heartbeat: HeartbeatParams = NO_PEERS
    store: StoreSpec | None = None
    data_checks: tuple[DataCheck, ...] = ()
    withdrawable: tuple[str, ...] = ()
    """VIPs that nobody is to own while every service on them is disabled."""

    @property
    def copies_flows(self) -> bool:
        """Whether flows of a service of it are copied to other nodes."""
        return any(service.copied for service in self.services)

    @property
    def leases(self) -> tuple[LeaseParams, ...]:
        """The leases of its VIPs, one for each VIP or sync group that needs one."""
        return tuple(dict.fromkeys(router.lease for router in self.routers if router.lease is not None))
