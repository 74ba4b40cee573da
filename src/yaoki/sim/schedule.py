"""Which faults a run meets: drawn from its seed, in episodes with a quiet time after each.

In an episode some faults of the run's mix begin, overlapping as they fall. All have ended when the quiet time begins;
it is long enough for everything to settle, and at its end the settled invariants are checked.

Invariant: the schedule depends on the seed, the topology and the settings only, never on what happens in the run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from yaoki.lb.service import Forward
from yaoki.sim.chance import Chance
from yaoki.sim.faults import (
    AddressLeaked,
    AddressRemoved,
    AddressSpoofed,
    Admitted,
    Alteration,
    Between,
    Blackhole,
    CarrierLost,
    ClockStepped,
    Drained,
    Fault,
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
from yaoki.sim.network import Conditions
from yaoki.sim.servers import Condition
from yaoki.sim.timeline import MILLISECOND, SECOND
from yaoki.sim.topology import Topology

# Faults last from a blink to several times the longest timer.
SHORTEST_FAULT_US = 10 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Pace:
    """How thick faults come. An episode has `fewest` to `most` of them; the times are in settling times of the site:
    within `spread` the faults of an episode begin, `longest` one lasts, and episodes are `apart` on average."""

    fewest: int
    most: int
    spread: float
    longest: float
    apart: float


UNHURRIED = Pace(1, 4, spread=1, longest=2, apart=2)
DENSE = Pace(8, 40, spread=3, longest=0.5, apart=0)
"""A fault every few seconds, of which one or two last at a time: more of them at once would excuse everything."""


@dataclass(frozen=True, slots=True)
class Episode:
    """Faults, and the time at which everything must have settled again."""

    faults: tuple[Injection, ...]
    settled_at: int


@dataclass(frozen=True, slots=True)
class Draw:
    """What the kinds of faults draw from."""

    chance: Chance
    topology: Topology

    @property
    def node(self) -> str:
        return self.chance.pick(self.topology.nodes)

    @property
    def network(self) -> str:
        return self.chance.pick(tuple(dict.fromkeys(v.network for v in self.topology.virtuals)))

    def on(self, network: str) -> tuple[str, ...]:
        """The nodes of a network."""
        return tuple(a.node for a in self.topology.attachments if a.network == network)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The processes that every node has."""
        return tuple(part for part in Part if part is not Part.KEEPER or self.topology.leases)

    @property
    def links_of_main(self) -> tuple[Between, ...]:
        """The links whose death costs nobody anything."""
        kept = (Between.SPEAKER, Between.WORKER)
        return (*kept, Between.KEEPER) if self.topology.leases else kept

    def duration(self, longest: int) -> int:
        """From SHORTEST_FAULT_US to `longest`: half of them evenly, so that others happen meanwhile, half evenly over
        the orders of magnitude."""
        if self.chance.happens(0.5):
            return self.chance.between(SHORTEST_FAULT_US, longest)
        span = longest / SHORTEST_FAULT_US
        return int(SHORTEST_FAULT_US * span ** self.chance.fraction())


def _rough(draw: Draw) -> Fault:
    chance, network = draw.chance, draw.network
    low = chance.between(50, 5_000)
    conditions = Conditions(
        delay_us=(low, low + chance.pick((100, 5_000, 40_000))),
        loss=chance.pick((0.0, 0.05, 0.3, 0.9)),
        duplicate=chance.pick((0.0, 0.1, 0.5)),
        ordered=chance.happens(0.5),
    )
    return RoughNetwork(network, chance.pick((None, *draw.on(network))), conditions)


def _partition(draw: Draw) -> Fault:
    network = draw.network
    nodes = draw.on(network)
    away = draw.chance.sample(nodes, draw.chance.between(1, max(1, len(nodes) - 1)))
    return Partition(network, tuple(sorted(away)), draw.chance.happens(0.4))


def _blackhole(draw: Draw) -> Fault:
    network = draw.network
    return Blackhole(network, draw.chance.pick(draw.on(network)))


def _carrier(draw: Draw) -> Fault:
    attachment = draw.chance.pick(draw.topology.attachments)
    return CarrierLost(attachment.node, attachment.interface, draw.chance.pick((1, 1, 3, 8)))


