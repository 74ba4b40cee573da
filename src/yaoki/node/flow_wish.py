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
from yaoki.lb.service import Desired, Duty, Forward, VirtualService
from yaoki.node.flow_messages import ConfigureFlows, CopierOrder, FlowStatus, RepeatFlowStatus
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
        self._silent_until: Instant | None = None

    def apply(self, now: Instant, plan: NodePlan, desired: Desired) -> list[ConfigureFlows]:
        """What to tell the copier now."""
        if self._silent_until is not None and now >= self._silent_until:
            self._silent_until = None
        if desired is self._desired and self._told is not None and self._told.peers == plan.heartbeat.peers:
            return []
        self._desired = desired
        copied = {service.key for service in plan.services if service.copied}
        services = tuple(_copied(service) for service in desired.services if service.key in copied)
        wanted = ConfigureFlows(plan.heartbeat.peers if copied else (), services)
        if wanted == self._told or (self._told is None and not copied):
            return []
        if self._told is None:
            self._silent_until = now + FIRST_WORD
        self._told = wanted
        return [wanted]

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


def _copied(service: VirtualService) -> CopiedService:
    servers = (s for s in service.servers if s.forward is Forward.NAT and s.duty is not Duty.OUT)
    return CopiedService(service.key, tuple((server.address, server.port) for server in servers))
