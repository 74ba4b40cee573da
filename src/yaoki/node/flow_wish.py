"""What the flow copier is asked for, and what it reported.

A service with direct return is asked for as soon as the balancer's plane has it, and the ways to its servers are known
or TABLES_WITHIN has passed: before that a flow that is told of would find no place in the kernel.

While it is catching up, this node had better not take a VIP from another that owns it: the flows would be cut. So its
routers are wanted with the least priority meanwhile; of a VIP that nobody owns it takes possession all the same.

A new plan has the copier told all again where copies are signed, whose keys are read anew by that.

Invariants: apart from that, and from a repeat for a new copier, nothing is sent that the copier was told already; a
node that never had such a service has no copier. A copier that says nothing holds no router back for longer than
FIRST_WORD, and a plane that is not ready for no longer than TABLES_WITHIN before that.
"""

from collections.abc import Collection
from datetime import timedelta

from yaoki.core.instant import Deadline, Instant
from yaoki.lb.flow import CopiedService, DirectService
from yaoki.lb.plane import is_direct
from yaoki.lb.schedulers import Pick
from yaoki.lb.service import Desired, Duty, Forward, RealServer, Scheduler, ServiceKey, VirtualService
from yaoki.node.flow_messages import ChangeServices, ConfigureFlows, CopierOrder, FlowStatus, RepeatFlowStatus
from yaoki.node.messages import RouterStatus
from yaoki.site.node_plan import NodePlan

FIRST_WORD = timedelta(seconds=4)
"""Longest wait for a copier that was just asked for to say something; on a busy machine it took 2.3 s to start."""
TABLES_WITHIN = timedelta(seconds=3)
"""Longest wait for the plane and the ways to servers before services with direct return are asked for."""

_FOUND_BY = {Scheduler.SOURCE_HASH: Pick.BY_SOURCE, Scheduler.MAGLEV: Pick.BY_FLOW}