def _spoofed(draw: Draw) -> Fault:
    virtual = draw.chance.pick(draw.topology.virtuals)
    address = draw.chance.pick(virtual.members[0][1].addresses).ip
    return AddressSpoofed(virtual.network, address, draw.chance.pick((20, 300, 2_500)) * MILLISECOND)


def _paused(draw: Draw) -> Fault:
    return Paused(draw.node, draw.chance.pick(draw.parts))


def _killed(draw: Draw) -> Fault:
    return Killed(draw.node, draw.chance.pick(draw.parts))


def _slowed(draw: Draw) -> Fault:
    part = draw.chance.pick(tuple(part for part in draw.parts if part is not Part.ALL))
    return Slowed(draw.node, part, draw.chance.pick((2, 20, 200)) * MILLISECOND)


def _moved(draw: Draw) -> Fault:
    virtual = draw.chance.pick(draw.topology.virtuals)
    return Moved(draw.chance.pick(virtual.members)[0], virtual.name)


def _stepped(draw: Draw) -> Fault:
    step = draw.chance.pick((5 * MILLISECOND, SECOND, 3600 * SECOND, 10 * 365 * 86400 * SECOND))
    return ClockStepped(draw.node, draw.chance.pick((-1, 1)) * step)


def _part_control(draw: Draw) -> Part:
    return draw.chance.pick((Part.MAIN, Part.MAIN, Part.WORKER))


def _server(draw: Draw) -> Fault:
    conditions = (Condition.REFUSING, Condition.HUNG, Condition.ERRING, Condition.DEAD)
    return ServerFault(draw.chance.pick(draw.topology.hosts), draw.chance.pick(conditions))


def _leaked(draw: Draw) -> Fault:
    network_of = {(v.name, v.family): v.network for v in draw.topology.virtuals}
    leaks = (
        AddressLeaked(network_of[service.vip, service.key.family], server.name, service.key.address, server.address)
        for plan in draw.topology.plans
        for service in plan.services
        for server in service.servers
        if server.forward is Forward.DIRECT
    )
    return draw.chance.pick(tuple(dict.fromkeys(leaks)))


def _disabled(draw: Draw) -> Fault:
    """One service, or all of a VIP; by a file that every node has, or one of them."""
    services = {service.name: service.vip for plan in draw.topology.plans for service in plan.services}
    name = draw.chance.pick(tuple(services))
    names = (name,) if draw.chance.happens(0.4) else tuple(n for n, vip in services.items() if vip == services[name])
    return ServicesDisabled(draw.chance.pick((None, None, *draw.topology.nodes)), names)


Kind = Callable[[Draw], Fault]


@dataclass(frozen=True, slots=True)
class Mix:
    """The kinds of faults of a run, each with its weight. In a `forwarding_untouched` mix no fault reaches the network
    or a speaker, so that no VIP may move at all."""

    name: str
    kinds: tuple[tuple[Kind, int], ...]
    forwarding_untouched: bool = False
    needs_servers: bool = field(default=False)
    needs_store: bool = field(default=False)


_NETWORK: tuple[tuple[Kind, int], ...] = (
    (_rough, 4),
    (_partition, 4),
    (_blackhole, 2),
    (_carrier, 3),
    (_spoofed, 2),
    (lambda draw: HostilePackets(draw.network, draw.chance.between(1, 200)), 1),
)
_CONTROL: tuple[tuple[Kind, int], ...] = (
    (lambda draw: Paused(draw.node, _part_control(draw)), 2),
    (lambda draw: Killed(draw.node, _part_control(draw)), 4),
    (lambda draw: Slowed(draw.node, _part_control(draw), 100 * MILLISECOND), 1),
    (lambda draw: LinkStalled(draw.node, draw.chance.pick(draw.links_of_main)), 2),
    (lambda draw: LinkBroken(draw.node, draw.chance.pick(draw.links_of_main)), 2),
    (_stepped, 1),
    (lambda draw: Reloaded(draw.node), 1),
    (lambda draw: Reconfigured(draw.node, draw.chance.pick(tuple(Alteration))), 2),
    (lambda draw: PlaneRefuses(draw.node), 1),
    (lambda draw: SpeakerUpgraded(draw.node), 2),
)
_PROCESSES: tuple[tuple[Kind, int], ...] = ((_paused, 3), (_killed, 4), (_slowed, 2), (_stepped, 1))
_MACHINES: tuple[tuple[Kind, int], ...] = (
    (lambda draw: PowerLost(draw.node), 3),
    (lambda draw: Frozen(draw.node), 2),
    (lambda draw: Stopped(draw.node), 3),
    (lambda draw: AddressRemoved(draw.node), 1),
    (lambda draw: Admitted(draw.node), 1),
    (_moved, 2),
)
_SERVERS: tuple[tuple[Kind, int], ...] = (
    (_server, 5),
    (lambda draw: Drained(draw.chance.pick(draw.topology.hosts)), 1),
)

