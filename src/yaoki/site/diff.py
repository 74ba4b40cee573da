"""What a new site file would change on a node: printable changes, what users would feel of them, and why to refuse.

Order: what is new is there before what it replaces goes (checks and services first, then the VIPs that bring traffic to
them, then removals). Unsafe is what leaves an address without any owner or a service without any server.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar

from yaoki.core.address import IPInterface
from yaoki.election.store import EtcdStore, StoreSpec
from yaoki.lb.service import USUAL_IDLE_TIMEOUT, PlaneWish
from yaoki.pool.plan import Action, Plan
from yaoki.site.model import WhenDisabled
from yaoki.site.node_plan import NodePlan, ServerPlan, ServicePlan
from yaoki.site.units import duration_text
from yaoki.site.withdrawal import given_up, switched
from yaoki.vrrp.params import RouterParams

_Item = Any
"""One of the frozen dataclasses of a NodePlan."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SiteChange:
    """One change of a node's plan. `details` are lines such as "priority 150 -> 90"."""

    action: Action
    subject: str
    details: tuple[str, ...] = ()


Owners = Mapping[str, Set[IPInterface]]
"""The addresses that each node of a site may own, by node."""


def diff(old: NodePlan | None, new: NodePlan, *, owners: Owners) -> Plan[SiteChange]:
    """From what a node runs (None: nothing yet) to what it shall run. `owners` are those of the new site: a VIP that
    one node gives up may have owners elsewhere."""
    return _Diff(old or NodePlan(new.site, new.node, ""), new, owners).plan()


def diff_sites(old: Mapping[str, NodePlan], new: Mapping[str, NodePlan]) -> dict[str, Plan[SiteChange]]:
    """The plan of every node of two compiled sites; a node that is gone from the file gives up all it has."""
    names = dict.fromkeys((*new, *old))
    gone = {name: NodePlan(plan.site, name, plan.generation) for name, plan in old.items()}
    owners = {name: {each for router in plan.routers for each in router.addresses} for name, plan in new.items()}
    return {name: diff(old.get(name), new.get(name) or gone[name], owners=owners) for name in names}


