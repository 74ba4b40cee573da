"""The balancer plane on nftables: observe, apply a plan in one transaction, count, clean up.

The first call reads the kernel; after that the plane knows what it has put there, and reads again only when a
transaction fails (somebody flushed the ruleset) or when asked to `observe`.

A transaction lasts, and a server that fails meanwhile is taken out by another thread (`take_out`).

Invariants: what is unchanged is not touched; a transaction takes effect as a whole or not at all; before it, a server
that fails is out (yaoki.linux.nftables_taking_out); flows are removed after the rules that would send them elsewhere
are in force; rules wait neither for that (yaoki.linux.flow_removal) nor for flows to be counted
(yaoki.linux.flow_counting); `cleanup` leaves nothing of ours.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import assert_never

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.connection import Gathering
from yaoki.lb.digest import digest
from yaoki.lb.load import NOTHING_KNOWN, slots_under
from yaoki.lb.plan import (
    Actual,
    ActualService,
    AddService,
    BalancerChange,
    BalancerPlan,
    ChangeService,
    FlushFlows,
    RemoveService,
    plan,
)
from yaoki.lb.plane import is_direct, needs_bpf
from yaoki.lb.service import Desired, Duty, Forward, RealServer, ServiceKey, VirtualService
from yaoki.lb.validity import objections
from yaoki.lb.why import Flow
from yaoki.linux import nftables_direct, nftables_listing, nftables_nat, nftables_refusal, routing
from yaoki.linux.changed_services import ChangedServices
from yaoki.linux.conntrack import Conntrack, Placed
from yaoki.linux.flow_counting import Counted, FlowCounting, Recount, count_flows
from yaoki.linux.flow_removal import FlowRemoval
from yaoki.linux.nftables_inventory import Inventory, ServiceObjects, present_hook, take
from yaoki.linux.nftables_keys import flow_key
from yaoki.linux.nftables_names import (
    DIRECT,
    REFUSAL,
    TABLES,
    TRANSLATION,
    interface_name,
    parse_counter_name,
    pin_name,
    service_name,
)
from yaoki.linux.nftables_nat import masked_address
from yaoki.linux.nftables_objects import NOTHING, Change, Objects, commands
from yaoki.linux.nftables_outlet import ElementOutlet
from yaoki.linux.nftables_reader import NftablesReader
from yaoki.linux.nftables_session import NftSession, open_session
from yaoki.linux.overtaking import Overtaking
from yaoki.linux.server_count import PlaneCounts, ServerCount, by_service
from yaoki.linux.sysctl import SysctlKeeper
from yaoki.pool.maglev import Fill, fill

RENDERING = "rendering/5"
"""Names this way of writing services as rules. Rules written another way are replaced as a whole; it is also the name
of an empty chain, by which an upgraded node recognises them."""


class NftablesBalancer:
    """The plane in the network namespace of this process. One at a time; calls may come from any one thread, those of
    `take_out` and `remove_flows` from others. `filling` fills Maglev's tables."""

    def __init__(
        self,
        sysctls: SysctlKeeper | None = None,
        *,
        session: NftSession | None = None,
        flows: int = nftables_direct.FLOWS,
        filling: Fill = fill,
    ) -> None:
        self._session = session or open_session()
        self._sysctls = sysctls or SysctlKeeper()
        self._flows = flows
        self._filling = filling
        self._inventory: Inventory | None = None
        self._removal = FlowRemoval()
        self._counting = FlowCounting()
        self._changed = ChangedServices()
        self._overtaking = Overtaking()
        self._outlet = ElementOutlet()

    @property
    def sysctls(self) -> SysctlKeeper:
        """The parameters that the plane set, with their originals for the journal."""
        return self._sysctls

    def observe(self) -> Actual:
        """Read the kernel. Raises ActuatorError."""
        return _actual(self._take())

    def known(self) -> Actual:
        """What it holds as far as it knows; it reads the kernel the first time. Raises ActuatorError."""
        return _actual(self._known())

    def begin(self, desired: Desired) -> None:
        """Of `converge` what cannot wait. Whoever was taken out by an earlier wish may be back by this one."""
        with self._overtaking.lock:
            self._overtaking.wish()
            self.take_out(desired)

    def converge(self, desired: Desired, *, begun: bool = False) -> BalancerPlan:
        """Bring the kernel to `desired`; what was done, with the flows that `remove_flows` has to remove now. `begun`:
        `begin` was called. Raises ActuatorError, and then nothing but that has been done: converge again."""
        if not begun:
            self.begin(desired)
        todo = plan(desired, self._overtaken(self._known()))
        try:
            self.apply(todo)
        except ActuatorError:
            # What we believed to be there may have been taken away by somebody; one look at the kernel settles it.
            todo = plan(desired, self._overtaken(self._take()))
            self.apply(todo)
        return todo

    def take_out(self, desired: Desired) -> None:
        """Servers that take less by `desired` than before get nothing more, as far as elements alone can do it; the
        `converge` that has to follow does all that fails here. May be called while another call is under way in its
        thread."""
        with self._overtaking.lock:
            changed = self._changed.of(desired)
            if self._inventory is not None:
                for service in changed:
                    self._take_out(self._inventory, service)

    def _take_out(self, inventory: Inventory, service: VirtualService) -> bool:
        """Whether it is known what is there now."""
        changing = self._overtaking.is_changing(service.key)
        found = inventory.services.get(service.key)
        if found is None and not changing:
            return True
        if found is not None:
            try:
                objects = inventory.objects.get(service.key, {})
                taken = self._outlet.take_out(found.service, service, objects, anew=changing)
            except ActuatorError:
                # Somebody has been there; `converge` looks at the kernel and sees.
                self._overtaking.note(service)
                return False
            if taken is None:
                return True
            inventory.objects[service.key] = dict(taken)
        self._overtaking.note(service)
        return True

    def apply(self, todo: BalancerPlan) -> None:
        """Carry out a plan that was made from the present Actual, in one transaction. Raises ActuatorError."""
        spared = self._removal.spare(_with_flows(todo.changes))
        try:
            with self._changing(_changed(todo.changes)) as after:
                self._carry_out(todo, after)
        except ActuatorError:
            self._removal.doom(spared)
            raise
        self._removal.doom(_without_flows(todo.changes))

    def _carry_out(self, todo: BalancerPlan, after: Inventory) -> None:
        middle = _Changes()
        for change in todo.changes:
            match change:
                case AddService(service) | ChangeService(_, service):
                    self._put(after, service, middle)
                case RemoveService(removed):
                    _replace(after, removed.key, {}, middle)
                    after.services.pop(removed.key, None)
                case FlushFlows():
                    pass
                case _:
                    assert_never(change)
        lines = [*_foundation(after), *middle.lines(), *_clearance(after)]
        if lines:
            self._prepare(after)
            self._session.run("\n".join(lines) + "\n", purpose=_purpose(todo))

    @contextmanager
    def _changing(self, keys: frozenset[ServiceKey], *, settles: bool = True) -> Iterator[Inventory]:
        """What is there after a change of these services, to be made so; if that fails, nobody knows what is there.
        `settles`: they are all written."""
        with self._overtaking.lock:
            before = self._known()
            after = before.copy()
            self._overtaking.begin(keys)
        done = False
        try:
            yield after
            done = True
        finally:
            with self._overtaking.lock:
                for service in self._overtaking.since if done else ():
                    if service.key in keys:
                        done = self._take_out(after, service) and done
                    elif service.key in before.objects:
                        after.objects[service.key] = before.objects[service.key]
                self._inventory = after if done else None
                self._overtaking.end(keys if done and settles else ())

    def remove_flows(self) -> int:
        """Take away the flows of servers that by the plans applied are out or gone; how many there were. Raises
        ActuatorError, and then they stay to be removed. May be called while another call is under way in its thread."""
        return self._removal.run()

    def counts(self) -> PlaneCounts:
        """What every server and service was sent. Raises ActuatorError."""
        with closing(NftablesReader()) as reader:
            servers = tuple(
                ServerCount(*place, packets, octets)
                for table in (TRANSLATION, DIRECT)
                for name, packets, octets in reader.counters(table)
                if (place := parse_counter_name(name)) is not None
            )
        return PlaneCounts(servers, by_service(servers))

    def flows(self) -> Mapping[Placed, int]:
        """How many live flows each server has. Takes a second for some 200,000 flows. Raises ActuatorError."""
        return count_flows(_services(self._known()))

    def recount(self) -> Recount | None:
        """A count of the flows of services that ask for it, to be carried out; None if there is no such service. Raises
        ActuatorError."""
        counted = [service for service in _services(self._known()) if service.counts_flows]
        return Recount(counted, self._heed) if counted else None

    def _heed(self, counts: Sequence[Counted]) -> None:
        """Give new flows out by these counts. Raises ActuatorError."""
        counting = {service.key: service for service in _services(self._known()) if service.counts_flows}
        self._counting.keep(counting.keys())
        with self._changing(frozenset(counting), settles=False) as after:
            changes = _Changes()
            for count in counts:
                service = counting.get(count.key)
                if service is None:
                    continue
                before = slots_under(service, self._counting.load(service.key))
                self._counting.counted(service, count)
                if slots_under(service, self._counting.load(service.key)) != before:
                    self._put(after, service, changes)
            if lines := [*changes.lines()]:
                self._session.run("\n".join(lines) + "\n", purpose="give new flows to who has few")

    def find(self, key: ServiceKey, flow: Flow) -> RealServer | None:
        """The server that a flow has now, for `yaoki.lb.why`; None if there is no such flow. Raises ActuatorError."""
        found = self._known().services.get(key)
        if found is None:
            return None
        servers = found.service.servers
        if not is_direct(found.service):
            with closing(Conntrack()) as conntrack:
                place = conntrack.find(key, flow.source, flow.port)
            return next((server for server in servers if (server.address, server.port) == place), None)
        with closing(NftablesReader()) as reader:
            element = reader.element(DIRECT, f"flows/{service_name(key)}", flow_key(flow.source, flow.port))
        mac = None if element is None else MacAddress(element.value[:6])
        return next((s for s in servers if s.mac == mac and s.duty is not Duty.OUT), None) if mac else None

    def remembered(self, key: ServiceKey, source: IPAddress) -> RealServer | None:
        """The server that a source is remembered with, by persistence; None if with none. Raises ActuatorError."""
        found = self._known().services.get(key)
        if found is None or found.service.persistence is None:
            return None
        masked = masked_address(source, found.service.persistence)
        with closing(NftablesReader()) as reader:
            if is_direct(found.service):
                element = reader.element(DIRECT, f"persist/{service_name(key)}", masked)
                mac = None if element is None else element.value[:6]
                servers = (s for s in found.service.servers if s.mac is not None and s.mac.octets == mac)
            else:
                pins = ((server, pin_name(key, server.address, server.port)) for server in found.service.eligible)
                servers = (server for server, pin in pins if reader.element(TRANSLATION, pin, masked) is not None)
            return next(servers, None)

    def connections(self, keys: Collection[ServiceKey], gathering: Gathering) -> None:
        """Those of these services, and the sources that they remember, as far as they are here. Raises
        ActuatorError."""
        nftables_listing.gather([each for each in _services(self._known()) if each.key in keys], gathering)

    def cleanup(self) -> None:
        """Take away everything of ours, flows included, and put the kernel's parameters back. Raises ActuatorError."""
        services = [found.service for found in self.observe().services]
        text = [line for table in TABLES for line in (f"add table {table}", f"delete table {table}")]
        self._inventory = None
        self._session.run("\n".join(text) + "\n", purpose="clean up")
        self._removal.doom(_without_flows(FlushFlows(service, service.servers) for service in services))
        self._removal.run(over=True)
        self._sysctls.restore()

    def _known(self) -> Inventory:
        return self._inventory or self._take()

    def _overtaken(self, inventory: Inventory) -> Actual:
        with self._overtaking.lock:
            return self._overtaking.to_plan_from(_actual(inventory))

    def _take(self) -> Inventory:
        """Whoever put this there may have died before he removed the flows of the servers that are out."""
        with self._overtaking.lock:
            self._inventory = inventory = take(RENDERING)
        self._removal.doom(_without_flows(FlushFlows(s, _out(s)) for s in _services(inventory)))
        return inventory

    def _put(self, after: Inventory, service: VirtualService, changes: "_Changes") -> None:
        wrong = [*objections(service)]
        if needs_bpf(service):
            wrong.append("nftables has no tunnels")
        if wrong:
            raise ActuatorError(f"service {service.name} ({service.key})", "; ".join(wrong))
        digest_ = digest(service, RENDERING)
        load = self._counting.load(service.key) if service.counts_flows else NOTHING_KNOWN
        objects = {REFUSAL: nftables_refusal.render(service, load)}
        if is_direct(service):
            objects[DIRECT] = nftables_direct.render(service, digest_, load, flows=self._flows, filling=self._filling)
        else:
            objects[TRANSLATION] = nftables_nat.render(service, digest_, load, filling=self._filling)
        after.services[service.key] = ActualService(service, digest_)
        _replace(after, service.key, objects, changes)

    def _prepare(self, after: Inventory) -> None:
        """The kernel's parameters without which packets would wait, not be passed on, or be passed on past us."""
        services = [found.service for found in after.services.values()]
        for family in sorted({service.key.family for service in services}, key=lambda family: family.value):
            near = {service.interface for service in services if service.key.family is family}
            routing.ask_again_soon(self._sysctls, family, sorted(near))
        translated = [service for service in services if not is_direct(service)]
        for family in sorted({service.key.family for service in translated}, key=lambda family: family.value):
            interfaces = {service.interface for service in translated if service.key.family is family}
            routing.enable(self._sysctls, family, sorted(interfaces))


