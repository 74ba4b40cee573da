"""From the virtual services that are to those that shall be: the changes, in order, and what they cost users.

Pure. A plane carries out a whole plan in one transaction, then flushes flows: the new rules stand before an old flow
loses its entry, so that its next packet is scheduled anew and never to where it was.

Invariants: a service whose digest is unchanged is not in the plan; planning again after the plan was applied gives an
empty one; a drained server's flows are never flushed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from yaoki.lb.digest import digest
from yaoki.lb.service import Desired, Duty, RealServer, ServiceKey, VirtualService
from yaoki.pool.plan import Action, Plan


@dataclass(frozen=True, slots=True)
class ActualService:
    """A virtual service as found in the kernel.

    `service` is what it was last asked to be, as far as the plane keeps that; `intact` is False when a part of it is
    missing (an interface was removed and came back, somebody deleted a chain) and it must be put there again.
    """

    service: VirtualService
    digest: str
    intact: bool = True

    @property
    def key(self) -> ServiceKey:
        return self.service.key


@dataclass(frozen=True, slots=True)
class Actual:
    """All virtual services that a plane holds; `rendering` is the plane's present way of writing them."""

    rendering: str
    services: tuple[ActualService, ...] = ()

    @property
    def desired(self) -> Desired:
        """What was asked for, by all signs, when this came about: where a restarted node starts from."""
        return Desired(tuple(found.service for found in self.services))


@dataclass(frozen=True, slots=True)
class AddService:
    """A virtual service that is not there yet."""

    service: VirtualService

    @property
    def action(self) -> Action:
        return Action.ADD

    @property
    def subject(self) -> str:
        return _subject(self.service)

    @property
    def details(self) -> tuple[str, ...]:
        return tuple(_described(server) for server in self.service.servers)


@dataclass(frozen=True, slots=True)
class ChangeService:
    """A virtual service that is there in another form; what is equal in both is not touched."""

    before: ActualService
    service: VirtualService

    @property
    def action(self) -> Action:
        return Action.CHANGE

    @property
    def subject(self) -> str:
        return _subject(self.service)

    @property
    def details(self) -> tuple[str, ...]:
        same = "written anew" if self.before.intact else "put back: a part of it is missing"
        return tuple(_differences(self.before.service, self.service)) or (same,)


@dataclass(frozen=True, slots=True)
class RemoveService:
    """A virtual service that nobody asks for any more."""

    before: ActualService

    @property
    def action(self) -> Action:
        return Action.REMOVE

    @property
    def subject(self) -> str:
        return _subject(self.before.service)

    @property
    def details(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class FlushFlows:
    """Forget which flows these servers have, so that each flow's next packet is scheduled anew, or refused."""

    service: VirtualService
    servers: tuple[RealServer, ...]

    @property
    def action(self) -> Action:
        return Action.REMOVE

    @property
    def subject(self) -> str:
        return f"flows of {_subject(self.service)}"

    @property
    def details(self) -> tuple[str, ...]:
        return tuple(server.name for server in self.servers)


BalancerChange = AddService | ChangeService | RemoveService | FlushFlows
BalancerPlan = Plan[BalancerChange]


def plan(desired: Desired, actual: Actual) -> BalancerPlan:
    """The changes that lead from `actual` to `desired`: removals, changes and additions, then flows to flush."""
    wanted = {service.key: service for service in desired.services}
    found = {service.key: service for service in actual.services}
    changes: list[BalancerChange] = []
    flushes: list[FlushFlows] = []
    costs: list[str] = []
    unsafe: list[str] = []
    for key, before in found.items():
        if key not in wanted:
            changes.append(RemoveService(before))
            flushes += _flush(before.service, before.service.servers)
            costs.append(f"{_subject(before.service)}: its flows are cut")
    for service in desired.services:
        existing = found.get(service.key)
        if existing is None:
            changes.append(AddService(service))
        elif not (existing.intact and _same(existing, service, actual.rendering)):
            changes.append(ChangeService(existing, service))
            flushes += _flush(service, _without_flows(existing.service, service))
            costs += _costs(existing.service, service)
            unsafe += _emptied(existing.service, service)
    return Plan((*changes, *flushes), tuple(costs), tuple(unsafe))


def _same(existing: ActualService, service: VirtualService, rendering: str) -> bool:
    """Equality first, which is cheaper; what was read back from the kernel may differ in a name that was too long."""
    return existing.service == service or existing.digest == digest(service, rendering)


def _flush(service: VirtualService, servers: Iterable[RealServer]) -> list[FlushFlows]:
    chosen = tuple(servers)
    return [FlushFlows(service, chosen)] if chosen else []


def _without_flows(before: VirtualService, after: VirtualService) -> tuple[RealServer, ...]:
    """Servers that must have no flows now and may have some: out since this change, or no longer in the service."""
    already_out = {_place(server) for server in before.servers if server.duty is Duty.OUT}
    staying = {_place(server): server for server in after.servers}
    out = (s for s in after.servers if s.duty is Duty.OUT and _place(s) not in already_out)
    gone = (s for s in before.servers if _place(s) not in staying)
    return (*out, *gone)


def _costs(before: VirtualService, after: VirtualService) -> Iterable[str]:
    places = {_place(server): server for server in after.servers}
    for server in before.servers:
        now = places.get(_place(server))
        if now is None:
            yield f"{_subject(after)}: the flows of {server.name} are cut"
        elif now.forward.returns_directly != server.forward.returns_directly:
            yield f"{_subject(after)}: the flows of {server.name} are cut by the change of forwarding method"


def _emptied(before: VirtualService, after: VirtualService) -> Iterable[str]:
    if before.eligible and not after.servers:
        yield f"{_subject(after)} would have no servers at all"


def _place(server: RealServer) -> tuple[object, int]:
    return (server.address, server.port)


def _subject(service: VirtualService) -> str:
    return f"service {service.name} ({service.key})"


def _described(server: RealServer) -> str:
    host = f"[{server.address}]" if server.address.version == 6 else str(server.address)
    return f"{server.name} {host}:{server.port} {server.forward.value} {server.duty.value} weight {server.weight}"


def _differences(before: VirtualService, after: VirtualService) -> Iterable[str]:
    for field in ("name", "interface", "scheduler", "persistence", "when_all_down", "idle_timeout"):
        was, now = getattr(before, field), getattr(after, field)
        if was != now:
            yield f"{field.replace('_', '-')}: {was} -> {now}"
    was_there = {_place(server): server for server in before.servers}
    is_there = {_place(server): server for server in after.servers}
    for place, server in was_there.items():
        if place not in is_there:
            yield f"- {_described(server)}"
    for place, server in is_there.items():
        if place not in was_there:
            yield f"+ {_described(server)}"
        elif server != was_there[place]:
            yield f"{_described(was_there[place])} -> {_described(server)}"