class _Diff:
    def __init__(self, old: NodePlan, new: NodePlan, owners: Owners) -> None:
        self._old = old
        self._new = new
        self._owners = owners
        self._costs: dict[str, None] = {}
        self._unsafe: dict[str, None] = {}

    def plan(self) -> Plan[SiteChange]:
        checks = list(_changes(self._old.checks, self._new.checks, key=lambda c: c.id, name=_check_name))
        services = list(self._services())
        changes = [
            *(change for change in checks if change.action is not Action.REMOVE),
            *(change for change in services if change.action is not Action.REMOVE),
            *self._store(),
            *self._routers(),
            *self._withdrawals(),
            *_changes(self._old.tracks, self._new.tracks, key=lambda t: (t.router, t.tracked), name=_track_name),
            *(change for change in services if change.action is Action.REMOVE),
            *(change for change in checks if change.action is Action.REMOVE),
            *_changes(self._old.data_checks, self._new.data_checks, key=lambda c: c.vip, name=_data_check_name),
            *_changes(self._old.hooks, self._new.hooks, key=lambda h: h.name, name=lambda h: f"hook {h.name}"),
        ]
        return Plan(tuple(changes), tuple(self._costs), tuple(self._unsafe))

    # --- VIPs ---

    def _store(self) -> Iterable[SiteChange]:
        before, after = self._old.store, self._new.store
        if before == after:
            return
        if before is None or after is None:
            yield SiteChange(Action.ADD if before is None else Action.REMOVE, "store of leases")
            return
        yield SiteChange(Action.CHANGE, "store of leases", (f"{_shown(before)} -> {_shown(after)}",))
        if not _same_store(before, after):
            what = "leases move to another store: until every member has the change, two nodes may own a VIP"
            self._unsafe[what] = None

    def _routers(self) -> Iterable[SiteChange]:
        old = {router.key: router for router in self._old.routers}
        new = {router.key: router for router in self._new.routers}
        for key, router in new.items():
            before = old.get(key)
            if before is None:
                joined = f"priority {router.priority}, {_addresses(router)}"
                yield SiteChange(Action.ADD, _router_name(router), (joined,))
                self._cost_of_joining(router)
            elif details := _details(before, router, leave_out=("others",)):
                yield SiteChange(Action.CHANGE, _router_name(router), details)
                self._cost_of_changing(before, router)
        for key, router in old.items():
            if key not in new:
                yield SiteChange(Action.REMOVE, _router_name(router), (_addresses(router),))
                self._cost_of_leaving(router)

    def _withdrawals(self) -> Iterable[SiteChange]:
        for vip, detail in switched(self._old, self._new):
            yield SiteChange(Action.CHANGE, f"VIP {vip}", (detail,))
        for vip in given_up(self._old, self._new):
            self._costs[f"VIP {vip}: {self._new.node} gives it up, for its services are disabled"] = None

    def _cost_of_joining(self, router: RouterParams) -> None:
        if self._old.generation:
            self._costs[f"VIP {router.vip}: moves to {self._new.node} if no member has a higher priority"] = None

    def _cost_of_changing(self, before: RouterParams, after: RouterParams) -> None:
        name = f"VIP {after.vip}"
        if before.priority != after.priority:
            self._costs[f"{name}: its owner may change, by priority"] = None
        mixed = before.version != after.version or (after.version == 2 and before.interval != after.interval)
        if mixed and self._owned_elsewhere(after):
            self._costs[f"{name}: until every member has the change, members do not hear each other"] = None
        if before.virtual_mac is not after.virtual_mac:
            self._costs[f"{name}: its addresses are at another MAC, which each neighbour has to learn"] = None
        if _lease_key(before) != _lease_key(after) and self._owned_elsewhere(after):
            both = before.lease is not None and after.lease is not None
            changes = "it is owned by another lease" if both else "its election changes"
            self._unsafe[f"{name}: {changes}: until every member has the change, two nodes may own it"] = None
        self._refuse_lost(before, kept=after)

    def _cost_of_leaving(self, router: RouterParams) -> None:
        others = self._owned_elsewhere(router)
        renamed = [r for r in self._new.routers if set(r.addresses) & set(router.addresses)]
        if renamed:
            what = "until every member has the change, two nodes may own it"
            self._costs[f"VIP {router.vip}: its virtual router becomes {renamed[0].key}; {what}"] = None
        elif others:
            self._costs[f"VIP {router.vip}: {self._new.node} gives it up; {others[0]} may own it"] = None
        self._refuse_lost(router, kept=None)

    def _owned_elsewhere(self, router: RouterParams) -> list[str]:
        """Other nodes that may own an address of a virtual router under the new file."""
        return [
            name
            for name, addresses in self._owners.items()
            if name != self._new.node and not addresses.isdisjoint(router.addresses)
        ]

    def _refuse_lost(self, before: RouterParams, *, kept: RouterParams | None) -> None:
        owned = set().union(*self._owners.values(), () if kept is None else kept.addresses)
        for address in before.addresses:
            if address not in owned:
                self._unsafe[f"VIP {before.vip}: nobody would own {address.ip} any more"] = None

    # --- services ---

    def _services(self) -> Iterable[SiteChange]:
        old = {(service.name, service.key): service for service in self._old.services}
        new = {(service.name, service.key): service for service in self._new.services}
        for key, service in new.items():
            before = old.get(key)
            if before is None:
                servers = f"servers {', '.join(server.name for server in service.servers) or 'none'}"
                yield SiteChange(Action.ADD, _service_name(service), (servers,))
            elif before != service:
                yield SiteChange(Action.CHANGE, _service_name(service), self._service_details(before, service))
                self._judge_service(before, service)
        for key, service in old.items():
            if key not in new:
                yield SiteChange(Action.REMOVE, _service_name(service))
                self._costs[f"{_service_name(service)}: its flows are cut"] = None

    def _service_details(self, before: ServicePlan, after: ServicePlan) -> tuple[str, ...]:
        old = {server.name: server for server in before.servers}
        new = {server.name: server for server in after.servers}
        details = list(_details(before, after, leave_out=("servers",)))
        details += [f"add server {name}" for name in new if name not in old]
        for name, server in new.items():
            if name in old and old[name] != server:
                changed = (*_details(old[name], server, leave_out=("checks",)), *self._check_details(old[name], server))
                details += [f"server {name}: {detail}" for detail in changed]
        details += [f"remove server {name}" for name in old if name not in new]
        if not details:
            details.append("the order of its servers")
        return tuple(details)

    def _check_details(self, before: ServerPlan, after: ServerPlan) -> Iterable[str]:
        old = [_check_name(check) for check in self._old.checks if check.id in before.checks]
        new = [_check_name(check) for check in self._new.checks if check.id in after.checks]
        yield from (f"add {name}" for name in new if name not in old)
        yield from (f"remove {name}" for name in old if name not in new)
        if set(old) == set(new) and before.checks != after.checks:
            yield f"other parameters of {', '.join(new)}"

    def _judge_service(self, before: ServicePlan, after: ServicePlan) -> None:
        name = _service_name(after)
        if before.enabled and not after.enabled and after.when_disabled is WhenDisabled.CUT:
            self._costs[f"{name}: disabled, its flows are cut"] = None
        if before.persistence is not None and before.persistence != after.persistence:
            self._costs[f"{name}: clients may be moved to other servers, for persistence changes"] = None
        if _is_direct(after) and (idle := _idles_out_after(after)) < _idles_out_after(before):
            self._costs[f"{name}: flows that are idle for longer than {duration_text(idle)} are forgotten"] = None
        if after.plane not in (before.plane, PlaneWish.AUTO) and _is_direct(before) and _is_direct(after):
            if not (before.plane.is_bpf and after.plane.is_bpf):
                self._costs[f"{name}: {_cost_of_moving(after)}"] = None
            if after.plane is PlaneWish.XDP:
                self._costs[f"{name}: {_COST_OF_XDP}"] = None
        new = {server.name: server for server in after.servers}
        for server in before.servers:
            if server.name not in new:
                self._costs[f"{name}: flows of {server.name} are cut; drain it first to keep them"] = None
            elif _path_of(server) != _path_of(new[server.name]):
                self._costs[f"{name}: flows of {server.name} are cut, for it is reached in another way"] = None
        if after.enabled and _takes_flows(before) and not _takes_flows(after):
            self._unsafe[f"{name}: no server would take new flows any more"] = None


