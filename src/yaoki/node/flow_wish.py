"""What the flow copier is asked for, and what it reported.

While it is catching up, this node had better not take a VIP from another that owns it: the flows would be cut. So its
routers are wanted with the least priority meanwhile; of a VIP that nobody owns it takes possession all the same.

Invariants: apart from a repeat for a new copier, nothing is sent that the copier was told already; a node that never
had such a service has no copier. A copier that says nothing holds no router back for longer than FIRST_WORD.
"""

from collections.abc import Collection
from datetime import timedelta

from yaoki.core.instant import Deadline, Instant
from yaoki.lb.flow import CopiedService
from yaoki.lb.service import Desired, Duty, Forward, ServiceKey, VirtualService
from yaoki.node.flow_messages import ChangeServices, ConfigureFlows, CopierOrder, FlowStatus, RepeatFlowStatus
from yaoki.node.messages import RouterStatus
from yaoki.site.node_plan import NodePlan

FIRST_WORD = timedelta(seconds=2)
"""Longest wait for a copier that was just asked for to say something."""


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

    def apply(self, now: Instant, plan: NodePlan, desired: Desired) -> list[CopierOrder]:
        """What to tell the copier now."""
        if self._silent_until is not None and now >= self._silent_until:
            self._silent_until = None
        if plan is not self._plan:
            self._plan, self._keys = plan, frozenset(service.key for service in plan.services if service.copied)
        elif desired is self._desired:
            return []
        self._desired = desired
        if self._told is None and not self._keys:
            return []
        changed = self._follow(desired)
        before, wanted = self._told, self._wanted(plan)
        if wanted == before:
            return []
        if before is None:
            self._silent_until = now + FIRST_WORD
        self._told = wanted
        same = before is not None and before.peers == wanted.peers and _keys(before) == _keys(wanted)
        # Of a thousand services, one server's death is a line.
        return [ChangeServices(changed) if same else wanted]

    def _follow(self, desired: Desired) -> tuple[CopiedService, ...]:
        """Take note of the services as they are now; those that have changed."""
        services = {service.key: service for service in desired.services if service.key in self._keys}
        changed = []
        for key, service in services.items():
            known = self._services.get(key)
            if known is None or known[0] is not service:
                self._services[key] = service, _copied(service)
                if known is None or known[1] != self._services[key][1]:
                    changed.append(self._services[key][1])
        for key in self._services.keys() - services.keys():
            del self._services[key]
        return tuple(changed)

    def _wanted(self, plan: NodePlan) -> ConfigureFlows:
        # A node that shares other VIPs only may have no copier.
        vips = {service.vip for service in plan.services if service.copied}
        peers = tuple(peer for peer in plan.heartbeat.peers if vips & set(peer.vips))
        return ConfigureFlows(peers, tuple(copied for _, copied in self._services.values()))

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
        """The end of the wait for its first word."""
        return None if self._silent_until is None else Deadline(self._silent_until, "flow copier's first word")

    def held_back(self, plan: NodePlan, statuses: Collection[RouterStatus]) -> frozenset[str]:
        """The VIPs that this node is not to take from another: all but those that it owns, and what moves with them. Of
        a VIP whose state is not known yet it may be the owner."""
        catching_up = self._silent_until is not None or (self.status is not None and self.status.catching_up)
        if not catching_up:
            return frozenset()
        known = {status.vip: False for status in statuses} | {s.vip: True for s in statuses if s.state.owns}
        groups = {router.group for router in plan.routers if known.get(router.vip) and router.group is not None}
        others = (router for router in plan.routers if router.group not in groups)
        return frozenset(router.vip for router in others if known.get(router.vip) is False)


def _keys(wish: ConfigureFlows) -> list[ServiceKey]:
    return [service.key for service in wish.services]


def _copied(service: VirtualService) -> CopiedService:
    servers = (s for s in service.servers if s.forward is Forward.NAT and s.duty is not Duty.OUT)
    return CopiedService(service.key, tuple((server.address, server.port) for server in servers), service.persistence)
