"""Carries faults out: what each does to the world when it begins and when it ends.

Invariant: beginning and ending are exact opposites, so that faults may overlap in any way; what cannot be taken back (a
step of the wall clock, a deleted address, a hostile packet) is over at once.
"""

from functools import partial
from typing import Protocol, assert_never

from yaoki.core.address import IPAddress
from yaoki.node.decisions import AdmitVip, MoveVip, SetServerAdmin
from yaoki.pool.member import AdminState
from yaoki.sim.chance import Chance
from yaoki.sim.faults import (
    AddressLeaked,
    AddressRemoved,
    AddressSpoofed,
    Admitted,
    Blackhole,
    CarrierLost,
    ClockStepped,
    Drained,
    Frozen,
    GatesRefused,
    HostilePackets,
    Injection,
    Killed,
    LinkBroken,
    LinkStalled,
    Moved,
    Part,
    Partition,
    Paused,
    PlaneRefuses,
    PowerLost,
    Reconfigured,
    Reloaded,
    RoughNetwork,
    ServerFault,
    ServicesDisabled,
    Slowed,
    SpeakerUpgraded,
    Stopped,
    StoreAway,
    StoreSlow,
)
from yaoki.sim.hostile import hostile_packet
from yaoki.sim.lease_store import LeaseStore
from yaoki.sim.neighbours import NEIGHBOURS
from yaoki.sim.network import Network
from yaoki.sim.node import NODES, Frame, Node
from yaoki.sim.servers import Servers
from yaoki.sim.timeline import SECOND, Timeline

_ProcessFault = Paused | Killed | Slowed | LinkStalled | LinkBroken | SpeakerUpgraded

_NodeFault = (
    _ProcessFault
    | CarrierLost
    | Frozen
    | PowerLost
    | ClockStepped
    | PlaneRefuses
    | GatesRefused
    | AddressRemoved
    | Stopped
    | Reloaded
    | Reconfigured
    | Admitted
    | Moved
)

# An operator whose command was not taken, because the node does not run, types it again.
TYPE_AGAIN_US = SECOND


class Afflicted(Protocol):
    """The parts of the world that faults reach."""

    timeline: Timeline
    nodes: dict[str, Node]
    networks: dict[str, Network[Frame]]
    servers: Servers
    lease_store: LeaseStore

    def servers_changed(self, host: str, /) -> None: ...

    def leaks_changed(self, host: str, address: IPAddress, /) -> None: ...

    def spoof(self, network: str, address: IPAddress, /) -> None:
        """A foreign machine announces an address once."""
        ...


