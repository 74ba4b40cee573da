"""A simulated world: the site's networks, nodes and servers, the faults put down for it, and the invariants on top.

Invariant: all that happens is decided by the topology, the seed and the faults; worlds made equally have equal traces.
"""

from functools import cache, partial

from yaoki.core.address import BROADCAST, IPAddress, MacAddress
from yaoki.core.codec import Codec
from yaoki.node.events import EVENT_KINDS
from yaoki.node.holder_messages import HolderOrder, HolderReport
from yaoki.node.lease_messages import KeeperOrder, KeeperReport
from yaoki.node.messages import ShardOrder, ShardReport, SpeakerOrder, SpeakerReport
from yaoki.packet.claim import Claim, Form
from yaoki.sim.chance import Chance
from yaoki.sim.injector import Injector
from yaoki.sim.invariants import INVARIANTS
from yaoki.sim.lease_store import LeaseStore
from yaoki.sim.ledger import Ledger
from yaoki.sim.neighbours import INTRUDER, NEIGHBOURS, Announcement, Neighbours
from yaoki.sim.network import Network, Port
from yaoki.sim.node import NODES, Frame, Node
from yaoki.sim.resolution import Question
from yaoki.sim.schedule import Episode
from yaoki.sim.servers import Servers
from yaoki.sim.timeline import SECOND, Timeline
from yaoki.sim.topology import Topology
from yaoki.sim.trace import Trace

_Message = (
    SpeakerOrder | SpeakerReport | ShardOrder | ShardReport | KeeperOrder | KeeperReport | HolderOrder | HolderReport
)

# Nodes are switched on one after another, in any order, within this time.
POWER_ON_US = 3 * SECOND


INTRUDER_MAC = MacAddress.parse("02:00:66:66:66:66")

# Of each class of messages so many go through the codec in each world; the rest are taken as they are, to save time.
CODED_OF_EACH_CLASS = 20


class World:
    """One world of one seed. `run` raises InvariantBroken, or whatever an engine raised. Worlds of one seed and another
    `throw` of the dice differ in everything that is left to chance but the faults."""

    def __init__(
        self,
        topology: Topology,
        seed: int,
        *,
        throw: int = 0,
        forwarding_untouched: bool = False,
        digested: bool = False,
    ) -> None:
        self.topology = topology
        self.trace = Trace(digested=digested)
        self.ledger = Ledger(self.trace, forwarding_untouched=forwarding_untouched)
        self.timeline = Timeline(self.ledger.burst)
        self.servers = Servers(topology.servers)
        chance = Chance(seed, f"world {throw}" if throw else "world")
        self._carrier = _Carrier()
        self.lease_store = LeaseStore(self.timeline, chance.stream(f"{chance.name} store of leases"))
        self.networks: dict[str, Network[Frame]] = {}
        self.neighbours: dict[str, Neighbours] = {}
        self._machines: dict[str, Port[Frame]] = {}
        for network, _ in topology.networks:
            self.networks[network] = Network(network, self.timeline, chance.stream(f"{chance.name} network {network}"))
            self.neighbours[network] = Neighbours()
        self.nodes = {name: self._node(name, chance.stream(f"{chance.name} node {name}")) for name in topology.nodes}
        for network, neighbours in self.neighbours.items():
            port: Port[Frame] = Port(NEIGHBOURS, NEIGHBOURS, partial(self._machines_hear, network, neighbours))
            self._machines[network] = port
            self.networks[network].plug(port)
        self.injector = Injector(self, chance.stream("injector"))
        self.ledger.begin(self)
        self.ledger.tell([invariant(self.ledger) for invariant in INVARIANTS])
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

    def spoof(self, network: str, address: IPAddress, /) -> None:
        frame = Claim(address, INTRUDER_MAC, Form.ANNOUNCEMENT, BROADCAST)
        self.networks[network].flood(frame, NODES)
        self.networks[network].flood(Announcement(INTRUDER, address), NEIGHBOURS)
        self.ledger.claimed(network, address)

    def leaks_changed(self, host: str, address: IPAddress, /) -> None:
        self.ledger.leaks_changed(host, address)

    def _machines_hear(self, network: str, neighbours: Neighbours, frame: Frame) -> None:
        """The machines that are no nodes learn from announcements. A question reaches them only if a server has an
        answer."""
        if isinstance(frame, Announcement):
            neighbours.hear(frame)
        elif isinstance(frame, Question):
            for mac in self.servers.claimants(frame.address):
                answer = Claim(frame.address, mac, Form.ANSWER, frame.mac)
                self.networks[network].send(self._machines[network], answer, NODES, only=frame.node)

    def _node(self, name: str, chance: Chance) -> Node:
        return Node(
            name,
            self.timeline,
            chance,
            topology=self.topology,
            networks=self.networks,
            neighbours=self.neighbours,
            servers=self.servers,
            lease_store=self.lease_store,
            witness=self.ledger,
            carry=self._carrier.carry,
        )


class _Carrier:
    """The codec on every link of a world. Messages of one class are alike, so the first of each prove the codec."""

    def __init__(self) -> None:
        self._left: dict[type, int] = {}

    def carry(self, message: object) -> object:
        """What arrives of a message."""
        left = self._left.get(type(message), CODED_OF_EACH_CLASS)
        if not left:
            return message
        self._left[type(message)] = left - 1
        return _codec().decode(_codec().encode(message), _Message)


@cache
def _codec() -> Codec:
    """One for all worlds: it costs more to make than a world, and keeps nothing of what passes."""
    return Codec(EVENT_KINDS)