class FlowWish:
    """The flow copier as its Brain sees it."""

    def __init__(self) -> None:
        self.status: FlowStatus | None = None
        self._told: ConfigureFlows | None = None
        self._desired: Desired | None = None
        self._plan: NodePlan | None = None
        self._keys: frozenset[ServiceKey] = frozenset()
        self._services: dict[ServiceKey, tuple[VirtualService, CopiedService]] = {}
        self._silent_until: Instant | None = None
        self._has: Desired | None = None
        self._placed: frozenset[ServiceKey] = frozenset()
        """What the plane has."""
        self._waiting: frozenset[ServiceKey] = frozenset()
        """Services with direct return that are not asked for yet."""
        self._waits_until: Instant | None = None

    def apply(self, now: Instant, plan: NodePlan, desired: Desired, has: Desired | None) -> list[CopierOrder]:
        """What to tell the copier now. `has`: what the plane has, None if that is not known yet."""
        if self._silent_until is not None and now >= self._silent_until:
            self._silent_until = None
        late = self._waits_until is not None and now >= self._waits_until
        reread = plan is not self._plan and self._told is not None and _signed(self._told)
        if plan is not self._plan:
            self._plan, self._keys = plan, frozenset(service.key for service in plan.services if service.copied)
            self._waits_until = now + TABLES_WITHIN
        elif desired is self._desired and not (self._waiting and (late or has is not self._has)):
            return []
        if has is not self._has and has is not None:
            self._placed = frozenset(service.key for service in has.services)
        self._has = has
        if late:
            self._waits_until = None
        self._desired = desired
        if self._told is None and not self._keys:
            return []
        changed = self._follow(desired)
        before, wanted = self._told, self._wanted(plan)
        # A copier asks once for all that its peers have, so all services are there before it is told of any.
        if (wanted == before and not reread) or self._holds_off:
            return []
        if before is None:
            self._silent_until = now + FIRST_WORD
        self._told = wanted
        same = before is not None and before.peers == wanted.peers and _keys(before) == _keys(wanted)
        # Of a thousand services, one server's death is a line.
        return [ChangeServices(changed) if same and not reread else wanted]

    def _follow(self, desired: Desired) -> tuple[CopiedService, ...]:
        """Take note of the services as they are now; those that have changed."""
        services = {service.key: service for service in desired.services if service.key in self._keys}
        new = services.keys() - self._services.keys()
        self._waiting = frozenset(key for key in new if self._waits(services[key]))
        changed = []
        for key, service in services.items():
            known = self._services.get(key)
            if key in self._waiting:
                continue
            if known is None or known[0] is not service:
                self._services[key] = service, copied(service)
                if known is None or known[1] != self._services[key][1]:
                    changed.append(self._services[key][1])
        for key in self._services.keys() - services.keys():
            del self._services[key]
        return tuple(changed)

    @property
    def _holds_off(self) -> bool:
        """Whether the copier is not told of anything yet."""
        return self._told is None and bool(self._waiting)

    def _waits(self, service: VirtualService) -> bool:
        """Whether a service that is new is not to be asked for yet."""
        if self._waits_until is None or not is_direct(service):
            return False
        return service.key not in self._placed or any(not server.reachable for server in _with_flows(service))

    def _wanted(self, plan: NodePlan) -> ConfigureFlows:
        # A node that shares other VIPs only may have no copier.
        vips = {service.vip for service in plan.services if service.copied}
        peers = tuple(peer for peer in plan.heartbeat.peers if vips & set(peer.vips))
        return ConfigureFlows(peers, tuple(each for _, each in self._services.values()))

    def repeat(self) -> list[CopierOrder]:
        """The whole wish again, for a copier that may know nothing."""
        return [] if self._told is None else [self._told, RepeatFlowStatus()]

    def note(self, status: FlowStatus) -> None:
        """Remember what the copier says. The first word of one that was not told yet is no news."""
        if status.peers:
            self._silent_until = None
        self.status = status

    def lost(self) -> None:
        """It is out of reach; it will say so when it catches up after that."""
        self.status = None

    def deadline(self) -> Deadline | None:
        """The end of the wait for its first word, or for what it needs."""
        waits_until = self._waits_until if self._waiting else None
        known = [at for at in (self._silent_until, waits_until) if at is not None]
        return Deadline(min(known), "flow copier's first word, or what it needs") if known else None

    def held_back(self, plan: NodePlan, statuses: Collection[RouterStatus]) -> frozenset[str]:
        """The VIPs that this node is not to take from another: all but those that it owns, and what moves with them. Of
        a VIP whose state is not known yet it may be the owner."""
        slow = self.status is not None and self.status.catching_up
        catching_up = self._holds_off or self._silent_until is not None or slow
        if not catching_up:
            return frozenset()
        known = {status.vip: False for status in statuses} | {s.vip: True for s in statuses if s.state.owns}
        groups = {router.group for router in plan.routers if known.get(router.vip) and router.group is not None}
        others = (router for router in plan.routers if router.group not in groups)
        return frozenset(router.vip for router in others if known.get(router.vip) is False)


def _keys(wish: ConfigureFlows) -> list[ServiceKey]:
    return [service.key for service in wish.services]


def _signed(wish: ConfigureFlows) -> bool:
    return any(peer.authentication is not None for peer in wish.peers)


def _with_flows(service: VirtualService) -> tuple[RealServer, ...]:
    """Servers that may have flows of those that are copied."""
    kept = (server for server in service.servers if server.duty is not Duty.OUT)
    return tuple(server for server in kept if server.forward is not Forward.FULLNAT)


def copied(service: VirtualService) -> CopiedService:
    """What the copier has to know of a service."""
    servers = _with_flows(service)
    places = tuple((server.address, server.port) for server in servers)
    return CopiedService(service.key, places, service.persistence, _direct(service) if is_direct(service) else None)


def _direct(service: VirtualService) -> DirectService:
    servers = _with_flows(service)
    found_by = _FOUND_BY.get(service.scheduler) if service.finds_again else None
    weights = tuple(server.weight if server.eligible else 0 for server in servers)
    macs = tuple(server.mac for server in servers)
    return DirectService(macs, found_by, weights if found_by else (), service.idle_timeout)
