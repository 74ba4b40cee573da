"""What readers see of a node: an immutable picture, each value with its age and its evidence.

Ages count from when a value became what it is; `stale` means that whoever would tell a change is out of reach, so the
value is grey. Deliberately absent: counters, which come from the kernel and not through the Brain; `with_counts` adds
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import Family, IPAddress, IPInterface, MacAddress
from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.election.lease_params import LeaseParams
from yaoki.lb.headroom import Bearer, Headroom, headroom
from yaoki.lb.packet_reason import PacketReason
from yaoki.lb.plane import PlaneChoice
from yaoki.lb.service import Duty, Forward, PlaneWish, Protocol, Scheduler, ServiceKey, SourcePersistence, Way
from yaoki.node.brain import Brain
from yaoki.node.brain_events import Part
from yaoki.node.decisions import Decisions
from yaoki.node.flow_messages import CopyState
from yaoki.node.lease_messages import LeaseState
from yaoki.node.messages import RouterState
from yaoki.node.service_pool import ServicePool
from yaoki.node.wire_view import SeenView, WireView, seen, wires
from yaoki.pool.member import AdminState, Health
from yaoki.pool.policy import Outlook, Reason
from yaoki.site.model import WhenDisabled
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.peer_params import PeerParams


@dataclass(frozen=True, slots=True)
class PartView:
    """A process of the node beside this one."""

    part: Part
    reached: bool
    age: timedelta | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RouterView:
    """A virtual router: one family of a VIP. `state` is None before the speaker's first word. `seen` is who answers on
    the wire, `foreign_claims` how often somebody who is no member said to have an address. `moved`: a person moved the
    VIP away, until it is admitted here again; `withdrawn`: this node is not to own it, for its services are disabled.
    `group` is its sync group."""

    vip: str
    interface: str
    family: Family
    vrid: int
    addresses: tuple[IPInterface, ...]
    configured_priority: int
    wanted_priority: int
    state: RouterState | None = None
    age: timedelta | None = None
    priority: int | None = None
    reason: str = ""
    peer: IPAddress | None = None
    peer_priority: int | None = None
    peer_heard: timedelta | None = None
    because: EventId | None = None
    stale: bool = False
    seen: tuple[SeenView, ...] = ()
    foreign_claims: int = 0
    moved: bool = False
    withdrawn: bool = False
    epoch: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class PathView:
    """A way to a peer; `heard` is how long ago it was."""

    interface: str
    address: IPAddress
    alive: bool = False
    heard: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PeerView:
    """Another node that shares `vips`; without any, a cold standby, or one that was `replaced`. `alive` is None before
    the speaker's first word."""

    node: str
    vips: tuple[str, ...]
    paths: tuple[PathView, ...]
    alive: bool | None = None
    age: timedelta | None = None
    generation: str | None = None
    stale: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease as this node's keeper sees it. `vip` is "group/NAME" for that of a sync group. `owner` is the node that
    holds it by the store's word, empty for none or unknown; `left` how long this node may rely on it, None where it
    does not hold it. `state` is None before the keeper's first word."""

    vip: str
    duration: timedelta
    state: LeaseState | None = None
    age: timedelta | None = None
    owner: str = ""
    epoch: int = 0
    left: timedelta | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class PeerCopyView:
    """How this node stands with a peer's flows. `heard`: how long ago; `copied` flows were told when it told all, so
    long ago; `taken` since the copier started; `lost`: its datagrams that did not arrive."""

    node: str
    state: CopyState
    age: timedelta
    heard: timedelta | None
    copied: int | None
    copied_ago: timedelta | None
    taken: int
    lost: int


@dataclass(frozen=True, slots=True)
class FlowsView:
    """Copying of flows. `catching_up`: this node takes no VIP from another for the moment; None before the copier's
    first word."""

    catching_up: bool | None = None
    peers: tuple[PeerCopyView, ...] = ()
    told: int = 0
    refused: int = 0
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """What a server was sent for a service, as the kernel counted; `flows` it has now, None where nobody knows."""

    packets: int
    octets: int
    flows: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceTotal:
    """What all servers of a service were sent, those that have left it too on BPF; `opened` flows were given a server,
    None where nobody counts that."""

    packets: int
    octets: int
    opened: int | None = None