def _same_store(before: StoreSpec, after: StoreSpec) -> bool:
    """Whether both are one cluster, as far as the file tells: it keeps a member, and the keys their prefix."""
    if isinstance(before, EtcdStore) and isinstance(after, EtcdStore):
        return before.prefix == after.prefix and bool(set(before.endpoints) & set(after.endpoints))
    return False


def _path_of(server: ServerPlan) -> tuple[object, ...]:
    """What a flow of a server is bound to."""
    return server.address, server.port, server.forward, server.source


def _idles_out_after(service: ServicePlan) -> timedelta:
    return service.idle_timeout or USUAL_IDLE_TIMEOUT[service.key.protocol]


def _is_direct(service: ServicePlan) -> bool:
    return any(server.forward.returns_directly for server in service.servers)


_COST_OF_XDP = "a network card may pause for a moment while its driver takes the program"


def _cost_of_moving(service: ServicePlan) -> str:
    """Which flows are cut when it goes to the plane that is named now. By a hash both planes choose the same server;
    what one of them remembers, the other does not."""
    plane = PlaneWish.BPF if service.plane.is_bpf else service.plane
    moves = f"unless it is on {plane.value} already, it moves there, and"
    if service.scheduler.finds_again and service.persistence is None:
        return f"{moves} flows that began before its servers last changed may be cut"
    return f"{moves} its flows are cut where the schedule leads them to another server"


def _takes_flows(service: ServicePlan) -> bool:
    return any(server.weight > 0 and not server.sorry for server in service.servers)


def _lease_key(router: RouterParams) -> str | None:
    return None if router.lease is None else router.lease.key


def _router_name(router: RouterParams) -> str:
    return f"VIP {router.vip} ({router.key})"


def _addresses(router: RouterParams) -> str:
    return " ".join(str(address) for address in router.addresses)


def _service_name(service: ServicePlan) -> str:
    return f"service {service.name} ({service.key})"


def _check_name(check: _Item) -> str:
    return f"check {check.name} ({check.id.target})"


def _data_check_name(check: _Item) -> str:
    return f"data check of VIP {check.vip}"


def _track_name(track: _Item) -> str:
    return f"track of {track.tracked} by {track.router}"


def _changes(
    old: Iterable[_T], new: Iterable[_T], *, key: Callable[[_T], object], name: Callable[[_T], str]
) -> Iterable[SiteChange]:
    """Additions, changes and removals of things that cost nothing by themselves."""
    before = {key(item): item for item in old}
    after = {key(item): item for item in new}
    for identity, item in after.items():
        if identity not in before:
            yield SiteChange(Action.ADD, name(item))
        elif before[identity] != item:
            yield SiteChange(Action.CHANGE, name(item), _details(before[identity], item))
    for identity, item in before.items():
        if identity not in after:
            yield SiteChange(Action.REMOVE, name(item))


def _details(before: _Item, after: _Item, *, leave_out: tuple[str, ...] = ()) -> tuple[str, ...]:
    """One line for each field that differs, fields of nested values included."""
    lines: list[str] = []
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old == new or field.name in leave_out:
            continue
        word = field.name.replace("_", "-")
        lines.append(f"{word} {_shown(old)} -> {_shown(new)}")
    return tuple(lines)


def _shown(value: object) -> str:
    """A value in the notation of the file, as far as it has one."""
    if value is None:
        return "none"
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if is_dataclass(value) and not isinstance(value, type):
        parts = [f"{field.name} {_shown(getattr(value, field.name))}" for field in fields(value)]
        return "(" + ", ".join(parts) + ")"
    return str(value)
