"""The simulated `yaoki node`: a Brain with its journal, its links to the other two, and the balancer plane as actuator.

Invariants: at a start the Brain is told what the kernel has before its plan; decisions are on disk before anything that
follows them is done; the plane takes a table as a whole or not at all.
"""

from functools import partial
from typing import Protocol, assert_never

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.service import Desired, Way
from yaoki.lb.taking_out import taken_out
from yaoki.node.brain import Brain
from yaoki.node.brain_messages import (
    Answer,
    ApplyBalancer,
    ApplyFinished,
    BalancerFound,
    BrainEffect,
    BrainInput,
    CheckData,
    DataChecked,
    KeepDecisions,
    KeepEpoch,
    NeighbourFound,
    NewPlan,
    Operate,
    PlanReason,
    RouteFound,
    RunHook,
    TakeOutServers,
    WatchNeighbours,
)
from yaoki.node.decisions import Decisions, OperatorCommand
from yaoki.node.flow_messages import ChangeServices, ConfigureFlows, CopierOrder, RepeatFlowStatus
from yaoki.node.lease_messages import ConfigureLeases, EndLeases, KeeperOrder, RepeatLeaseStatus
from yaoki.node.messages import (
    AdmitRouter,
    AnnounceRouter,
    ConfigureChecks,
    ConfigureRouters,
    MoveRouter,
    Published,
    ReleaseRouters,
    RepeatVerdicts,
    SetPriority,
)
from yaoki.node.wire_messages import AskWire, WatchWire, WireInterface
from yaoki.sim.alteration import altered
from yaoki.sim.copier import Copier
from yaoki.sim.faults import Alteration
from yaoki.sim.process import Process
from yaoki.sim.surroundings import Surroundings
from yaoki.sim.timeline import MILLISECOND, SECOND
from yaoki.site.node_plan import NodePlan

APPLY_US = (2 * MILLISECOND, 30 * MILLISECOND)
TAKE_OUT_US = MILLISECOND
RESOLVE_US = (200, 2_000)
NOTIFY_US = (50, 500)
DATA_CHECK_US = (20 * MILLISECOND, 3 * SECOND)
# How often the kernel asks again for a neighbour that does not answer.
ASK_AGAIN_US = SECOND


class Outside(Protocol):
    """What the main process reaches beyond itself."""

    @property
    def power_cycles(self) -> int: ...

    def to_speaker(self, message: object, /) -> None: ...

    def to_keeper(self, message: object, /) -> None:
        """To the lease keeper, if it is reached; it is started by the first."""
        ...

    def to_worker(self, message: object, /) -> None: ...

    def neighbour(self, address: IPAddress, /) -> MacAddress | None:
        """Who answers for an address now."""
        ...

    def ask(self, interface: str, address: IPAddress, /) -> None:
        """Put a question on the wire."""
        ...

    def wire_interface(self, interface: str, /) -> WireInterface:
        """How an interface is now."""
        ...


