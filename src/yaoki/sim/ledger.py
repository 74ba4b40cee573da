"""What has been seen of a world: who holds each VIP, who could, since when, and what was said; the invariants read it.

It is the world's only witness: it writes the trace, notes each change, and tells the invariants.

Invariant: nothing here changes the world.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from yaoki.checks.check import CheckId, CheckSpec, Finding
from yaoki.core.address import IPAddress
from yaoki.core.error import YaokiError
from yaoki.core.event import Event
from yaoki.lb.flow import CopiedService
from yaoki.node.messages import RouterState, RouterStatus, SendAdvertisement, VerdictChanged
from yaoki.sim.injector import Injector
from yaoki.sim.lease_store import LeaseStore
from yaoki.sim.neighbours import Neighbours
from yaoki.sim.network import Network
from yaoki.sim.node import Frame, Node
from yaoki.sim.process import LATENESS_US
from yaoki.sim.servers import Servers
from yaoki.sim.timeline import Timeline
from yaoki.sim.topology import Topology, Virtual
from yaoki.sim.trace import Record, Trace
from yaoki.site.node_plan import NodePlan
from yaoki.site.withdrawal import withdrawn
from yaoki.vrrp.events import Reason
from yaoki.vrrp.params import RouterKey

# Backups that no silence makes Active.
_MAY_NOT_OWN = tuple(
    each.value
    for each in (
        Reason.HELD_OUT,
        Reason.QUARANTINED,
        Reason.BARRED,
        Reason.HINDERED,
        Reason.REPLACED,
        Reason.NO_GATE,
        Reason.NO_KEY,
    )
)
# Times in which a node minded its checks.
TIMES_REMEMBERED = 20


class InvariantBroken(YaokiError):
    """A world has come into a state that must never be."""

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.what = what
        super().__init__(f"{name}: {what}")


class Seen(Protocol):
    """The world, to be looked at."""

    @property
    def topology(self) -> Topology: ...

    @property
    def timeline(self) -> Timeline: ...

    @property
    def nodes(self) -> dict[str, Node]: ...

    @property
    def networks(self) -> dict[str, Network[Frame]]: ...

    @property
    def neighbours(self) -> dict[str, Neighbours]: ...

    @property
    def servers(self) -> Servers: ...

    @property
    def lease_store(self) -> LeaseStore: ...

    @property
    def injector(self) -> Injector: ...


class Listener(Protocol):
    """What an invariant is told; see yaoki.sim.invariants.invariant."""

    @property
    def wants_probes(self) -> bool: ...

    def effects_wanted(self, process: str, count: int, /) -> None: ...

    def burst(self, took_us: int, /) -> None: ...

    def owners_changed(self, virtual: Virtual, /) -> None: ...

    def fitness_changed(self, virtual: Virtual, /) -> None: ...

    def looked_at(self, virtual: Virtual, /) -> None: ...

    def published(self, node: str, event: Event, /) -> None: ...

    def spoke(self, node: str, advertisement: SendAdvertisement, /) -> None: ...

    def table_changed(self, node: str, /) -> None: ...

    def servers_changed(self, host: str, /) -> None: ...

    def leaks_changed(self, host: str, address: IPAddress, /) -> None: ...

    def claimed(self, network: str, address: IPAddress, /) -> None: ...

    def decided(self, node: str, /) -> None: ...

    def checks_configured(self, node: str, checks: tuple[CheckId, ...], /) -> None: ...

    def probed(self, node: str, check: CheckSpec, finding: Finding, /) -> None: ...

    def copier_told(self, node: str, services: tuple[CopiedService, ...], /) -> None: ...

    def judged(self, node: str, verdict: VerdictChanged, /) -> None: ...

    def started(self, process: str, /) -> None: ...

    def stopping(self, node: str, /) -> None: ...

    def stopped(self, node: str, /) -> None: ...

    def settled(self) -> None: ...


class Ledger:
    """See the module. Times are microseconds of the world."""

    def __init__(self, trace: Trace, *, forwarding_untouched: bool) -> None:
        self.trace = trace
        self.forwarding_untouched = forwarding_untouched
        self.settled_at: int | None = None
        self.statuses: dict[tuple[str, RouterKey], RouterStatus] = {}
        self.holders: dict[Virtual, tuple[str, ...]] = {}
        self.holders_since: dict[Virtual, int] = {}
        self.owner_changes = 0
        self._fit_since: dict[tuple[Virtual, str], int] = {}
        self._minding_since: dict[str, int] = {}
        self._keeping_since: dict[str, int] = {}
        self._power_cycles: dict[str, int] = {}
        self._minded: dict[str, deque[tuple[int, int]]] = {}
        self._left_at: dict[tuple[Virtual, str], int] = {}
        self._leaving: set[str] = set()
        self._server_changed_at: dict[str, int] = {}
        self._decided_at: dict[str, int] = {}
        self._priority_at: dict[tuple[str, RouterKey], int] = {}
        self._virtuals_of: dict[tuple[str, str], tuple[Virtual, ...]] = {}
        self._leaked_at: dict[tuple[str, IPAddress], int] = {}
        self._keys: dict[tuple[Virtual, str], RouterKey] = {}
        self._dirty: dict[Virtual, None] = {}
        self._listeners: list[Listener] = []
        self._probed: list[Callable[[str, CheckSpec, Finding], None]] = []

    def begin(self, world: Seen) -> None:
        """Look at this world from now on."""
        self.world = world
        self.timeline = world.timeline
        for virtual in world.topology.virtuals:
            self.holders[virtual] = ()
            self.holders_since[virtual] = 0
            for node, params in virtual.members:
                place = node, params.key.interface
                self._virtuals_of[place] = (*self._virtuals_of.get(place, ()), virtual)
                self._keys[virtual, node] = params.key

    def tell(self, listeners: Sequence[Listener]) -> None:
        """Whom to tell of what is seen. Of every probe only those are told that say they want it."""
        self._listeners = list(listeners)
        self._probed = [listener.probed for listener in listeners if listener.wants_probes]

    # --- what invariants ask

    @property
    def now(self) -> int:
        return self.timeline.now

    def plan(self, node: str) -> NodePlan:
        """What a node's site file says now."""
        return self.world.nodes[node].main.plan

    def virtual(self, node: str, key: RouterKey) -> Virtual:
        """The virtual router that a node has under a key."""
        here = self._virtuals_of[node, key.interface]
        return next(virtual for virtual in here if virtual.params(node).key == key)

    def fit_since(self, virtual: Virtual, node: str) -> int | None:
        """Since when a member could own: its speaker runs, on time, configured and connected. None: it could not."""
        return self._fit_since.get((virtual, node))

    def has_left(self, virtual: Virtual, node: str) -> bool:
        """Whether a member was told to stop and does not own: others of its node may still wait to be relieved."""
        status = self.status(virtual, node)
        if status is None:
            return False
        initialized = status.state is RouterState.INITIALIZE
        return status.reason == Reason.STOPPED.value or (initialized and node in self._leaving)

    def minding_since(self, node: str) -> int | None:
        """Since when the checks, decisions and tables of a node have worked; None: they do not."""
        return self._minding_since.get(node)

    def keeping_since(self, node: str) -> int | None:
        """Since when a node could take a lease: its keeper and its store work. None: it could not."""
        return self._keeping_since.get(node)

    def minded_for(self, node: str, us: int, *, after: int) -> bool:
        """Whether checks, decisions and tables of a node have worked for so long at a stretch since `after`, and since
        it has power."""
        since = self._minding_since.get(node)
        times = [*self._minded.get(node, ()), *([] if since is None else [(since, self.now)])]
        return any(end - max(begin, after) >= us for begin, end in times)

    def left_at(self, virtual: Virtual, node: str) -> int | None:
        """When a member last sent priority 0."""
        return self._left_at.get((virtual, node))

    def lowered_at(self, virtual: Virtual, node: str) -> int | None:
        """When a member last had, or got rid of, less than its configured priority; None: never."""
        key = node, self._keys[virtual, node]
        status = self.statuses.get(key)
        lowered = status is not None and status.priority < virtual.params(node).priority
        return self.now if lowered else self._priority_at.get(key)

    def priority_since(self, virtual: Virtual, node: str) -> int:
        """Since when a member has had the priority that it has."""
        return self._priority_at.get((node, self._keys[virtual, node]), 0)

    def status(self, virtual: Virtual, node: str) -> RouterStatus | None:
        """What the running speaker last reported of a member."""
        return self.statuses.get((node, self._keys[virtual, node]))

    def clean_since(self, virtual: Virtual, source: str, target: str) -> int | None:
        """Since when frames have passed from one member to another as on any LAN."""
        way = self.world.networks[virtual.network].way(source, target)
        return way.changed_at if way.clean else None

    def server_changed_at(self, node: str, host: str) -> int:
        """When a server last became better or worse, or a node's operator last said something; 0: never."""
        return max(self._server_changed_at.get(host, 0), self._decided_at.get(node, 0))

    def leaked_at(self, host: str, address: IPAddress) -> int | None:
        """When a server last answered for an address of a VIP; None: never."""
        return self.now if self.world.servers.leaks(host, address) else self._leaked_at.get((host, address))

    def withdraws(self, virtual: Virtual, node: str) -> bool:
        """Whether a node is not to own a VIP because all services on it are disabled there."""
        main = self.world.nodes[node].main
        return bool(main.plan.withdrawable) and virtual.name in withdrawn(main.plan, main.decisions.enabled)

    # --- what is seen, as surroundings.Witness

    @property
    def keep(self) -> Callable[[Record], None]:
        return self.trace.keep

    def many_effects(self, process: str, count: int, /) -> None:
        for listener in self._listeners:
            listener.effects_wanted(process, count)

    def burst(self, took_us: int) -> None:
        """BURST things have happened within this time."""
        for listener in self._listeners:
            listener.burst(took_us)

    def reported(self, node: str, status: RouterStatus, /) -> None:
        before = self.statuses.get((node, status.router))
        self.statuses[node, status.router] = status
        if before is not None and before.priority != status.priority:
            self._priority_at[node, status.router] = self.now
        # A Backup repeats its status now and then as evidence.
        if before is None or (before.state, before.reason) != (status.state, status.reason):
            self._touch(node, status.router.interface)

    def left(self, node: str, interface: str, vrid: int, version: int, /) -> None:
        for virtual in self._virtuals_of.get((node, interface), ()):
            if virtual.vrid == vrid and virtual.family.value == version:
                self._left_at[virtual, node] = self.now

    def published(self, node: str, event: Event, /) -> None:
        for listener in self._listeners:
            listener.published(node, event)

    def spoke(self, node: str, advertisement: SendAdvertisement, /) -> None:
        for listener in self._listeners:
            listener.spoke(node, advertisement)

    def addresses_changed(self, node: str, interface: str, /) -> None:
        self._touch(node, interface)

    def processes_changed(self, node: str, /) -> None:
        here = self.world.nodes[node]
        if here.power_cycles != self._power_cycles.get(node):
            # What a machine without power has seen is forgotten, by it and by us.
            self._power_cycles[node] = here.power_cycles
            self._minded.pop(node, None)
            self._minding_since.pop(node, None)
        if here.speaker.process.machine is None:
            for key in [key for key in self.statuses if key[0] == node]:
                del self.statuses[key]
        if here.minding():
            self._minding_since.setdefault(node, self.now)
        elif node in self._minding_since:
            minded = self._minded.setdefault(node, deque(maxlen=TIMES_REMEMBERED))
            minded.append((self._minding_since.pop(node), self.now))
        if here.keeping():
            self._keeping_since.setdefault(node, self.now)
        else:
            self._keeping_since.pop(node, None)
        for interface in here.kernel.interfaces:
            self._touch(node, interface)

    def table_changed(self, node: str, /) -> None:
        self.trace.record(self.now, node, "has new tables")
        for listener in self._listeners:
            listener.table_changed(node)

    def servers_changed(self, host: str, /) -> None:
        self.trace.record(self.now, host, "is", self.world.servers.condition(host))
        self._server_changed_at[host] = self.now
        for listener in self._listeners:
            listener.servers_changed(host)

    def leaks_changed(self, host: str, address: IPAddress, /) -> None:
        """A real server begins or ceases to answer for an address of a VIP."""
        verb = "claims" if self.world.servers.leaks(host, address) else "claims no more"
        self.trace.record(self.now, host, verb, address)
        self._leaked_at[host, address] = self.now
        for listener in self._listeners:
            listener.leaks_changed(host, address)

    def claimed(self, network: str, address: IPAddress) -> None:
        """A foreign machine has announced an address to everybody on a network."""
        self.trace.record(self.now, "intruder", "claims", address)
        for listener in self._listeners:
            listener.claimed(network, address)

    def decided(self, node: str, /) -> None:
        self._decided_at[node] = self.now
        if self.plan(node).withdrawable:
            # Who may own may be decided by that.
            for interface in self.world.nodes[node].kernel.interfaces:
                self._touch(node, interface)
        for listener in self._listeners:
            listener.decided(node)

    def copier_told(self, node: str, services: tuple[CopiedService, ...], /) -> None:
        for listener in self._listeners:
            listener.copier_told(node, services)

    def checks_configured(self, node: str, checks: tuple[CheckId, ...], /) -> None:
        for listener in self._listeners:
            listener.checks_configured(node, checks)

    def probed(self, node: str, check: CheckSpec, finding: Finding, /) -> None:
        for listener in self._probed:
            listener(node, check, finding)

    def judged(self, node: str, verdict: VerdictChanged, /) -> None:
        for listener in self._listeners:
            listener.judged(node, verdict)

    def started(self, process: str, /) -> None:
        self.trace.record(self.now, process, "starts")
        for listener in self._listeners:
            listener.started(process)

    def stopping(self, node: str, /) -> None:
        self._leaving.add(node)
        for listener in self._listeners:
            listener.stopping(node)

    def stopped(self, node: str, /) -> None:
        self._leaving.discard(node)
        for listener in self._listeners:
            listener.stopped(node)

    def settled(self) -> None:
        """A quiet time has ended: everything must be as it ought to be."""
        self.trace.record(self.now, "world", "must have settled")
        for listener in self._listeners:
            listener.settled()
        self.settled_at = self.now

    # --- inside

    def _touch(self, node: str, interface: str) -> None:
        """Look again as soon as what is being done now is done: effects of one input belong together."""
        virtuals = self._virtuals_of.get((node, interface), ())
        if virtuals and not self._dirty:
            self.timeline.at(self.now, self._look)
        for virtual in virtuals:
            self._dirty[virtual] = None

    def _look(self) -> None:
        dirty = tuple(self._dirty)
        self._dirty.clear()
        for virtual in dirty:
            if self._look_at_fitness(virtual):
                for listener in self._listeners:
                    listener.fitness_changed(virtual)
            holders = tuple(node for node, _ in virtual.members if self._answers(virtual, node))
            if holders != self.holders[virtual]:
                self.trace.record(self.now, str(virtual), "is held by", holders)
                self.holders[virtual], self.holders_since[virtual] = holders, self.now
                self.owner_changes += 1
                for listener in self._listeners:
                    listener.owners_changed(virtual)
            for listener in self._listeners:
                listener.looked_at(virtual)

    def _look_at_fitness(self, virtual: Virtual) -> bool:
        changed = False
        for node, _ in virtual.members:
            fit, key = self._fit(virtual, node), (virtual, node)
            if fit and key not in self._fit_since:
                self._fit_since[key] = self.now
                changed = True
            elif not fit and key in self._fit_since:
                del self._fit_since[key]
                changed = True
        return changed

    def _fit(self, virtual: Virtual, node: str) -> bool:
        here, key = self.world.nodes[node], self._keys[virtual, node]
        status = self.statuses.get((node, key))
        if status is None or status.reason in _MAY_NOT_OWN:
            return False
        if here.main.plan.withdrawable and (self.withdraws(virtual, node) or not here.speaker.takes_part_in(key)):
            return False
        on_time = here.speaker.process.lateness_us <= LATENESS_US
        return here.speaking() and on_time and here.ports[key.interface].live

    def _answers(self, virtual: Virtual, node: str) -> bool:
        """Whether the node's MAC would be the answer to an ARP request for the VIP."""
        here, params = self.world.nodes[node], virtual.params(node)
        interface = params.key.interface
        return here.ports[interface].live and all(
            here.kernel.holds(interface, each) and here.kernel.answers(interface, each.ip) for each in params.addresses
        )