class Injector:
    """Begins and ends faults. `active` counts those that last; `changed_at` is when one began or ended last."""

    def __init__(self, world: Afflicted, chance: Chance) -> None:
        self.active = 0
        self.changed_at = 0
        self.carried_out: dict[str, int] = {}
        self._world = world
        self._chance = chance
        self._draining: dict[str, int] = {}
        self._moving: dict[tuple[str, str], int] = {}

    def put_down(self, injection: Injection) -> None:
        """Let a fault begin and end at its times."""
        timeline = self._world.timeline
        timeline.at(injection.begins, partial(self._begin, injection))
        timeline.at(injection.ends, partial(self._end, injection))

    def _begin(self, injection: Injection) -> None:
        self.active += 1
        self.changed_at = self._world.timeline.now
        kind = type(injection.fault).__name__
        self.carried_out[kind] = self.carried_out.get(kind, 0) + 1
        self._apply(injection, begins=True)

    def _end(self, injection: Injection) -> None:
        self.active -= 1
        self.changed_at = self._world.timeline.now
        self._apply(injection, begins=False)

    def _apply(self, injection: Injection, *, begins: bool) -> None:
        fault, lasts = injection.fault, injection.lasts
        match fault:
            case RoughNetwork() | Partition() | Blackhole():
                self._to_network(fault, begins)
            case HostilePackets() | AddressSpoofed():
                if begins:
                    # Of its own, so that no fault's packets depend on what other faults there are.
                    chance = self._chance.stream(f"{self._chance.name} {injection.number}")
                    self._from_strangers(fault, lasts, chance)
            case ServerFault() | Drained() | AddressLeaked():
                self._to_servers(fault, begins)
            case ServicesDisabled():
                for name, node in self._world.nodes.items():
                    if fault.node in (None, name):
                        node.main.disable(fault.services, begins)
            case StoreAway() | StoreSlow():
                self._to_store(fault, begins)
            case _:
                self._to_node(fault, lasts, begins)

    def _to_network(self, fault: RoughNetwork | Partition | Blackhole, begins: bool) -> None:
        network = self._world.networks[fault.network]
        everybody = network.owners
        match fault:
            case RoughNetwork():
                change = network.roughen if begins else network.smooth
                for source in everybody if fault.source is None else (fault.source,):
                    for target in everybody:
                        change(source, target, fault.conditions)
            case Partition():
                rest = [owner for owner in everybody if owner not in fault.away and owner != NEIGHBOURS]
                ways = [(away, other) for away in fault.away for other in rest]
                if not fault.one_way:
                    ways += [(other, away) for away, other in ways]
                for source, target in ways:
                    (network.cut if begins else network.mend)(source, target)
            case Blackhole():
                for other in everybody:
                    (network.cut if begins else network.mend)(fault.node, other)
                    (network.cut if begins else network.mend)(other, fault.node)
            case _:
                assert_never(fault)

    def _from_strangers(self, fault: HostilePackets | AddressSpoofed, lasts: int, chance: Chance) -> None:
        timeline = self._world.timeline
        match fault:
            case HostilePackets():
                network = self._world.networks[fault.network]
                for _ in range(fault.count):
                    packet = hostile_packet(chance)
                    after = int(chance.fraction() * lasts)
                    timeline.after(after, partial(network.flood, packet, NODES))
            case AddressSpoofed():
                for after in range(0, lasts, fault.every_us):
                    timeline.after(after, partial(self._world.spoof, fault.network, fault.address))
            case _:
                assert_never(fault)

    def _to_servers(self, fault: ServerFault | Drained | AddressLeaked, begins: bool) -> None:
        world = self._world
        match fault:
            case ServerFault():
                world.servers.hold(fault.host, fault.condition, begins)
                world.servers_changed(fault.host)
            case AddressLeaked():
                world.servers.leak(fault.host, fault.address, fault.own, begins)
                world.leaks_changed(fault.host, fault.address)
            case Drained():
                count = self._draining.get(fault.host, 0) + (1 if begins else -1)
                self._draining[fault.host] = count
                for node in world.nodes.values():
                    self._decide(node, fault.host)
            case _:
                assert_never(fault)

    def _to_store(self, fault: StoreAway | StoreSlow, begins: bool) -> None:
        store = self._world.lease_store
        match fault:
            case StoreAway():
                (store.cut if begins else store.mend)(fault.node)
            case StoreSlow():
                (store.slow if begins else store.quicken)(fault.node, fault.by_us)
            case _:
                assert_never(fault)
        for name, node in self._world.nodes.items():
            if fault.node in (None, name):
                node.store_changed()
                if store.late_until(name) > self._world.timeline.now:
                    self._world.timeline.at(store.late_until(name), node.store_changed)

    def _to_node(self, fault: _NodeFault, lasts: int, begins: bool) -> None:
        node = self._world.nodes[fault.node]
        match fault:
            case Paused() | Killed() | Slowed() | LinkStalled() | LinkBroken() | SpeakerUpgraded():
                _to_processes(node, fault, begins)
            case CarrierLost(_, interface, times):
                if begins:
                    self._flap(node, interface, times, lasts)
            case Frozen():
                (node.freeze if begins else node.thaw)()
            case PowerLost():
                (node.lose_power if begins else node.regain_power)()
            case Stopped():
                (node.stop if begins else node.start)()
            case PlaneRefuses() | GatesRefused():
                _refuse(node, fault, 1 if begins else -1)
            case Reconfigured():
                node.main.alter(fault.alteration, begins)
            case Moved():
                moves = self._moving.get((fault.node, fault.vip), 0) + (1 if begins else -1)
                self._moving[fault.node, fault.vip] = moves
                self._move(node, fault.vip)
            case ClockStepped() | AddressRemoved() | Reloaded() | Admitted():
                if begins:
                    _at_once(node, fault)
            case _:
                assert_never(fault)

    def _flap(self, node: Node, interface: str, times: int, lasts: int) -> None:
        """Out, in, out ... for equally long, and out at the end."""
        turns = 2 * times - 1
        for turn in range(0, turns, 2):
            timeline = self._world.timeline
            timeline.after(lasts * turn // turns, partial(node.kernel.lose_carrier, interface))
            timeline.after(lasts * (turn + 1) // turns, partial(node.kernel.regain_carrier, interface))

    def _move(self, node: Node, vip: str) -> None:
        """The operator's wish for a VIP, typed until the node's journal shows it. It is refused while nobody else could
        take the VIP."""
        away = self._moving[node.name, vip] > 0
        if away == (vip in node.main.decisions.moved):
            return
        if node.processes.running(Part.MAIN):
            node.main.operate(MoveVip(vip) if away else AdmitVip(vip))
        self._world.timeline.after(TYPE_AGAIN_US, partial(self._move, node, vip))

    def _decide(self, node: Node, host: str) -> None:
        """The operator's wish for a server, typed until the node's journal shows it."""
        admin = AdminState.DRAIN if self._draining[host] else AdminState.READY
        services = [s.name for s in node.main.plan.services if any(server.name == host for server in s.servers)]
        if all(node.main.decisions.admin(host, service) is admin for service in services):
            return
        if node.processes.running(Part.MAIN):
            node.main.operate(SetServerAdmin(host, admin))
        self._world.timeline.after(TYPE_AGAIN_US, partial(self._decide, node, host))


def _to_processes(node: Node, fault: _ProcessFault, begins: bool) -> None:
    match fault:
        case Paused():
            (node.processes.pause if begins else node.processes.resume)(fault.part)
        case Killed():
            (node.processes.kill if begins else node.processes.revive)(fault.part)
        case Slowed():
            (node.processes.slow if begins else node.processes.quicken)(fault.part, fault.lateness_us)
        case LinkStalled():
            (node.stall if begins else node.unstall)(fault.between)
        case SpeakerUpgraded():
            (node.speaker.succeed if begins else node.speaker.succeed_no_more)()
        case LinkBroken():
            (node.bar if begins else node.unbar)(fault.between)
        case _:
            assert_never(fault)


def _refuse(node: Node, fault: PlaneRefuses | GatesRefused, faults: int) -> None:
    match fault:
        case PlaneRefuses():
            node.refuse_tables(faults)
        case GatesRefused():
            node.kernel.refuse_gates(faults)
        case _:
            assert_never(fault)


def _at_once(node: Node, fault: ClockStepped | AddressRemoved | Reloaded | Admitted) -> None:
    match fault:
        case ClockStepped():
            node.clock.wall_offset += fault.by_us
        case AddressRemoved():
            node.remove_addresses()
        case Reloaded():
            node.main.reload()
        case Admitted():
            for vip in dict.fromkeys(router.vip for router in node.main.plan.routers):
                node.main.operate(AdmitVip(vip))
        case _:
            assert_never(fault)
