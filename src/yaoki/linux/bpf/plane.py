"""The balancer plane on BPF, for `direct` and `tunnel`: observe, apply a plan, count, clean up.

The program is attached by tcx to the interfaces of its services and found again there: it forwards while no process of
ours lives, and a restart takes it up as it is. What was asked for is kept beside it (`records`). Where that is wanted,
it is in the interface's driver as well (`drivers`).

Invariants: what is unchanged is not touched; a server that dies is out by one write, before rings follow; a record is
written before what it speaks of, and `observe` compares the two, changing nothing; no address is served before the
speaker writes its dead-man deadline (`guarding`); `cleanup` leaves nothing of ours.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from contextlib import suppress
from typing import assert_never

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.connection import Gathering
from yaoki.lb.digest import digest
from yaoki.lb.plan import (
    Actual,
    ActualService,
    AddService,
    BalancerPlan,
    ChangeService,
    FlushFlows,
    RemoveService,
    plan,
)
from yaoki.lb.service import Desired, RealServer, ServiceKey, VirtualService
from yaoki.lb.validity import objections
from yaoki.lb.why import Flow
from yaoki.linux import routing
from yaoki.linux.bpf import counting, installation, layout, listing, refusal
from yaoki.linux.bpf.counting import Placed
from yaoki.linux.bpf.counts import read_counts
from yaoki.linux.bpf.drivers import Drivers
from yaoki.linux.bpf.guarding import Guarding, NotGuarded
from yaoki.linux.bpf.held import NOTHING, Held, in_force, rendered_here, ring_differs, subject
from yaoki.linux.bpf.hooks import interfaces
from yaoki.linux.bpf.installation import Installation
from yaoki.linux.bpf.layout import Server, ServiceFlag, tick
from yaoki.linux.bpf.records import ServiceRecord
from yaoki.linux.bpf.seating import Seating
from yaoki.linux.bpf.services import Seat, leaving, unseated
from yaoki.linux.changed_services import ChangedServices
from yaoki.linux.nftables_session import NftSession, open_session
from yaoki.linux.overtaking import Overtaking
from yaoki.linux.server_count import PlaneCounts
from yaoki.linux.sysctl import SysctlKeeper
from yaoki.pool.maglev import Fill, fill

RENDERING = "bpf/1"
"""Names this way of writing services as entries; services written another way are written anew."""


class BpfBalancer:
    """The plane in the network namespace of this process. One at a time; calls may come from any one thread, those of
    `take_out` from another. `guard` has the speaker look at the program: its dead-man deadlines are others.
    `filling` fills Maglev's tables."""

    def __init__(
        self,
        sysctls: SysctlKeeper | None = None,
        *,
        session: NftSession | None = None,
        sizes: Mapping[str, int] | None = None,
        guard: Callable[[], None] = lambda: None,
        filling: Fill = fill,
    ) -> None:
        self._session = session or open_session()
        self._sysctls = sysctls or SysctlKeeper()
        self._sizes = sizes or {}
        self._filling = filling
        self._guarding = Guarding(guard)
        self.drivers = Drivers()
        self._installed: Installation | None = None
        self._held: dict[ServiceKey, Held] | None = None
        self._seating: Seating | None = None
        self._refused: frozenset[ServiceKey] | None = None
        self._strays: tuple[ServiceKey, ...] = ()
        self._stray_seats: tuple[Seat, ...] = ()
        self._gates: dict[IPAddress, int] = {}
        self._renewed = False
        self._decoded: dict[bytes, ServiceRecord] = {}
        self._changed = ChangedServices()
        self._overtaking = Overtaking()
        self._coming: Mapping[ServiceKey, Held] = {}
        """What the change under way makes of services, from when its servers are there."""

    @property
    def sysctls(self) -> SysctlKeeper:
        """The parameters that the plane set, with their originals for the journal."""
        return self._sysctls

    def observe(self) -> Actual:
        """Read the kernel. Raises ActuatorError."""
        with self._overtaking.lock:
            self._forget()
            self._installed = installation.find()
            self._held = {} if self._installed is None else self._read(self._installed)
            return self._actual()

    def known(self) -> Actual:
        """What it holds as far as it knows; it reads the kernel the first time. Raises ActuatorError."""
        return self._actual()

    def begin(self, desired: Desired) -> None:
        """Of `converge` what cannot wait. Whoever was taken out by an earlier wish may be back by this one."""
        with self._overtaking.lock:
            self._overtaking.wish()
            self.take_out(desired)

    def converge(self, desired: Desired, *, native: Set[str] = frozenset(), begun: bool = False) -> BalancerPlan:
        """Bring the kernel to `desired`, with the program in the drivers of the interfaces `native`, too, as far as
        they take it (`drivers.refusals`); what was done. `begun`: `begin` was called. Raises ActuatorError; then a part
        of it may have been done: converge again."""
        if not begun:
            self.begin(desired)
        self._renew()
        todo = plan(desired, self._overtaken(self._actual()))
        try:
            self.apply(todo)
        except NotGuarded:
            raise
        except ActuatorError:
            # What we believed to be there may have been taken away by somebody; one look at the kernel settles it.
            todo = plan(desired, self._overtaken(self.observe()))
            self.apply(todo)
        self.drivers.bring(native, self._installed)
        return todo

    def take_out(self, desired: Desired) -> None:
        """Servers that take less by `desired` than before get nothing more, whatever the rings say; what fails here
        fails in the `converge` that has to follow. May be called while another call is under way in its thread."""
        with self._overtaking.lock:
            changed = self._changed.of(desired)
            held = {} if self._held is None else self._held
            less: dict[int, Server] = {}
            for service in changed:
                each = self._coming.get(service.key) or held.get(service.key)
                found = {} if each is None else leaving(service, each.rendered.servers, each.seats)
                if found or self._overtaking.is_changing(service.key):
                    self._overtaking.note(service)
                less |= found
            if self._installed is not None:
                with suppress(ActuatorError):
                    self._installed.tables.put_servers(less)

    def _overtaken(self, actual: Actual) -> Actual:
        with self._overtaking.lock:
            return self._overtaking.to_plan_from(actual)

    def _put_servers(self, after: Mapping[ServiceKey, Held]) -> None:
        """But for those that are out by now."""
        servers = {n: s for each in after.values() for n, s in each.rendered.servers.items()}
        with self._overtaking.lock:
            assert self._installed is not None
            self._coming = after
            for service in self._overtaking.since:
                each = after.get(service.key)
                if each is not None:
                    servers |= leaving(service, each.rendered.servers, each.seats)
            self._installed.tables.put_servers(servers)

    def apply(self, todo: BalancerPlan) -> None:
        """Carry out a plan that was made from the present Actual. Raises ActuatorError."""
        held = self._known()
        wanted: dict[ServiceKey, VirtualService] = {}
        gone: list[Held] = []
        for change in todo.changes:
            match change:
                case AddService(service) | ChangeService(_, service):
                    wanted[service.key] = service
                case RemoveService(removed):
                    gone.append(held[removed.key])
                case FlushFlows():
                    pass  # a server's flows are led to it by its flags and its stamp
                case _:
                    assert_never(change)
        if wanted or gone:
            with self._overtaking.lock:
                self._overtaking.begin((*wanted, *(each.actual.key for each in gone)))
            done = False
            try:
                self._carry_out(held, wanted, gone)
                done = True
            finally:
                with self._overtaking.lock:
                    if not done:
                        self._forget()
                    self._coming = {}
                    self._overtaking.end(wanted if done else ())

    def counts(self) -> PlaneCounts:
        """What every server and service was sent, of whatever is in the kernel now, and what nobody was. Raises
        ActuatorError."""
        found, self._decoded = read_counts(self._decoded)
        return found

    def flows(self) -> Mapping[Placed, int]:
        """How many live flows each server has. Takes a second for some 200,000 flows. Raises ActuatorError."""
        held = self._known()
        return {} if self._installed is None else counting.live(self._installed.tables, held.values(), tick())

    def recount(self) -> counting.Recount | None:
        """A count of the flows that servers have open, where that is asked for at each new one, to be carried out; None
        if there is no such service. Raises ActuatorError."""
        held = tuple(self._known().values())
        return counting.Recount(held, self._heed, tick) if any(map(counting.counts, held)) else None

    def _heed(self, counted: counting.Counts) -> None:
        """Of servers that have their seats still."""
        seats = {seat for each in self._known().values() if counting.counts(each) for seat in each.seats.values()}
        if self._installed is not None:
            counting.heed(self._installed.tables, {seat: each for seat, each in counted.items() if seat in seats})

    def find(self, key: ServiceKey, flow: Flow) -> RealServer | None:
        """The server that a flow has now, for `yaoki.lb.why`; None if there is no such flow. Raises ActuatorError."""
        each = self._known().get(key)
        if each is None or self._installed is None:
            return None
        entry = self._installed.tables.flow(key, flow)
        return None if entry is None or not each.is_led_by(entry, tick()) else each.server(entry.server, entry.stamp)

    def remembered(self, key: ServiceKey, source: IPAddress) -> RealServer | None:
        """The server that a source is remembered with, by persistence; None if with none. Raises ActuatorError."""
        each = self._known().get(key)
        if each is None or self._installed is None or each.actual.service.persistence is None:
            return None
        service = each.rendered.service
        masked = layout.masked(source, service.source_mask)
        entry = self._installed.tables.source(key.family, service.id, masked)
        if entry is None or tick() - entry.seen > service.persistence:
            return None
        found = each.server(entry.server, entry.stamp)
        return found if found is not None and found.eligible else None

    def connections(self, keys: Collection[ServiceKey], gathering: Gathering) -> None:
        """Those of these services, and the sources that they remember, as far as they are here. Raises
        ActuatorError."""
        held = [each for key, each in self._known().items() if key in keys]
        if self._installed is not None and held:
            listing.gather(self._installed.tables, held, tick(), gathering)

    def cleanup(self) -> None:
        """Take away everything of ours, flows included, and put the kernel's parameters back. Raises ActuatorError."""
        self.observe()
        self.drivers.leave()
        if self._installed is not None:
            for interface in list(self._installed.attached.values()):
                self._installed.detach(interface)
        installation.remove_strangers()
        self._refuse(frozenset())
        self._forget()
        self._held = {}
        self._sysctls.restore()

    # --- what is there

    def _known(self) -> dict[ServiceKey, Held]:
        if self._held is None:
            self.observe()
        assert self._held is not None
        return self._held

    def _renew(self) -> None:
        self._known()
        if self._installed is not None and not self._renewed:
            self._installed = installation.renewed(self._installed)
            self._renewed = True

    def _actual(self) -> Actual:
        return Actual(RENDERING, tuple(each.actual for each in self._known().values()))

    def _forget(self) -> None:
        if self._installed is not None:
            self._installed.close()
        self._installed, self._held, self._seating, self._refused = None, None, None, None
        self._renewed = False

    def _read(self, installed: Installation) -> dict[ServiceKey, Held]:
        """What records tell, and whether it is so."""
        tables = installed.tables
        entries, servers = dict(tables.services()), dict(tables.servers())
        last_stamp = max((server.stamp for server in servers.values()), default=0)
        seating = Seating(tables.most_services, tables.most_servers, tables.most_addresses, last_stamp=last_stamp)
        gates = dict(tables.gates())
        for number in gates.values():
            seating.gates.take(number)
        held = {}
        for id_, record in installed.records.all().items():
            seating.take(id_, record.seats.values())
            key = record.service.key
            rendered = rendered_here(
                record.service, id_, record.seats, gates.get(key.address, layout.UNGATED), self._filling
            )
            intact = (
                rendered is not None
                and entries.get(key) == tables.under_way(id_) == rendered.service
                and all(servers.get(number) == server for number, server in rendered.servers.items())
                and all(tables.capacity(number) == each for number, each in rendered.capacities.items())
                and all(tables.tunnel(number, key.family) == each for number, each in rendered.tunnels.items())
                and tables.ring(id_, rendered.service.ring) == rendered.slots
                and rendered.service.interface in installed.attached
            )
            actual = ActualService(record.service, record.digest, intact)
            held[key] = Held(actual, id_, record.seats, rendered or NOTHING)
        self._strays = tuple(key for key in entries if key not in held)
        seated = {seat.number for each in held.values() for seat in each.seats.values()}
        self._stray_seats = tuple(Seat(n, s.stamp) for n, s in servers.items() if s.flags and n not in seated)
        self._seating, self._gates = seating, gates
        return held

    # --- changes

    def _carry_out(
        self, held: dict[ServiceKey, Held], wanted: Mapping[ServiceKey, VirtualService], gone: list[Held]
    ) -> None:
        for service in wanted.values():
            _check(service)
        self._prepare(wanted.values())
        installed, seating = self._ready()
        # Before the addresses have numbers: the speaker looks for programs at the interfaces.
        self._attach({service.interface for service in wanted.values()}, installed)
        self._guarding.look()
        tables, records = installed.tables, installed.records
        tables.put_servers(unseated(self._stray_seats))
        self._stray_seats = ()
        before = {key: held.get(key) for key in wanted}
        after = {key: self._seated(service, held.get(key), seating) for key, service in wanted.items()}
        for each in after.values():
            records.put(each.id, each.record)
        tables.put_capacities({n: c for each in after.values() for n, c in each.rendered.capacities.items()})
        tables.put_tunnels({n: t for each in after.values() for n, t in each.rendered.tunnels.items()})
        # Before a flow can lead to one of the servers: a server leads to its service.
        tables.put_under_way(each.rendered.service for each in after.values())
        self._put_servers(after)
        added = {key.address: None for key in after if not in_force(before[key])}
        self._guarding.wait(tables, {address: self._gates[address] for address in added})
        rings = [each for key, each in after.items() if ring_differs(each, before[key])]
        put_at = {each.id: tick() for each in rings if each.rendered.service.flags & ServiceFlag.LAZY}
        tables.put_rings({each.id: each.rendered.slots for each in rings}, put_at)
        for key, each in after.items():
            tables.put_service(key, each.rendered.service)
        for key in set(self._strays) - held.keys() - after.keys():
            tables.remove_service(key)
        self._strays = ()
        held |= after
        beginning = [e for k, e in after.items() if counting.begins_to_count(before[k], e)]
        counting.heed(tables, counting.count(tables, beginning, tick()))
        for each in gone:
            self._remove(held, each, installed, seating)
        for key, each in after.items():
            self._clear(before[key], each, installed, seating)
        self._free_gates(held, installed, seating)
        self._hook(held, installed)
        self._refuse(self._now_refused(held, changed={*wanted, *(each.actual.key for each in gone)}))
        if not held:
            # Nothing is attached any more: let go of the maps, which are large.
            with self._overtaking.lock:
                installed.close()
                self._installed, self._seating = None, None

    def _ready(self) -> tuple[Installation, Seating]:
        if self._installed is None:
            self._installed = installation.install(self._sizes)
            tables = self._installed.tables
            self._seating = Seating(tables.most_services, tables.most_servers, tables.most_addresses)
            self._gates = {}
        assert self._seating is not None
        return self._installed, self._seating

    def _seated(self, service: VirtualService, before: Held | None, seating: Seating) -> Held:
        assert self._installed is not None
        tables = self._installed.tables
        id_ = seating.new_id() if before is None else before.id
        had = {} if before is None else before.seats
        seats = seating.seats(service, had)
        rendered = rendered_here(service, id_, seats, self._gate(service.key.address, seating), self._filling)
        if rendered is None:
            seating.leave(seat for place, seat in seats.items() if place not in had)
            raise ActuatorError(subject(service), f"there is no interface {service.interface}")
        if before is None:
            tables.reset_service_count(id_)
        fresh = [seat.number for place, seat in seats.items() if place not in had]
        tables.reset_server_counts(fresh)
        if service.counts_flows:
            for number in fresh:
                tables.put_load(number, 0)
        return Held(ActualService(service, digest(service, RENDERING)), id_, seats, rendered)

    def _gate(self, address: IPAddress, seating: Seating) -> int:
        """The number of an address's deadline, for all its services."""
        if address not in self._gates:
            assert self._installed is not None
            number = seating.gates.new()
            self._installed.tables.put_gate(address, number, self._guarding.beginning(address))
            self._gates[address] = number
        return self._gates[address]

    def _free_gates(self, held: Mapping[ServiceKey, Held], installed: Installation, seating: Seating) -> None:
        """Of addresses without services."""
        used = {key.address for key in held}
        for address in [each for each in self._gates if each not in used]:
            installed.tables.remove_gate(address)
            seating.gates.free(self._gates.pop(address))

    def _remove(self, held: dict[ServiceKey, Held], each: Held, installed: Installation, seating: Seating) -> None:
        tables = installed.tables
        tables.remove_service(each.actual.key)
        tables.put_servers(unseated(each.seats.values()))
        for size in layout.CAPACITY:
            tables.remove_ring(each.id, size)
        installed.records.remove(each.id)
        seating.leave(each.seats.values())
        seating.leave_id(each.id)
        held.pop(each.actual.key, None)

    def _clear(self, before: Held | None, after: Held, installed: Installation, seating: Seating) -> None:
        """Seats and rings that the service had and has no more."""
        if before is None:
            return
        left = [seat for place, seat in before.seats.items() if place not in after.seats]
        installed.tables.put_servers(unseated(left))
        seating.leave(left)
        for size in layout.CAPACITY:
            if size is not after.rendered.service.ring:
                installed.tables.remove_ring(after.id, size)

    @staticmethod
    def _attach(names: set[str], installed: Installation) -> None:
        for interface in interfaces():
            if interface.name in names:
                installed.attach(interface)

    def _hook(self, held: Mapping[ServiceKey, Held], installed: Installation) -> None:
        needed = {each.rendered.service.interface for each in held.values()}
        present = {interface.index: interface for interface in interfaces()}
        for index in sorted(needed & present.keys()):
            installed.attach(present[index])
        for index, interface in list(installed.attached.items()):
            if index not in needed:
                installed.detach(interface)

    def _now_refused(self, held: Mapping[ServiceKey, Held], *, changed: set[ServiceKey]) -> frozenset[ServiceKey]:
        """Services that may have no server for a new flow; what has not changed is not asked again."""
        to_ask = held.keys() if self._refused is None else changed & held.keys()
        kept = (self._refused or frozenset()) - changed
        return kept | {key for key in to_ask if refusal.may_refuse(held[key].actual.service)}

    def _refuse(self, refused: frozenset[ServiceKey]) -> None:
        if refused != self._refused:
            text = "\n".join(refusal.written(sorted(refused, key=str)))
            self._session.run(text + "\n", purpose="refuse what has no server")
            self._refused = refused

    def _prepare(self, services: Iterable[VirtualService]) -> None:
        for family in Family:
            near = {service.interface for service in services if service.key.family is family}
            routing.ask_again_soon(self._sysctls, family, sorted(near))


def _check(service: VirtualService) -> None:
    wrong = [*objections(service)]
    wrong += [f"{s.name}: {s.forward} is not for this plane" for s in service.servers if not s.forward.returns_directly]
    if wrong:
        raise ActuatorError(subject(service), "; ".join(wrong))
