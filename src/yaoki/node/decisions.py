"""What people decide about a running node, as values: commands, what stands after them, and why one is refused.

Decisions outlive restarts (the journal keeps them) and reloads. A decision about a server holds for one service or
everywhere; of two that apply the stricter wins (maint over drain over ready), and a service's own weight wins over the
weight everywhere.

Invariant: only decisions that differ from the site file are kept, so an empty Decisions means "as the file says".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from yaoki.node.messages import PeerStatus
from yaoki.pool.member import AdminState
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.standing import OWNER_PRIORITY

MAX_DECISIONS = 100_000
"""Decisions kept at once; more than a large site has servers in services."""

_STRICTNESS = {AdminState.READY: 0, AdminState.DRAIN: 1, AdminState.MAINT: 2}


@dataclass(frozen=True, slots=True)
class SetServerAdmin:
    """Take a server out of (or back into) one service, or all of them (`service` None)."""

    server: str
    admin: AdminState
    service: str | None = None


@dataclass(frozen=True, slots=True)
class SetServerWeight:
    """Give a server another weight than the file's; None goes back to the file's."""

    server: str
    weight: int | None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class SetServiceEnabled:
    """Serve a virtual service or not, whatever the file says."""

    service: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Hands off: nothing is applied any more until Resume."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Apply again, beginning with what changed meanwhile."""


@dataclass(frozen=True, slots=True)
class AdmitVip:
    """Let this node own a VIP again that failback `manual` or a quarantine holds out here, or that was moved away.
    Nothing to be kept: it holds once."""

    vip: str


@dataclass(frozen=True, slots=True)
class MoveVip:
    """Hand a VIP over to another node, and stand behind every other member until it is admitted here again.

    `to` is who shall follow; None: whoever does.
    """

    vip: str
    to: str | None = None


OperatorCommand = SetServerAdmin | SetServerWeight | SetServiceEnabled | Pause | Resume | AdmitVip | MoveVip


