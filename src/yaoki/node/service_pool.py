"""One virtual service as a pool: verdicts and decisions in, duties and what the balancer plane is to have out.

The policy is yaoki.pool.policy's; here is only what it must be told and what is remembered between two decisions: since
when each server serves, and, after a restart, how the kernel was found. A server found out of service is presumed down
until its own checks speak: the process before this one had its reasons.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from yaoki.checks.check import CheckId
from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.instant import Instant
from yaoki.lb.service import Forward, RealServer, ServiceKey, VirtualService, WhenAllDown
from yaoki.node.decisions import Decisions
from yaoki.pool.health import Verdict, all_of
from yaoki.pool.member import Duty, Health, Member
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


@dataclass(slots=True)
class ServicePool:
    """The pool of one virtual service on one address. `selection` is the latest decision, None before the first."""

    plan: ServicePlan
    rule: PoolRule
    selection: Selection | None = None
    _serving_since: dict[_Place, Instant] = field(default_factory=dict)
    _presumed_down: set[_Place] = field(default_factory=set)

    @property
    def key(self) -> PoolKey:
        return PoolKey(self.plan.name, self.plan.key)

    def adopt(self, found: VirtualService, now: Instant) -> None:
        """Start from what the kernel has: who serves there has long done so, who is out is presumed down."""
        long_ago = now - self.rule.slow_start
        serving = {_Place(s.name, s.address, s.port) for s in found.servers if s.duty is Duty.SERVE and s.weight > 0}
        out = {_Place(s.name, s.address, s.port) for s in found.servers if s.duty is Duty.OUT}
        for server in self.plan.servers:
            place = _place(server)
            if place in serving:
                self._serving_since[place] = long_ago
            elif place in out:
                self._presumed_down.add(place)

    def succeed(self, before: "ServicePool") -> None:
        """Take over from the pool of the plan before this one."""
        self.selection = before.selection
        self._serving_since = dict(before._serving_since)
        self._presumed_down = set(before._presumed_down)

    def health(self, server: ServerPlan, verdict: Callable[[CheckId], Verdict]) -> Verdict:
        """What is known of a server: its checks, or how it was found."""
        proven = all_of(tuple(verdict(check) for check in server.checks))
        if proven.health is Health.UNKNOWN and _place(server) in self._presumed_down:
            return Verdict(Health.DOWN)
        return proven

    def decide(self, now: Instant, verdict: Callable[[CheckId], Verdict], decisions: Decisions) -> Selection:
        """Decide anew on all servers; the result is also kept in `selection`."""
        selection = select(self.rule, [self._member(server, verdict, decisions) for server in self.plan.servers], now)
        self._serving_since = {
            _place(server): effective.serving_since
            for server, effective in zip(self.plan.servers, selection.members, strict=True)
            if effective.serving_since is not None
        }
        self.selection = selection
        return selection

    def virtual_service(self, mac: Callable[[IPAddress], MacAddress | None]) -> VirtualService:
        """The latest decision in the balancer plane's terms."""
        assert self.selection is not None, "decide comes first"
        plan = self.plan
        servers = tuple(
            _real_server(server, effective, mac)
            for server, effective in zip(plan.servers, self.selection.members, strict=True)
        )
        return VirtualService(
            plan.name,
            plan.key,
            interface=plan.interface,
            scheduler=plan.scheduler,
            servers=servers,
            persistence=plan.persistence,
            when_all_down=plan.when_all_down,
        )

    def _member(self, server: ServerPlan, verdict: Callable[[CheckId], Verdict], decisions: Decisions) -> Member:
        found = self.health(server, verdict)
        if found.health is not Health.UNKNOWN and found.since is not None:
            self._presumed_down.discard(_place(server))
        return Member(
            server.name,
            decisions.weight(server.name, self.plan.name, server.weight),
            found.health,
            decisions.admin(server.name, self.plan.name),
            found.since,
            self._serving_since.get(_place(server)),
        )


def rule_of(plan: ServicePlan, longest_detection: Callable[[CheckId], timedelta]) -> PoolRule:
    """The pool policy of a service; falls within the longest detection of its checks count as one blow."""
    detections = [longest_detection(check) for server in plan.servers for check in server.checks]
    return PoolRule(
        panic_threshold=plan.panic_threshold,
        panic_window=max(detections, default=timedelta(seconds=1)),
        slow_start=plan.slow_start,
        keep_last=plan.when_all_down is WhenAllDown.LAST_KNOWN,
    )


def _place(server: ServerPlan) -> _Place:
    return _Place(server.name, server.address, server.port)


def _real_server(server: ServerPlan, effective: Effective, mac: Callable[[IPAddress], MacAddress | None]) -> RealServer:
    return RealServer(
        server.name,
        server.address,
        server.port,
        server.forward,
        effective.weight,
        effective.duty,
        mac(server.address) if server.forward is Forward.DIRECT else None,
        server.source,
    )