def _services(inventory: Inventory) -> Iterator[VirtualService]:
    return (found.service for found in inventory.services.values())


def _out(service: VirtualService) -> tuple[RealServer, ...]:
    return tuple(server for server in service.servers if server.duty is Duty.OUT)


def _changed(changes: Iterable[BalancerChange]) -> frozenset[ServiceKey]:
    """Services that a plan is about."""
    return frozenset(
        change.before.key if isinstance(change, RemoveService) else change.service.key for change in changes
    )


def _with_flows(changes: Iterable[BalancerChange]) -> Iterator[Placed]:
    """Servers that flows may be sent to, of services that a plan adds or changes."""
    for change in changes:
        if isinstance(change, AddService | ChangeService):
            for server in change.service.servers:
                if server.duty is not Duty.OUT:
                    yield change.service.key, server.address, server.port


def _without_flows(changes: Iterable[BalancerChange]) -> Iterator[Placed]:
    """Servers whose flows a plan lets go of, as far as connection tracking has them."""
    for change in changes:
        if isinstance(change, FlushFlows):
            for server in change.servers:
                if server.forward is not Forward.DIRECT:
                    yield change.service.key, server.address, server.port


def _actual(inventory: Inventory) -> Actual:
    return Actual(RENDERING, tuple(inventory.services.values()))


