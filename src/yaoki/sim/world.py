"""A simulated world: the site's networks, nodes and servers, the faults put down for it, and the invariants on top.

Invariant: all that happens is decided by the topology, the seed and the faults; worlds made equally have equal traces.
"""

from collections.abc import Callable
from functools import partial

from yaoki.core.codec import Codec
from yaoki.node.events import EVENT_KINDS
from yaoki.node.messages import ShardOrder, ShardReport, SpeakerOrder, SpeakerReport
from yaoki.sim.chance import Chance
from yaoki.sim.injector import Injector
from yaoki.sim.invariants import INVARIANTS
from yaoki.sim.ledger import Ledger
from yaoki.sim.neighbours import Announcement, Neighbours
from yaoki.sim.network import Network, Port
from yaoki.sim.node import NEIGHBOURS, Frame, Node
from yaoki.sim.schedule import Episode
from yaoki.sim.servers import Servers
from yaoki.sim.timeline import SECOND, Timeline
from yaoki.sim.topology import Topology
from yaoki.sim.trace import Trace

_Message = SpeakerOrder | SpeakerReport | ShardOrder | ShardReport

# Nodes are switched on one after another, in any order, within this time.
POWER_ON_US = 3 * SECOND


class World:
    """One world of one seed. `run` raises InvariantBroken, or whatever an engine raised."""

    def __init__(
        self, topology: Topology, seed: int, *, forwarding_untouched: bool = False, digested: bool = False
    ) -> None:
        self.topology = topology
        self.timeline = Timeline()
        self.trace = Trace(digested=digested)
        self.ledger = Ledger(self.trace, forwarding_untouched=forwarding_untouched)
        self.servers = Servers(topology.servers)
        chance = Chance(seed, "world")
        self.networks: dict[str, Network[Frame]] = {}
        self.neighbours: dict[str, Neighbours] = {}
        for network, _ in topology.networks:
            self.networks[network] = Network(network, self.timeline, chance.stream(f"network {network}"))
            self.neighbours[network] = Neighbours()
        carry = _carrier()
        self.nodes = {name: self._node(name, chance.stream(f"node {name}"), carry) for name in topology.nodes}
        for network, neighbours in self.neighbours.items():
            self.networks[network].plug(Port(NEIGHBOURS, NEIGHBOURS, partial(_hear, neighbours)))
        self.injector = Injector(self, chance.stream("injector"))
        self.ledger.begin(self)
        invariants = [invariant(self.ledger) for invariant in INVARIANTS]
        self.ledger.tell(invariants, [invariant for invariant in invariants if invariant.busy])
        for name in topology.nodes:
            self.timeline.at(chance.between(0, POWER_ON_US), self.nodes[name].boot)

    def put_down(self, episode: Episode) -> None:
        """Let the faults of an episode happen, and everything have settled at its end."""
        for injection in episode.faults:
            self.injector.put_down(injection)
        self.timeline.at(episode.settled_at, self.ledger.settled)

    def run(self, until_us: int) -> None:
        """Let everything happen up to this time."""
        self.timeline.run(until_us)

    def servers_changed(self, host: str, /) -> None:
        self.ledger.servers_changed(host)

    def _node(self, name: str, chance: Chance, carry: Callable[[object], object]) -> Node:
        return Node(
            name,
            self.timeline,
            chance,
            topology=self.topology,
            networks=self.networks,
            neighbours=self.neighbours,
            servers=self.servers,
            witness=self.ledger,
            carry=carry,
        )


def _carrier() -> Callable[[object], object]:
    codec = Codec(EVENT_KINDS)

    def carry(message: object) -> object:
        return codec.decode(codec.encode(message), _Message)

    return carry


def _hear(neighbours: Neighbours, frame: Frame) -> None:
    if isinstance(frame, Announcement):
        neighbours.hear(frame)