_LEASES: tuple[tuple[Kind, int], ...] = (
    (lambda draw: StoreAway(draw.chance.pick((None, *draw.topology.nodes))), 4),
    (lambda draw: StoreSlow(draw.node, draw.chance.pick((5, 100, 2_000)) * MILLISECOND), 2),
    (lambda draw: Paused(draw.node, draw.chance.pick((Part.KEEPER, Part.SPEAKER))), 3),
    (lambda draw: Killed(draw.node, draw.chance.pick((Part.KEEPER, Part.SPEAKER))), 3),
    (lambda draw: Slowed(draw.node, Part.KEEPER, draw.chance.pick((2, 20, 200)) * MILLISECOND), 1),
    (lambda draw: LinkStalled(draw.node, Between.HOLDER), 2),
    (lambda draw: LinkBroken(draw.node, Between.HOLDER), 2),
    (lambda draw: SpeakerUpgraded(draw.node), 2),
    (lambda draw: GatesRefused(draw.node), 1),
)

MIXES: tuple[Mix, ...] = (
    Mix("network", _NETWORK),
    Mix("control", _CONTROL, forwarding_untouched=True),
    Mix("processes", _PROCESSES),
    Mix("machines", _MACHINES),
    Mix("servers", (*_SERVERS, *_CONTROL), needs_servers=True),
    Mix("everything", (*_NETWORK, *_CONTROL, *_PROCESSES, *_MACHINES)),
    Mix("everything, servers too", (*_NETWORK, *_PROCESSES, *_MACHINES, *_SERVERS, *_SERVERS), needs_servers=True),
    Mix("leases", _LEASES, needs_store=True),
    Mix("everything, leases too", (*_NETWORK, *_CONTROL, *_PROCESSES, *_MACHINES, *_LEASES), needs_store=True),
)


def _kinds(mix: Mix, topology: Topology) -> tuple[tuple[Kind, int], ...]:
    """What a mix draws from for a site: of services, those kinds too that only a site which asks for them has."""
    kinds = list(mix.kinds)
    if mix.needs_servers and topology.minds_leaks:
        kinds.append((_leaked, 4))
    if mix.needs_servers and topology.disables:
        kinds.append((_disabled, 4))
    return tuple(kinds)


def mix_of(seed: int, topology: Topology) -> Mix:
    """The mix of a seed: each in turn, so that a handful of neighbouring seeds meets all of them."""
    fitting = tuple(
        mix for mix in MIXES if (topology.hosts or not mix.needs_servers) and (topology.leases or not mix.needs_store)
    )
    return fitting[seed % len(fitting)]


def episodes(
    seed: int, topology: Topology, *, begins: int, until: int, settle: int, pace: Pace = UNHURRIED
) -> Iterator[Episode]:
    """The episodes of a run in order; each needs `settle` microseconds to calm down."""
    chance = Chance(seed, "faults")
    draw, kinds = Draw(chance, topology), _kinds(mix_of(seed, topology), topology)
    number, at = 0, begins
    while True:
        at += int(settle * pace.apart * 2 * chance.fraction())
        injections: list[Injection] = []
        longest = int(settle * pace.longest)
        for _ in range(chance.between(pace.fewest, pace.most)):
            number += 1
            begin = at + int(chance.fraction() * settle * pace.spread)
            injections.append(Injection(number, begin, draw.duration(longest), chance.weighted(kinds)(draw)))
        at = max(injection.ends for injection in injections) + settle
        if at > until:
            return
        yield Episode(tuple(sorted(injections, key=lambda injection: injection.begins)), at)
