"""All pools of a plan, and the ways to find some of them: by service, by check, by what people decided."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from yaoki.checks.check import CheckId, CheckSpec
from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.lb.service import Desired, Duty, Forward, VirtualService
from yaoki.node.brain_messages import WatchNeighbours
from yaoki.node.decisions import Decisions
from yaoki.node.service_pool import PoolKey, ServicePool, rule_of
from yaoki.pool.member import AdminState
from yaoki.site.model import ArpLeak, WhenDisabled
from yaoki.site.node_plan import NodePlan, TrackedProbe

_UNCHECKED = timedelta(seconds=1)


class ServicePools:
    """The pools of one plan, in its order; of no plan: none."""

    def __init__(self, plan: NodePlan | None = None) -> None:
        self._specs: tuple[CheckSpec, ...] = () if plan is None else plan.checks
        tracks = () if plan is None else plan.tracks
        self._tracked = {track.tracked.check for track in tracks if isinstance(track.tracked, TrackedProbe)}
        detections = {spec.id: spec.schedule.longest_detection for spec in self._specs}
        services = () if plan is None else plan.services
        pools = [ServicePool(s, rule_of(s, lambda c: detections.get(c, _UNCHECKED))) for s in services]
        self._by_key = {pool.key: pool for pool in pools}
        by_check: dict[CheckId, dict[PoolKey, ServicePool]] = {}
        by_service: dict[str, list[ServicePool]] = {}
        for pool in pools:
            by_service.setdefault(pool.plan.name, []).append(pool)
            for server in pool.plan.servers:
                for check in server.checks:
                    by_check.setdefault(check, {})[pool.key] = pool
        self._by_check = {check: tuple(found.values()) for check, found in by_check.items()}
        self._by_service = {name: tuple(found) for name, found in by_service.items()}

    def __iter__(self) -> Iterator[ServicePool]:
        return iter(self._by_key.values())

    def __contains__(self, key: PoolKey) -> bool:
        return key in self._by_key

    def get(self, key: PoolKey) -> ServicePool | None:
        """One pool, if the plan has it."""
        return self._by_key.get(key)

    def of_check(self, check: CheckId) -> tuple[ServicePool, ...]:
        """The pools in which a server hangs on a check."""
        return self._by_check.get(check, ())

    def reached_at(self, address: IPAddress) -> tuple[ServicePool, ...]:
        """The pools that need an address's MAC, or the way to it."""
        return tuple(
            pool for pool in self if any(s.address == address and s.forward.returns_directly for s in pool.plan.servers)
        )

    def minding_leaks_of(self, address: IPAddress) -> tuple[ServicePool, ...]:
        """The pools on an address that take out servers which claim it."""
        return tuple(p for p in self if p.plan.key.address == address and p.plan.arp_leak is ArpLeak.REMOVE)

    def inherit(self, before: "ServicePools") -> None:
        """Take over what the pools of the plan before this one remember."""
        for key, pool in self._by_key.items():
            held = before.get(key)
            if held is not None:
                pool.succeed(held)

    def adopt(self, found: Desired, now: Instant) -> None:
        """Start from what the kernel has."""
        by_key = {service.key: service for service in found.services}
        for pool in self:
            if pool.plan.key in by_key:
                pool.adopt(by_key[pool.plan.key], now)

    def desired(self, decisions: Decisions) -> Desired:
        """What the balancer plane shall have."""
        carried = (_carried(pool, decisions) for pool in self)
        return Desired(tuple(service for service in carried if service is not None))

    def has_failed(self, service: str, decisions: Decisions) -> bool:
        """Whether a service is to be served and has no server up on any address."""
        pools = [pool for pool in self._by_service.get(service, ()) if is_served(pool, decisions)]
        return bool(pools) and all(pool.selection is not None and pool.selection.failed for pool in pools)

    def checks(self, decisions: Decisions) -> tuple[CheckSpec, ...]:
        """The checks to be run: a server in maintenance is not checked, unless another service that it serves, or a
        track, wants the same check."""
        wanted = self._tracked | {
            check
            for pool in self
            for server in pool.plan.servers
            if decisions.admin(server.name, pool.plan.name) is not AdminState.MAINT
            for check in server.checks
        }
        return tuple(spec for spec in self._specs if spec.id in wanted)

    def neighbours(self) -> WatchNeighbours:
        """The addresses whose MACs are needed, and those to which the way is."""
        servers = [(pool.plan.interface, server) for pool in self for server in pool.plan.servers]
        near = {(name, server.address): None for name, server in servers if server.forward is Forward.DIRECT}
        far = {server.address: None for _, server in servers if server.forward is Forward.TUNNEL}
        return WatchNeighbours(tuple(near), tuple(far))

    def direct(self) -> Iterator[tuple[IPAddress, str]]:
        """The address and name of each server for direct return."""
        servers = (server for pool in self for server in pool.plan.servers)
        return ((server.address, server.name) for server in servers if server.forward is Forward.DIRECT)


def _carried(pool: ServicePool, decisions: Decisions) -> VirtualService | None:
    """A pool's service as the plane shall have it; None: not at all. One that is disabled may keep the flows it has."""
    if pool.service is None or is_served(pool, decisions):
        return pool.service
    return drained(pool.service) if pool.plan.when_disabled is WhenDisabled.DRAIN else None


def drained(service: VirtualService) -> VirtualService:
    """The same service without new flows."""
    servers = (replace(s, duty=Duty.DRAIN, weight=0) if s.duty is Duty.SERVE else s for s in service.servers)
    return replace(service, servers=tuple(servers))


def is_served(pool: ServicePool, decisions: Decisions) -> bool:
    """Whether a pool's service is to be served, by the file or by what people decided."""
    return decisions.enabled(pool.plan.name, pool.plan.enabled)
