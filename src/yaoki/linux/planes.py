"""Both balancer planes as one: each service on the plane that is chosen for it (yaoki.lb.plane).

Invariants: a service that moves is on its new plane before it leaves the old one; of the two, BPF decides while both
have it; what BPF refuses to take is carried by nftables, or by nobody if that cannot; where XDP cannot be had, the
program is at tcx alone; what both planes hold is what this one holds.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.connection import ConnectionList, Gathering
from yaoki.lb.filling import Filled
from yaoki.lb.plan import Actual, ActualService, AddService, BalancerChange, FlushFlows, RemoveService
from yaoki.lb.plane import Plane, PlaneChoice, at_its_hook, choose, is_direct, leaving_elsewhere, needs_bpf
from yaoki.lb.service import Desired, PlaneWish, RealServer, ServiceKey, VirtualService
from yaoki.lb.why import Flow
from yaoki.linux import flow_counting
from yaoki.linux.balancer import NftablesBalancer
from yaoki.linux.bpf import counting
from yaoki.linux.bpf.plane import BpfBalancer
from yaoki.linux.carriers import Carriers
from yaoki.linux.nftables_session import open_session
from yaoki.linux.server_count import PlaneCounts
from yaoki.linux.sysctl import SysctlKeeper
from yaoki.pool.maglev import Fill, fill
from yaoki.pool.plan import Action, Plan

AGAIN_AFTER_S = 60.0
"""What BPF refused is offered to it again after this, if the file wants it there."""

RECOUNT_BPF_S = 10.0
"""From one count of the flows of services on BPF to the next, which takes some 60 ms for 200,000 flows."""

Place = tuple[ServiceKey, IPAddress, int]


@dataclass(frozen=True, slots=True)
class MoveService:
    """A virtual service that goes from one plane to the other."""

    service: VirtualService
    before: Plane
    after: Plane

    @property
    def action(self) -> Action:
        return Action.CHANGE

    @property
    def subject(self) -> str:
        return f"service {self.service.name} ({self.service.key})"

    @property
    def details(self) -> tuple[str, ...]:
        return (f"plane: {self.before} -> {self.after}",)


Changes = Plan[BalancerChange | MoveService]


class Recount:
    """One count on both planes, as far as it is due on each: `count` in any thread, `heed` in that of the planes."""

    def __init__(self, nftables: flow_counting.Recount | None, bpf: counting.Recount | None) -> None:
        self._parts = [part for part in (nftables, bpf) if part is not None]
        self._counted = tuple(self._parts)

    def count(self) -> None:
        """Look at all flows. Raises ActuatorError."""
        for part in self._parts:
            part.count()

    @property
    def filled(self) -> tuple[Filled, ...]:
        """How full the tables of flows were that were looked at."""
        return tuple(each for part in self._counted for each in part.filled)

    def heed(self) -> bool:
        """Heed a part of what was counted; whether there is more. Raises ActuatorError."""
        if self._parts and not self._parts[0].heed():
            del self._parts[0]
        return bool(self._parts)


class SplitBalancer:
    """The planes in the network namespace of this process. One at a time; calls may come from any one thread, those of
    `take_out`, `remove_flows` and of a recount's `count` from others. `guard` and `filling` as for BpfBalancer."""

    def __init__(
        self,
        sysctls: SysctlKeeper | None = None,
        *,
        guard: Callable[[], None] = lambda: None,
        carriers: Carriers | None = None,
        filling: Fill = fill,
    ) -> None:
        self._sysctls = sysctls or SysctlKeeper()
        session = open_session()
        self._nftables = NftablesBalancer(self._sysctls, session=session, filling=filling)
        self._bpf = BpfBalancer(self._sysctls, session=session, guard=guard, filling=filling)
        self._carriers = carriers or Carriers()
        self._choices: dict[ServiceKey, PlaneChoice] = {}
        self._refused: dict[ServiceKey, tuple[str, float]] = {}
        self._recounted_at = 0.0
        self._begun: Desired | None = None

    @property
    def sysctls(self) -> SysctlKeeper:
        """The parameters that the planes set, with their originals for the journal."""
        return self._sysctls

    @property
    def choices(self) -> Mapping[ServiceKey, PlaneChoice]:
        """Which plane carries each service since the last `converge`, and why."""
        return self._choices

    def observe(self) -> Actual:
        """Read the kernel. Raises ActuatorError."""
        return _both(self._nftables.observe(), self._bpf.observe())

    def begin(self, desired: Desired) -> None:
        """Of `converge` what cannot wait, on each plane whatever it has to do on the other. It calls this itself unless
        somebody has, maybe in another thread. Whoever was taken out by an earlier wish may be back by this one."""
        self._begun = desired
        self._bpf.begin(desired)
        self._nftables.begin(desired)

    def converge(self, desired: Desired) -> Changes:
        """Bring the kernel to `desired`; what was done. Raises ActuatorError; then a part of it may have been done:
        converge again."""
        if self._begun is not desired:
            self.begin(desired)
        held = self._held()
        choices = self._chosen(desired, held)
        to_nftables, to_bpf = (
            tuple(service for service in desired.services if choices[service.key].plane is plane)
            for plane in (Plane.NFTABLES, Plane.BPF)
        )
        leaving = self._leaving(to_bpf)
        lack_xdp = self._lacking_xdp(to_bpf) | leaving_elsewhere(to_bpf)
        native = {s.interface for s in to_bpf if s.plane is PlaneWish.XDP and s.interface not in lack_xdp}
        done: list[Plan[BalancerChange]] = [self._nftables.converge(Desired((*to_nftables, *leaving)), begun=True)]
        try:
            done.append(self._bpf.converge(Desired(to_bpf), native=native, begun=True))
        except ActuatorError as error:
            arriving = [service.key for service in to_bpf if held.get(service.key) is not Plane.BPF]
            if not arriving:
                raise
            self._refused |= dict.fromkeys(arriving, (str(error), time.monotonic()))
            return self.converge(desired)
        if leaving:
            done.append(self._nftables.converge(Desired(to_nftables), begun=True))
        drivers = self._bpf.drivers
        lack_xdp |= drivers.refusals
        self._choices = {
            s.key: at_its_hook(
                choices[s.key],
                s.plane,
                in_driver=s.interface in drivers.attached,
                lacks=lack_xdp.get(s.interface),
            )
            for s in desired.services
        }
        before = ((service, held.get(service.key), choices[service.key].plane) for service in desired.services)
        return _joined(done, [MoveService(s, was, now) for s, was, now in before if was not in (None, now)])

    def take_out(self, desired: Desired) -> None:
        """Servers that take less by `desired` than before get nothing more, on either plane. May be called while
        another call is under way in its thread; a `converge` with as much has to follow."""
        self._bpf.take_out(desired)
        self._nftables.take_out(desired)

    def remove_flows(self) -> int:
        """As NftablesBalancer.remove_flows: the program of BPF forgets a server's flows by itself."""
        return self._nftables.remove_flows()

    def counts(self) -> PlaneCounts:
        """What every server and service was sent, and what the program on BPF sent nobody. Raises ActuatorError."""
        nftables, bpf = self._nftables.counts(), self._bpf.counts()
        return PlaneCounts((*nftables.servers, *bpf.servers), (*nftables.services, *bpf.services), bpf.unsent)

    def flows(self) -> Mapping[Place, int]:
        """How many live flows each server has. Takes a second for some 200,000 flows. Raises ActuatorError."""
        return {**self._nftables.flows(), **self._bpf.flows()}

    def recount(self) -> Recount | None:
        """A count of the flows of services whose servers are chosen by them, to be carried out; None if there is no
        such service. Nftables gives flows out by what was counted, the program on BPF counts by itself and is put right
        only now and then. Raises ActuatorError."""
        nftables, bpf = self._nftables.recount(), self._bpf.recount()
        if nftables is None and bpf is None:
            return None
        now = time.monotonic()
        due = now - self._recounted_at >= RECOUNT_BPF_S
        if due:
            self._recounted_at = now
        return Recount(nftables, bpf if due else None)

    def find(self, key: ServiceKey, flow: Flow) -> RealServer | None:
        """The server that a flow has now; None if there is no such flow. Raises ActuatorError."""
        return self._bpf.find(key, flow) or self._nftables.find(key, flow)

    def remembered(self, key: ServiceKey, source: IPAddress) -> RealServer | None:
        """The server that a source is remembered with, by persistence; None if with none. Raises ActuatorError."""
        return self._bpf.remembered(key, source) or self._nftables.remembered(key, source)

    def connections(self, keys: Collection[ServiceKey], limit: int) -> ConnectionList:
        """Connections of these services and sources that they remember, `limit` of each at most, and how many there
        are. Takes a second for some 200,000 flows. Raises ActuatorError."""
        gathering = Gathering(limit)
        self._bpf.connections(keys, gathering)
        self._nftables.connections(keys, gathering)
        return gathering.list()

    def cleanup(self) -> None:
        """Take away everything of ours, flows included, and put the kernel's parameters back. Raises ActuatorError."""
        self._bpf.cleanup()
        self._nftables.cleanup()
        self._choices = {}

    def _held(self) -> dict[ServiceKey, Plane]:
        """The plane that each service is in force on."""
        planes = ((Plane.NFTABLES, self._nftables.known()), (Plane.BPF, self._bpf.known()))
        return {found.key: plane for plane, actual in planes for found in actual.services if found.intact}

    def _chosen(self, desired: Desired, held: Mapping[ServiceKey, Plane]) -> dict[ServiceKey, PlaneChoice]:
        lacks: dict[str, str | None] = {}

        def lacked(service: VirtualService, plane: Plane | None) -> str | None:
            """What hinders BPF; asked once for each interface, and not at all where it does not matter: where the
            program runs, nothing has to be had any more."""
            wish = PlaneWish.BPF if needs_bpf(service) else service.plane
            stays = plane is Plane.BPF or (plane is Plane.NFTABLES and wish is PlaneWish.AUTO)
            if stays or not is_direct(service) or wish is PlaneWish.NFTABLES:
                return self._refusal(service.key)
            if service.interface not in lacks:
                lacks[service.interface] = self._carriers.lacks(service.interface)
            return self._refusal(service.key) or lacks[service.interface]

        return {
            service.key: choose(service, held=(plane := held.get(service.key)), lacks=lacked(service, plane))
            for service in desired.services
        }

    def _lacking_xdp(self, services: Iterable[VirtualService]) -> dict[str, str]:
        """What hinders XDP where it is asked for, by interface; also where the program is in the driver already, for
        somebody may have had the card take VLAN tags off since."""
        asked = {service.interface for service in services if service.plane is PlaneWish.XDP}
        return {name: lacks for name in sorted(asked) if (lacks := self._carriers.lacks_xdp(name)) is not None}

    def _refusal(self, key: ServiceKey) -> str | None:
        why, at = self._refused.get(key, (None, 0.0))
        if why is not None and time.monotonic() - at > AGAIN_AFTER_S:
            del self._refused[key]
            return None
        return why

    def _leaving(self, to_bpf: Iterable[VirtualService]) -> tuple[VirtualService, ...]:
        """Services of nftables that are for BPF from now on, as nftables has them."""
        keys = {service.key for service in to_bpf}
        return tuple(found.service for found in self._nftables.known().services if found.key in keys)


def _both(nftables: Actual, bpf: Actual) -> Actual:
    by_key = {found.key: found for found in (*nftables.services, *bpf.services)}
    return Actual(f"{nftables.rendering} {bpf.rendering}", tuple(by_key.values()))


def _joined(done: list[Plan[BalancerChange]], moves: list[MoveService]) -> Changes:
    moved = {each.service.key for each in moves}
    changes: list[BalancerChange | MoveService] = list(moves)
    changes += [change for plan in done for change in plan.changes if not _of(change, moved)]
    subjects = tuple(f"{each.subject}:" for each in moves)
    costs = [cost for plan in done for cost in plan.costs if not cost.startswith(subjects)]
    costs += [f"{each.subject}: its flows are scheduled anew, on another plane" for each in moves]
    return Plan(tuple(changes), tuple(costs), tuple(reason for plan in done for reason in plan.unsafe))


def _of(change: BalancerChange, moved: set[ServiceKey]) -> bool:
    """Whether it is a part of a move."""
    match change:
        case AddService(service) | FlushFlows(service, _):
            return service.key in moved
        case RemoveService(ActualService(service)):
            return service.key in moved
        case _:
            return False