@dataclass(frozen=True, slots=True)
class Unsent:
    """Packets that the program on BPF sent to no server since it was loaded, of all services together."""

    reason: PacketReason
    packets: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What the kernel counted: of servers by service, address and port; of services; of packets that no server got."""

    servers: Mapping[tuple[ServiceKey, IPAddress, int], Count] = field(default_factory=dict)
    services: Mapping[ServiceKey, ServiceTotal] = field(default_factory=dict)
    unsent: Mapping[PacketReason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerView:
    """A real server of a virtual service. `evidence` are the words of its latest verdicts; `way` is known, or not, of
    one behind a tunnel."""

    name: str
    address: IPAddress
    port: int
    forward: Forward
    weight: int
    configured_weight: int
    duty: Duty
    reason: Reason
    admin: AdminState
    health: Health
    age: timedelta | None = None
    evidence: str = ""
    mac: MacAddress | None = None
    count: Count | None = None
    stale: bool = False
    limit: int | None = None
    way: Way | None = None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A virtual service on one address. `plane` is None while the kernel does not have it."""

    name: str
    vip: str
    key: ServiceKey
    scheduler: Scheduler
    persistence: SourcePersistence | None
    enabled: bool
    outlook: Outlook | None
    servers: tuple[ServerView, ...]
    plane: PlaneChoice | None = None
    wished_plane: PlaneWish = PlaneWish.AUTO
    idle_timeout: timedelta | None = None
    total: ServiceTotal | None = None
    drains: bool = False
    """Disabled, and its flows go on to their end."""

    @property
    def protocol(self) -> Protocol:
        return self.key.protocol

    @property
    def headroom(self) -> Headroom | None:
        """Whether it could lose any one server, as far as limits and counts tell."""
        return headroom(
            Bearer(each.name, each.limit, None if each.count is None else each.count.flows)
            for each in self.servers
            if each.duty is Duty.SERVE and each.reason is not Reason.STANDS_BY
        )


@dataclass(frozen=True, slots=True)
class BalancerView:
    """Whether the kernel has what is wanted: `refusal` says why it does not."""

    in_force: bool
    age: timedelta | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node at one moment."""

    site: str
    node: str
    generation: str
    plan_age: timedelta | None
    paused: bool
    stopping: bool
    decisions: Decisions
    parts: tuple[PartView, ...]
    routers: tuple[RouterView, ...]
    services: tuple[ServiceView, ...]
    balancer: BalancerView
    wires: tuple[WireView, ...] = ()
    peers: tuple[PeerView, ...] = ()
    leases: tuple[LeaseView, ...] = ()
    flows: FlowsView | None = None
    """None where no service's flows are copied."""
    unsent: tuple[Unsent, ...] = ()
    """Empty where there is no program on BPF."""


def view(brain: Brain, now: Instant) -> NodeView:
    """The node as its Brain knows it at `now`."""
    plan = brain.plan
    assert plan is not None, "a Brain that is looked at has a plan"
    balancer = brain.balancer
    return NodeView(
        plan.site,
        plan.node,
        plan.generation,
        _age(now, brain.plan_since),
        brain.decisions.paused,
        brain.stopping,
        brain.decisions,
        parts=tuple(_part(brain, part, now) for part in Part if _has_part(plan, part)),
        routers=tuple(_router(brain, params, now) for params in plan.routers),
        services=tuple(_service(brain, pool, now) for pool in brain.pools),
        balancer=BalancerView(
            balancer.settled and balancer.has == brain.desired(), _age(now, balancer.finished_at), balancer.refusal
        ),
        wires=wires(brain.wire),
        peers=tuple(_peer(brain, params, now) for params in plan.heartbeat.peers),
        leases=tuple(_lease(brain, plan, lease, now) for lease in plan.leases),
        flows=_flows(brain, now) if plan.copies_flows else None,
    )


def with_counts(node: NodeView, counts: Counts) -> NodeView:
    """The same picture with the kernel's counters."""
    services = tuple(
        replace(
            service,
            servers=tuple(
                replace(s, count=counts.servers.get((service.key, s.address, s.port))) for s in service.servers
            ),
            total=counts.services.get(service.key),
        )
        for service in node.services
    )
    unsent = tuple(Unsent(reason, packets) for reason, packets in counts.unsent.items())
    return replace(node, services=services, unsent=unsent)


def summary(brain: Brain) -> str:
    """A node in one line: "owner of 1 of 2 VIPs, 3/4 servers serve"."""
    if brain.plan is None:
        return "starting"
    vips = {router.vip for router in brain.plan.routers}
    owned = {status.vip for status in brain.statuses.values() if status.state.owns and status.vip in vips}
    members = [m for pool in brain.pools if pool.selection is not None for m in pool.selection.members]
    serving = sum(member.duty is Duty.SERVE for member in members)
    paused = "PAUSED, " if brain.decisions.paused else ""
    return f"{paused}owner of {len(owned)} of {len(vips)} VIPs, {serving}/{len(members)} servers serve"


def _part(brain: Brain, part: Part, now: Instant) -> PartView:
    if part not in brain.parts:
        return PartView(part, reached=False, age=None, why="not reached yet")
    reached, since, why = brain.parts[part]
    return PartView(part, reached, now - since, why)


def _has_part(plan: NodePlan, part: Part) -> bool:
    match part:
        case Part.LEASES:
            return bool(plan.leases)
        case Part.FLOWS:
            return plan.copies_flows
        case Part.SPEAKER | Part.CHECKS:
            return True
        case _:
            assert_never(part)