class MainProcess:
    """The main process of one node. `plan` is its site file compiled, `decisions` its journal on disk. `refused_in` is
    the power cycle in which the kernel last refused a table, `refused` whether it refused the latest."""

    def __init__(self, around: Surroundings, plan: NodePlan, outside: Outside) -> None:
        self.plan = plan
        self._alterations: list[Alteration] = []
        self._disabled: list[str] = []
        self._site_plan = plan
        self.decisions = Decisions()
        self.plane_faults = 0
        self.refused_in = -1
        self.refused = False
        self._around = around
        self._outside = outside
        self._incarnation = 0
        self._requests = 0
        self._watched: tuple[IPAddress, ...] = ()
        self._routed: tuple[IPAddress, ...] = ()
        self._unresolved: tuple[IPAddress, ...] = ()
        self._wired: tuple[str, ...] = ()
        self._overtaking: tuple[Desired, ...] = ()
        self.process: Process[BrainInput, BrainEffect] = Process(
            f"{around.node}/brain",
            around.timeline,
            clock=around.clock,
            chance=around.chance,
            sink=self._perform,
            observer=around.witness,
        )

        self._copier = Copier(
            around.chance.stream(f"flows/{around.node}"),
            later=self._later,
            report=self.process.give,
            now=lambda: around.clock.instant(around.timeline.now),
        )

    def start(self) -> None:
        """Begin with what the disk and the kernel hold."""
        self._incarnation += 1
        self._watched = self._routed = self._unresolved = ()
        self._wired, self._overtaking = (), ()
        self.refused = False
        self.process.start(Brain(f"{self.process.name}.{self._incarnation}", decisions=self.decisions))
        self.process.give(BalancerFound(self._around.kernel.table))
        self.process.give(NewPlan(self.plan))

    def notify(self, interface: str) -> None:
        """The kernel tells of an interface whose claims are watched."""
        if interface in self._wired:
            self._later(self._around.chance.between(*NOTIFY_US), partial(self._tell_of_interface, interface))

    def _tell_of_interface(self, interface: str) -> None:
        self.process.give(self._outside.wire_interface(interface))

    def reload(self) -> None:
        """The site file is read again."""
        self.process.give(NewPlan(self.plan, PlanReason.RELOAD))

    def alter(self, alteration: Alteration, begins: bool) -> None:
        """The site file is altered, or an alteration taken back, and the node told."""
        if begins:
            self._alterations.append(alteration)
        else:
            self._alterations.remove(alteration)
        self._read_again()

    def disable(self, services: tuple[str, ...], begins: bool) -> None:
        """Services are disabled in the site file, or enabled again, and the node told."""
        for service in services:
            (self._disabled.append if begins else self._disabled.remove)(service)
        self._read_again()

    def _read_again(self) -> None:
        self.plan = altered(self._site_plan, self._alterations, self._disabled)
        self._around.witness.decided(self._around.node)
        self.reload()

    def operate(self, command: OperatorCommand) -> None:
        """A person types a command."""
        self._requests += 1
        self.process.give(Operate(self._requests, command))

    def _perform(self, effect: BrainEffect) -> None:
        match effect:
            case (
                ConfigureRouters() | SetPriority() | AdmitRouter() | MoveRouter() | AnnounceRouter() | ReleaseRouters()
            ):
                self._outside.to_speaker(effect)
            case ConfigureChecks() | RepeatVerdicts():
                self._outside.to_worker(effect)
            case ApplyBalancer() | TakeOutServers():
                self._bring(effect)
            case WatchNeighbours():
                self._watched, self._routed = tuple(address for _, address in effect.addresses), effect.routed
                self._resolve((*self._watched, *self._routed))
            case KeepDecisions():
                self.decisions = effect.decisions
                self._around.witness.decided(self._around.node)
            case Published():
                self._around.witness.published(self._around.node, effect.event)
            case WatchWire():
                self._wired = tuple(interface for interface, _ in effect.places)
                for interface in self._wired:
                    self.notify(interface)
            case AskWire():
                self._outside.ask(effect.interface, effect.address)
            case (
                ConfigureLeases()
                | RepeatLeaseStatus()
                | EndLeases()
                | ConfigureFlows()
                | ChangeServices()
                | RepeatFlowStatus()
            ):
                self._tell_on_demand(effect)
            case CheckData() | RunHook() | Answer() | KeepEpoch():
                self._run_program(effect)
            case _:
                assert_never(effect)

    def _tell_on_demand(self, order: KeeperOrder | CopierOrder) -> None:
        if isinstance(order, CopierOrder):
            if isinstance(order, ConfigureFlows):
                self._around.witness.copier_told(self._around.node, order.services)
            self._copier.told(order)
        else:
            self._outside.to_keeper(order)

    def _later(self, us: int, action: partial[None]) -> None:
        """What this incarnation has begun is not finished by the next."""
        self._around.timeline.after(us, partial(self._if_still, self._incarnation, action))

    def _if_still(self, incarnation: int, action: partial[None]) -> None:
        if incarnation == self._incarnation and self.process.machine is not None:
            action()

    def _bring(self, order: ApplyBalancer | TakeOutServers) -> None:
        if isinstance(order, ApplyBalancer):
            self._overtaking = ()
            self._later(self._around.chance.between(*APPLY_US), partial(self._apply, order.desired))
        else:
            self._overtaking = (*self._overtaking, order.desired)
            self._later(TAKE_OUT_US, partial(self._take_out, order.desired))

    def _take_out(self, desired: Desired) -> None:
        """While a table is made anew, and of the new one, too."""
        less = taken_out(self._around.kernel.table, desired)
        if less is not self._around.kernel.table and not self.plane_faults:
            self._around.kernel.table = less
            self._around.witness.table_changed(self._around.node)

    def _apply(self, desired: Desired) -> None:
        self.refused = self.plane_faults > 0
        if self.refused:
            self.refused_in = self._outside.power_cycles
            self.process.give(ApplyFinished(error="the kernel refused the transaction"))
            return
        changes = () if desired == self._around.kernel.table else ("tables",)
        for overtaking in self._overtaking:
            desired = taken_out(desired, overtaking)
        self._around.kernel.table = desired
        self._around.witness.table_changed(self._around.node)
        self.process.give(ApplyFinished(changes))

    def _run_program(self, effect: CheckData | RunHook | Answer | KeepEpoch) -> None:
        if isinstance(effect, CheckData):
            checked = partial(self._checked_data, effect.check.vip, effect.run)
            self._later(self._around.chance.between(*DATA_CHECK_US), checked)

    def _checked_data(self, vip: str, run: int) -> None:
        """Nobody writes in this world: whether the data is there yet is a matter of chance."""
        why = None if self._around.chance.happens(0.5) else "exit status 1: 17 writes behind"
        self.process.give(DataChecked(vip, run, why))

    def _resolve(self, addresses: tuple[IPAddress, ...]) -> None:
        self._unresolved = addresses
        if addresses:
            watched = (self._watched, self._routed)
            self._later(self._around.chance.between(*RESOLVE_US), partial(self._resolved, watched))

    def _resolved(self, watched: tuple[tuple[IPAddress, ...], tuple[IPAddress, ...]]) -> None:
        if watched != (self._watched, self._routed):
            return
        silent: list[IPAddress] = []
        for address in self._unresolved:
            mac = self._outside.neighbour(address)
            if mac is None:
                silent.append(address)
            if mac is not None and address in self._watched:
                self.process.give(NeighbourFound(address, mac))
            if mac is not None and address in self._routed:
                self.process.give(RouteFound(address, _way(address, mac)))
        self._unresolved = tuple(silent)
        if silent:
            self._later(ASK_AGAIN_US, partial(self._resolved, watched))


def _way(address: IPAddress, mac: MacAddress) -> Way:
    """No packet is wrapped in this world, so all that matters of a way is whether there is one."""
    return Way("eth0", mac, address, mac, address, 1500)
