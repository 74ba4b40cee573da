"""One virtual service as a pool: verdicts and decisions in, duties and what the balancer plane is to have out.

The policy is yaoki.pool.policy's; here is only what it must be told and what is remembered between two decisions: since
when each server serves, and, after a restart, how the kernel was found. A server found out of service is presumed down
until its own checks speak: the process before this one had its reasons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from yaoki.checks.check import CheckId
from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.lb.service import Forward, RealServer, ServiceKey, VirtualService, WhenAllDown
from yaoki.node.arp_leaks import minds
from yaoki.node.decisions import Decisions
from yaoki.node.reach import Reach
from yaoki.pool.health import Verdict, all_of
from yaoki.pool.member import AdminState, Duty, Health, Member
from yaoki.pool.policy import Effective, PoolRule, Selection, select
from yaoki.site.node_plan import ServerPlan, ServicePlan


@dataclass(frozen=True, slots=True)
class PoolKey:
    """A virtual service on one of its addresses."""

    service: str
    key: ServiceKey


@dataclass(frozen=True, slots=True)
class _Place:
    """What makes a server the same one after a reload."""

    name: str
    address: IPAddress
    port: int


class ServicePool:
    """The pool of one virtual service on one address.

    `selection` is the latest decision and `service` the same in the balancer plane's terms; both None before the first.
    """

    def __init__(self, plan: ServicePlan, rule: PoolRule) -> None:
        self.plan = plan
        self.rule = rule
        self.key = PoolKey(plan.name, plan.key)
        self.selection: Selection | None = None
        self.service: VirtualService | None = None
        self._places = tuple(_Place(server.name, server.address, server.port) for server in plan.servers)
        self._serving_since: list[Instant | None] = [None] * len(plan.servers)
        self._presumed_down = [False] * len(plan.servers)
        self._known: list[Verdict] | None = None
        self._decisions: Decisions | None = None
        self._decided: list[tuple[int, AdminState]] = []

    def adopt(self, found: VirtualService, now: Instant) -> None:
        """Start from what the kernel has: who serves there has long done so, who is out is presumed down."""
        long_ago = now - self.rule.slow_start
        held = {_Place(server.name, server.address, server.port): server for server in found.servers}
        for index, place in enumerate(self._places):
            server = held.get(place)
            if server is not None and server.duty is Duty.SERVE and server.weight > 0:
                self._serving_since[index] = long_ago
            self._presumed_down[index] = server is not None and server.duty is Duty.OUT

    def succeed(self, before: "ServicePool") -> None:
        """Take over from the pool of the plan before this one."""
        self.selection = before.selection
        self.service = before.service
        held = {place: index for index, place in enumerate(before._places)}
        for index, place in enumerate(self._places):
            if place in held:
                self._serving_since[index] = before._serving_since[held[place]]
                self._presumed_down[index] = before._presumed_down[held[place]]

    def known(self, index: int) -> Verdict:
        """What is known of a server: its checks, or how it was found."""
        assert self._known is not None, "decide comes first"
        return self._known[index]

    def decide(
        self,
        now: Instant,
        verdict: Callable[[CheckId], Verdict],
        decisions: Decisions,
        *,
        touched: CheckId | None = None,
        leaking: frozenset[str] = frozenset(),
    ) -> Selection:
        """Decide anew on all servers; kept in `selection`, too. `touched`: nothing has changed but this check.
        `leaking` servers claim the service's address on the wire."""
        self._learn(verdict, touched)
        self._obey(decisions)
        members = [
            Member(
                server.name,
                weight,
                known.health,
                admin,
                known.since,
                since,
                server.priority,
                server.sorry,
                leaks=server.name in leaking and minds(self.plan, server),
            )
            for server, (weight, admin), known, since in zip(
                self.plan.servers, self._decided, self._known or (), self._serving_since, strict=True
            )
        ]
        self.selection = select(self.rule, members, now)
        self._serving_since = [effective.serving_since for effective in self.selection.members]
        return self.selection

    def render(self, reach: Reach) -> bool:
        """Put the latest decision in the balancer plane's terms, in `service`; whether that changed it."""
        assert self.selection is not None, "decide comes first"
        plan = self.plan
        service = VirtualService(
            plan.name,
            plan.key,
            interface=plan.interface,
            scheduler=plan.scheduler,
            servers=tuple(
                _real_server(server, effective, reach)
                for server, effective in zip(plan.servers, self.selection.members, strict=True)
            ),
            persistence=plan.persistence,
            when_all_down=plan.when_all_down,
            plane=plan.plane,
            idle_timeout=plan.idle_timeout,
        )
        if service == self.service:
            return False
        self.service = service
        return True

    def _obey(self, decisions: Decisions) -> None:
        """What people decided about each server; looked up again only when they decided something."""
        if decisions is self._decisions:
            return
        self._decisions = decisions
        name = self.plan.name
        self._decided = [
            (decisions.weight(server.name, name, server.weight), decisions.admin(server.name, name))
            for server in self.plan.servers
        ]

    def _learn(self, verdict: Callable[[CheckId], Verdict], touched: CheckId | None) -> None:
        """What the checks say of each server; a server presumed down is so until its own checks speak."""
        if self._known is None:
            self._known, touched = [Verdict()] * len(self._places), None
        for index, server in enumerate(self.plan.servers):
            if touched is not None and touched not in server.checks:
                continue
            found = all_of(tuple(verdict(check) for check in server.checks))
            if found.health is not Health.UNKNOWN:
                self._presumed_down[index] = False
            elif self._presumed_down[index]:
                found = Verdict(Health.DOWN)
            self._known[index] = found


def rule_of(plan: ServicePlan, longest_detection: Callable[[CheckId], timedelta]) -> PoolRule:
    """The pool policy of a service; falls within the longest detection of its checks count as one blow."""
    detections = [longest_detection(check) for server in plan.servers for check in server.checks]
    return PoolRule(
        panic_threshold=plan.panic_threshold,
        panic_window=max(detections, default=timedelta(seconds=1)),
        slow_start=plan.slow_start,
        keep_last=plan.when_all_down is WhenAllDown.LAST_KNOWN,
    )


def _real_server(server: ServerPlan, effective: Effective, reach: Reach) -> RealServer:
    return RealServer(
        server.name,
        server.address,
        server.port,
        server.forward,
        effective.weight,
        effective.duty,
        reach.macs.get(server.address) if server.forward is Forward.DIRECT else None,
        server.source,
        server.limit,
        server.tunnel,
        reach.ways.get(server.address) if server.forward is Forward.TUNNEL else None,
    )