def _flows(brain: Brain, now: Instant) -> FlowsView:
    stale = not _reached(brain, Part.FLOWS)
    status = brain.flows.status
    if status is None:
        return FlowsView(stale=stale)
    peers = tuple(
        PeerCopyView(
            peer.node,
            peer.state,
            now - peer.since,
            _age(now, peer.heard),
            peer.copied,
            _age(now, peer.copied_at),
            peer.taken,
            peer.lost,
        )
        for peer in status.peers
    )
    return FlowsView(status.catching_up, peers, status.told, status.refused, stale)


def _router(brain: Brain, params: RouterParams, now: Instant) -> RouterView:
    known = RouterView(
        params.vip,
        params.key.interface,
        params.key.family,
        params.key.vrid,
        params.addresses,
        params.priority,
        brain.routers.wanted_priority(params),
        stale=not _reached(brain, Part.SPEAKER),
        seen=seen(brain.wire, params.key, now),
        group=params.group,
        moved=params.vip in brain.decisions.moved,
        withdrawn=params.vip in brain.withdrawal.vips,
        foreign_claims=sum(watched.claims.claims for watched in brain.wire.of_router(params.key)),
    )
    status = brain.statuses.get(params.key)
    if status is None:
        return known
    return replace(
        known,
        state=status.state,
        age=now - status.since,
        priority=status.priority,
        reason=status.reason,
        peer=status.peer,
        peer_priority=status.peer_priority,
        peer_heard=_age(now, status.peer_heard),
        because=status.because,
        epoch=status.epoch,
    )


def _lease(brain: Brain, plan: NodePlan, lease: LeaseParams, now: Instant) -> LeaseView:
    seen = LeaseView(lease.key, lease.duration, stale=not _reached(brain, Part.LEASES))
    status = brain.leases.statuses.get(lease.key)
    if status is None:
        return seen
    # The speaker is told of every renewal, and its statuses come each second: newer than the keeper's last word.
    owners = [s for router in plan.routers if router.lease == lease and (s := brain.statuses.get(router.key))]
    told = [status.lease_until for status in owners if status.lease_until is not None]
    until = max((*told, *([status.valid_until] if status.valid_until else [])), key=lambda at: at.us, default=None)
    return replace(
        seen,
        state=status.state,
        age=now - status.since,
        owner=status.owner,
        epoch=status.epoch,
        left=max(until - now, timedelta(0)) if status.state is LeaseState.HELD and until is not None else None,
    )


def _peer(brain: Brain, params: PeerParams, now: Instant) -> PeerView:
    stale = not _reached(brain, Part.SPEAKER)
    status = brain.peers.get(params.node)
    if status is None:
        paths = tuple(PathView(path.interface, path.peer) for path in params.paths)
        return PeerView(params.node, params.vips, paths, stale=stale, replaced=params.replaced)
    paths = tuple(PathView(p.interface, p.peer, p.alive, _age(now, p.heard)) for p in status.paths)
    age = now - status.since
    return PeerView(params.node, params.vips, paths, status.alive, age, status.generation, stale, params.replaced)


def _service(brain: Brain, pool: ServicePool, now: Instant) -> ServiceView:
    plan = pool.plan
    selection = pool.selection
    return ServiceView(
        plan.name,
        plan.vip,
        plan.key,
        plan.scheduler,
        plan.persistence,
        brain.decisions.enabled(plan.name, plan.enabled),
        None if selection is None else selection.outlook,
        tuple(_server(brain, pool, index, now) for index in range(len(plan.servers))),
        brain.balancer.planes.get(plan.key),
        plan.plane,
        plan.idle_timeout,
        drains=plan.when_disabled is WhenDisabled.DRAIN and not brain.decisions.enabled(plan.name, plan.enabled),
    )


def _server(brain: Brain, pool: ServicePool, index: int, now: Instant) -> ServerView:
    server = pool.plan.servers[index]
    assert pool.selection is not None, "a pool is decided on when it is made"
    effective = pool.selection.members[index]
    known = pool.known(index)
    verdicts = [brain.verdicts[check] for check in server.checks if check in brain.verdicts]
    return ServerView(
        server.name,
        server.address,
        server.port,
        server.forward,
        effective.weight,
        server.weight,
        effective.duty,
        effective.reason,
        brain.decisions.admin(server.name, pool.plan.name),
        known.health,
        _age(now, known.since),
        "; ".join(dict.fromkeys(v.finding.evidence for v in verdicts if v.health is known.health)),
        brain.reach.macs.get(server.address) if server.forward is Forward.DIRECT else None,
        stale=bool(server.checks) and not _reached(brain, Part.CHECKS),
        limit=server.limit,
        way=brain.reach.ways.get(server.address) if server.forward is Forward.TUNNEL else None,
    )


def _reached(brain: Brain, part: Part) -> bool:
    return part in brain.parts and brain.parts[part][0]


def _age(now: Instant, since: Instant | None) -> timedelta | None:
    return None if since is None else now - since
