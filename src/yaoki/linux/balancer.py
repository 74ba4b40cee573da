"""The balancer plane on nftables: observe, apply a plan in one transaction, count, clean up.

The first call reads the kernel; after that the plane knows what it has put there, and reads again only when a
transaction fails (somebody flushed the ruleset) or when asked to `observe`.

Invariants: what is unchanged is not touched; a transaction takes effect as a whole or not at all; before it, a server
that fails is out (yaoki.linux.nftables_taking_out); flows are removed after the rules that would send them elsewhere
are in force; rules wait neither for that (yaoki.linux.flow_removal) nor for flows to be counted
(yaoki.linux.flow_counting); `cleanup` leaves nothing of ours.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
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
from yaoki.linux.nftables_batch import BatchWriter
from yaoki.linux.nftables_inventory import Inventory, ServiceObjects, present_hook, read_slots, take
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
    slots_name,
)
from yaoki.linux.nftables_nat import masked_address
from yaoki.linux.nftables_objects import NOTHING, commands
from yaoki.linux.nftables_reader import NftablesReader
from yaoki.linux.nftables_session import NftSession, open_session
from yaoki.linux.nftables_taking_out import take_out
from yaoki.linux.server_count import ServerCount
from yaoki.linux.sysctl import SysctlKeeper

RENDERING = "rendering/4"
"""Names this way of writing services as rules. Rules written another way are replaced as a whole; it is also the name
of an empty chain, by which an upgraded node recognises them."""


class NftablesBalancer:
    """The plane in the network namespace of this process. One at a time; calls may come from any one thread."""

    def __init__(
        self,
        sysctls: SysctlKeeper | None = None,
        *,
        session: NftSession | None = None,
        flows: int = nftables_direct.FLOWS,
    ) -> None:
        self._session = session or open_session()
        self._sysctls = sysctls or SysctlKeeper()
        self._flows = flows
        self._inventory: Inventory | None = None
        self._removal = FlowRemoval()
        self._counting = FlowCounting()
        self._changed = ChangedServices()
        self._batches = BatchWriter()

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

    def converge(self, desired: Desired) -> BalancerPlan:
        """Bring the kernel to `desired`; what was done, with the flows that `remove_flows` has to remove now. Raises
        ActuatorError, and then nothing but `take_out` has been done: converge again."""
        self.take_out(desired)
        inventory = self._known()
        todo = plan(desired, _actual(inventory))
        try:
            self.apply(todo)
        except ActuatorError:
            # What we believed to be there may have been taken away by somebody; one look at the kernel settles it.
            todo = plan(desired, self.observe())
            self.apply(todo)
        return todo

    def take_out(self, desired: Desired) -> None:
        """Servers that take less by `desired` than before get nothing more, as far as elements alone can do it:
        `converge` begins with this, and does all that fails here."""
        changed = self._changed.of(desired)
        inventory = self._inventory
        if inventory is None:
            return
        for service in changed:
            found = inventory.services.get(service.key)
            if found is None:
                continue
            try:
                objects = _with_slots(found.service, inventory.objects.get(service.key, {}))
                taking = take_out(found.service, service, objects)
                if taking is None:
                    continue
                self._batches.run(taking.parts, purpose=f"take servers out of service {service.name} ({service.key})")
            except ActuatorError:
                # Somebody has been there; `converge` looks at the kernel and sees.
                return
            inventory.objects[service.key] = dict(taking.objects)

    def apply(self, todo: BalancerPlan) -> None:
        """Carry out a plan that was made from the present Actual, in one transaction. Raises ActuatorError."""
        before = self._known()
        after = before.copy()
        middle: list[str] = []
        for change in todo.changes:
            match change:
                case AddService(service) | ChangeService(_, service):
                    middle += self._put(after, service)
                case RemoveService(removed):
                    middle += _replace(after, removed.key, {})
                    after.services.pop(removed.key, None)
                case FlushFlows():
                    pass
                case _:
                    assert_never(change)
        lines = [*_foundation(after), *middle, *_clearance(after)]
        spared = self._removal.spare(_with_flows(todo.changes))
        if lines:
            self._inventory = None
            try:
                self._prepare(after)
                self._session.run("\n".join(lines) + "\n", purpose=_purpose(todo))
            except ActuatorError:
                self._removal.doom(spared)
                raise
            self._inventory = after
        self._removal.doom(_without_flows(todo.changes))

    def remove_flows(self) -> int:
        """Take away the flows of servers that by the plans applied are out or gone; how many there were. Raises
        ActuatorError, and then they stay to be removed. May be called while another call is under way in its thread."""
        return self._removal.run()

    def counters(self) -> tuple[ServerCount, ...]:
        """What every server was sent. Raises ActuatorError."""
        with closing(NftablesReader()) as reader:
            return tuple(
                ServerCount(*place, packets, octets)
                for table in (TRANSLATION, DIRECT)
                for name, packets, octets in reader.counters(table)
                if (place := parse_counter_name(name)) is not None
            )

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
        inventory = self._known()
        counting = {service.key: service for service in _services(inventory) if service.counts_flows}
        self._counting.keep(counting.keys())
        after = inventory.copy()
        lines: list[str] = []
        for count in counts:
            service = counting.get(count.key)
            if service is None:
                continue
            before = slots_under(service, self._counting.load(service.key))
            self._counting.counted(service, count)
            if slots_under(service, self._counting.load(service.key)) != before:
                lines += self._put(after, service)
        if lines:
            self._inventory = None
            self._session.run("\n".join(lines) + "\n", purpose="give new flows to who has few")
            self._inventory = after

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

    def _take(self) -> Inventory:
        """Whoever put this there may have died before he removed the flows of the servers that are out."""
        self._inventory = inventory = take(RENDERING)
        self._removal.doom(_without_flows(FlushFlows(s, _out(s)) for s in _services(inventory)))
        return inventory

    def _put(self, after: Inventory, service: VirtualService) -> Iterator[str]:
        wrong = [*objections(service)]
        if needs_bpf(service):
            wrong.append("nftables has no tunnels")
        if wrong:
            raise ActuatorError(f"service {service.name} ({service.key})", "; ".join(wrong))
        digest_ = digest(service, RENDERING)
        load = self._counting.load(service.key) if service.counts_flows else NOTHING_KNOWN
        objects = {REFUSAL: nftables_refusal.render(service, load)}
        if is_direct(service):
            objects[DIRECT] = nftables_direct.render(service, digest_, load, flows=self._flows)
        else:
            objects[TRANSLATION] = nftables_nat.render(service, digest_, load)
        after.services[service.key] = ActualService(service, digest_)
        return _replace(after, service.key, objects)

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


def _with_slots(service: VirtualService, objects: ServiceObjects) -> ServiceObjects:
    """What is in the slots of a service that an earlier life has put there is read when it is wanted."""
    table = DIRECT if is_direct(service) else TRANSLATION
    name = slots_name(service.key)
    there = objects.get(table, NOTHING)
    if name not in there.sets or there.sets[name].contents is not None:
        return objects
    return {**objects, table: replace(there, sets={**there.sets, name: read_slots(table, service.key)})}


def _replace(after: Inventory, key: ServiceKey, objects: ServiceObjects) -> Iterator[str]:
    before = after.objects.get(key, {})
    if any(objects.values()):
        after.objects[key] = objects
    else:
        after.objects.pop(key, None)
    for table in TABLES:
        yield from commands(table, before.get(table, NOTHING), objects.get(table, NOTHING))


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