@dataclass(frozen=True, slots=True)
class ServerDecision:
    """What stands for a server in one service, or everywhere (`service` None)."""

    server: str
    service: str | None
    admin: AdminState = AdminState.READY
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceDecision:
    """Whether a service is served, where that differs from the file."""

    service: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Decisions:
    """All that stands, sorted by name."""

    servers: tuple[ServerDecision, ...] = ()
    services: tuple[ServiceDecision, ...] = ()
    paused: bool = False
    moved: tuple[str, ...] = ()
    """VIPs that this node handed over, and owns only if nobody else does."""

    def admin(self, server: str, service: str) -> AdminState:
        """The stricter of what was decided for the server here and everywhere."""
        if not self.servers:
            return AdminState.READY
        found = (d.admin for d in self.servers if d.server == server and d.service in (None, service))
        return max(found, key=_STRICTNESS.__getitem__, default=AdminState.READY)

    def weight(self, server: str, service: str, configured: int) -> int:
        """The weight decided for the server in this service, else everywhere, else the configured one."""
        if not self.servers:
            return configured
        by_place = {d.service: d.weight for d in self.servers if d.server == server and d.weight is not None}
        return by_place.get(service, by_place.get(None, configured))

    def enabled(self, service: str, configured: bool) -> bool:
        """Whether the service is to be served."""
        return next((d.enabled for d in self.services if d.service == service), configured)


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that cannot be carried out: why, and what would do instead."""

    why: str
    cure: str


def decide(decisions: Decisions, plan: NodePlan, command: OperatorCommand) -> Decisions | Refused:
    """What stands after `command`; the same Decisions if it stood already."""
    match command:
        case SetServerAdmin() | SetServerWeight():
            refused = _unknown_server(plan, command.server, command.service)
            if refused is not None:
                return refused
            if isinstance(command, SetServerWeight):
                return _weigh(decisions, command)
            return _administer(decisions, command)
        case SetServiceEnabled():
            configured = {service.name: service.enabled for service in plan.services}
            if command.service not in configured:
                return _unknown("service", command.service, sorted(configured))
            kept = [d for d in decisions.services if d.service != command.service]
            if command.enabled != configured[command.service]:
                kept.append(ServiceDecision(command.service, command.enabled))
            return replace(decisions, services=tuple(sorted(kept, key=lambda d: d.service)))
        case Pause():
            return replace(decisions, paused=True)
        case Resume():
            return replace(decisions, paused=False)
        case AdmitVip() | MoveVip():
            return _place(decisions, plan, command)
        case _:
            assert_never(command)


def _administer(decisions: Decisions, command: SetServerAdmin) -> Decisions | Refused:
    if command.service is None:
        # A word about the server as a whole settles what was said about it in single services.
        cleared = tuple(
            replace(d, admin=AdminState.READY) if d.server == command.server else d for d in decisions.servers
        )
        decisions = replace(decisions, servers=_worth_keeping(cleared))
    else:
        everywhere = _decision(decisions, command.server, None).admin
        if _STRICTNESS[everywhere] > _STRICTNESS[command.admin]:
            return Refused(
                f"{command.server} is in {everywhere.value} everywhere",
                f"yaoki server {command.admin.value} {command.server}",
            )
    held = _decision(decisions, command.server, command.service)
    return _with(decisions, replace(held, admin=command.admin))


def _weigh(decisions: Decisions, command: SetServerWeight) -> Decisions | Refused:
    if command.weight is not None and not 0 <= command.weight <= 65535:
        return Refused(f"weight {command.weight} is outside 0..65535", "choose one inside; 0 drains")
    held = _decision(decisions, command.server, command.service)
    return _with(decisions, replace(held, weight=command.weight))


def _decision(decisions: Decisions, server: str, service: str | None) -> ServerDecision:
    found = (d for d in decisions.servers if d.server == server and d.service == service)
    return next(found, ServerDecision(server, service))


def _with(decisions: Decisions, changed: ServerDecision) -> Decisions | Refused:
    others = [d for d in decisions.servers if (d.server, d.service) != (changed.server, changed.service)]
    servers = _worth_keeping((*others, changed))
    if len(servers) > MAX_DECISIONS:
        return Refused(f"{MAX_DECISIONS} decisions stand already", "yaoki server ready NAME takes one back")
    return replace(decisions, servers=servers)


def _worth_keeping(servers: tuple[ServerDecision, ...]) -> tuple[ServerDecision, ...]:
    kept = (d for d in servers if d.admin is not AdminState.READY or d.weight is not None)
    return tuple(sorted(kept, key=lambda d: (d.server, d.service or "")))


def _place(decisions: Decisions, plan: NodePlan, command: AdmitVip | MoveVip) -> Decisions | Refused:
    known = sorted({router.vip for router in plan.routers})
    if command.vip not in known:
        return _unknown("VIP", command.vip, known)
    together = vips_with(plan, command.vip)
    away = set(decisions.moved) - together
    if isinstance(command, MoveVip):
        refused = _no_successor(plan, command)
        if refused is not None:
            return refused
        away |= together
    return replace(decisions, moved=tuple(sorted(away)))


def vips_with(plan: NodePlan, vip: str) -> set[str]:
    """The VIPs that move with one: itself, and those of its sync group."""
    groups = {router.group for router in plan.routers if router.vip == vip} - {None}
    return {vip, *(router.vip for router in plan.routers if router.group in groups)}


def _no_successor(plan: NodePlan, command: MoveVip) -> Refused | None:
    """Why nobody, or not the one that is wanted, would follow this node. Who lives is not asked here."""
    vip, to = command.vip, command.to
    routers = [router for router in plan.routers if router.vip == vip]
    if any(router.others == () for router in routers):
        return Refused(f"{vip} has no member but this node", "add one under members: in the site file")
    if any(router.priority == OWNER_PRIORITY for router in routers):
        return Refused(f"the addresses of {vip} are this node's own (priority 255)", "give it a lower priority first")
    if to is None:
        return None
    members = {
        m.node: m.priority for wire in plan.wires if wire.vip == vip for m in wire.members if m.node != plan.node
    }
    if to not in members:
        return Refused(f"{to} is no other member of {vip}", f"there are: {', '.join(sorted(members)) or 'none'}")
    first = max(sorted(members), key=members.__getitem__)
    if members[first] > members[to]:
        return Refused(f"{first} comes before {to} by its priority", f"on {first}: yaoki vip move {vip}")
    return None


def _unknown_server(plan: NodePlan, server: str, service: str | None) -> Refused | None:
    services = [s for s in plan.services if service in (None, s.name)]
    if not services and service is not None:
        return _unknown("service", service, sorted({s.name for s in plan.services}))
    names = sorted({member.name for s in services for member in s.servers})
    return None if server in names else _unknown("server", server, names)


def _unknown(what: str, name: str, known: list[str]) -> Refused:
    shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
    return Refused(f'there is no {what} "{name}" on this node', f"there are: {shown}" if known else "there are none")


def alone(plan: NodePlan, peers: Mapping[str, PeerStatus], command: OperatorCommand) -> Refused | None:
    """Of a VIP that no other member could take over: it stays. Members that send no heartbeats are not known to be
    dead, and the speaker keeps what nobody takes."""
    if not isinstance(command, MoveVip):
        return None
    others = [peer.node for peer in plan.heartbeat.peers if command.vip in peer.vips and peer.paths]
    unknown = any(router.others is None for router in plan.routers if router.vip == command.vip)
    silent = [node for node in others if node in peers and not peers[node].alive]
    if unknown or not others or len(silent) < len(others):
        return None
    return Refused(f"no other member of {command.vip} is heard ({', '.join(silent)})", "yaoki status shows them")