class _Changes:
    """Changes of services' objects that are made in one transaction, by table."""

    def __init__(self) -> None:
        self._of: dict[str, list[Change]] = {table: [] for table in TABLES}

    def add(self, table: str, before: Objects, after: Objects) -> None:
        if before or after:
            self._of[table].append((before, after))

    def lines(self) -> Iterator[str]:
        for table, changes in self._of.items():
            yield from commands(table, changes)


def _replace(after: Inventory, key: ServiceKey, objects: ServiceObjects, changes: _Changes) -> None:
    before = after.objects.get(key, {})
    if any(objects.values()):
        after.objects[key] = objects
    else:
        after.objects.pop(key, None)
    for table in TABLES:
        changes.add(table, before.get(table, NOTHING), objects.get(table, NOTHING))


def _foundation(after: Inventory) -> Iterator[str]:
    """What the services' objects stand on, where it is missing; `after` is told that it is there."""
    services = [found.service for found in after.services.values()]
    direct = [service for service in services if is_direct(service)]
    needed = {REFUSAL: bool(services), TRANSLATION: len(direct) < len(services), DIRECT: bool(direct)}
    for table, skeleton in _SKELETONS.items():
        if table in after.foreign:
            yield f"delete table {table}"
        if needed[table] and table not in after.tables:
            yield from skeleton()
            yield f"add chain {table} {RENDERING}"
            after.tables.add(table)
    after.foreign.clear()
    for interface in sorted({service.interface for service in direct}):
        hook = present_hook(interface)
        if hook not in after.hooked:
            yield from nftables_direct.hook_commands(interface, hook)
            after.hooked.add(hook)
    routed = {s.interface for s in services if not is_direct(s) and s.key.family is Family.IPV6}
    for interface in sorted(routed - after.routed):
        yield f'add element {TRANSLATION} routed {{ "{interface}" }}'
    for interface in sorted(after.routed - routed):
        yield f'delete element {TRANSLATION} routed {{ "{interface}" }}'
    after.routed = routed


def _clearance(after: Inventory) -> Iterator[str]:
    """Hooks that no service needs any more, and those of interfaces that are gone."""
    interfaces = {found.service.interface for found in after.services.values() if is_direct(found.service)}
    used = {present_hook(interface) for interface in interfaces}
    names = {interface_name(interface) for interface in interfaces}
    for hook in sorted(after.hooked - used):
        yield from nftables_direct.unhook_commands(hook, whole=hook.partition("/")[0] not in names)
    after.hooked &= used


_SKELETONS = {
    REFUSAL: nftables_refusal.skeleton,
    TRANSLATION: nftables_nat.skeleton,
    DIRECT: nftables_direct.skeleton,
}


def _purpose(todo: BalancerPlan) -> str:
    subjects = [change.subject for change in todo.changes]
    return ", ".join(subjects[:3]) + (f" and {len(subjects) - 3} more" if len(subjects) > 3 else "")
