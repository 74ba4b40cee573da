"""Invariants of what the wire observer tells, and of what it does against foreign claims."""

from functools import partial

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import Event
from yaoki.sim.faults import Between
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.neighbours import NEIGHBOURS
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Virtual
from yaoki.vrrp.claim_watch import CLAIM_QUIET
from yaoki.vrrp.wire_events import ForeignClaim, OwnedButSilent, TwoOwnersSeen, UnknownClaim

# Within this a foreign claim is told, and the neighbours look at the owner again.
LIMIT_US = SECOND
# A main process that has begun, or is reached again, knows its plan and the state of its routers after so long.
INFORMED_US = 5 * SECOND
# One MAC is told once in CLAIM_QUIET of a node's own clock, which drifts.
TOLD_US = int(CLAIM_QUIET.total_seconds() * 1.01 * SECOND)
# Between two nodes that answer and the event: two questions with the time between them.
SHARED_US = 3 * SECOND


class ClaimsTold(Invariant):
    """See `holds`."""

    name = "claims told"
    holds = "within a second every node that works tells of a foreign claim, and the neighbours look at the owner again"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._told: dict[tuple[str, IPAddress], int] = {}
        self._claimed: dict[IPAddress, int] = {}

    def published(self, node: str, event: Event, /) -> None:
        if isinstance(event.body, ForeignClaim | UnknownClaim):
            self._told[node, event.body.address] = self.ledger.now

    def claimed(self, network: str, address: IPAddress, /) -> None:
        self._claimed[address] = self.ledger.now
        for virtual in self.ledger.world.topology.virtuals:
            if virtual.network == network and any(each.ip == address for each in virtual.members[0][1].addresses):
                heard = tuple(node for node, _ in virtual.members if self._hears(virtual, node))
                look = partial(self._look, virtual, address, heard, self.ledger.now)
                self.ledger.timeline.after(LIMIT_US, look)

    def _hears(self, virtual: Virtual, node: str) -> bool:
        return self.ledger.world.nodes[node].ports[virtual.params(node).key.interface].live

    def _look(self, virtual: Virtual, address: IPAddress, heard: tuple[str, ...], since: int) -> None:
        for node in heard:
            told, thawed_at = self._told.get((node, address)), self.ledger.world.nodes[node].thawed_at
            # Of what a machine was frozen for, its clock has counted nothing.
            frozen = thawed_at is not None and thawed_at > since - TOLD_US
            late = not frozen and (told is None or told < since - TOLD_US)
            if informed(self.ledger, virtual, node, since) and late:
                self.broken(f"{node} has not told of a foreign claim of {address}")
        holders = self.ledger.holders[virtual]
        if len(holders) == 1 and self.ledger.holders_since[virtual] <= since and self._claimed[address] == since:
            self._look_at_neighbours(virtual, address, holders[0], heard, since)

    def _look_at_neighbours(
        self, virtual: Virtual, address: IPAddress, owner: str, heard: tuple[str, ...], since: int
    ) -> None:
        fit = self.ledger.fit_since(virtual, owner)
        reached = self.ledger.clean_since(virtual, owner, NEIGHBOURS)
        if owner not in heard or not informed(self.ledger, virtual, owner, since) or fit is None or fit > since:
            return
        if reached is None or reached > since:
            return
        believed = self.ledger.world.neighbours[virtual.network].believe(address)
        if believed != owner:
            self.broken(f"the neighbours look for {address} at {believed}, but {owner} owns it and saw the claim")


class AlarmsTrue(Invariant):
    """See `holds`."""

    name = "alarms true"
    holds = "foreign claims, two owners and a silent owner are told of only if there were such"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._claimed: set[IPAddress] = set()
        self._shared_at: dict[Virtual, int] = {}
        self._sharing: set[Virtual] = set()

    def claimed(self, _network: str, address: IPAddress, /) -> None:
        self._claimed.add(address)

    def leaks_changed(self, _host: str, address: IPAddress, /) -> None:
        # Of a server whose MAC nobody has asked for yet, it is a foreign machine's claim.
        self._claimed.add(address)

    def owners_changed(self, virtual: Virtual, /) -> None:
        # A node that was replaced is a foreign machine to the others; alone and not told, it owns as it did.
        for node in self.ledger.world.topology.replaced.intersection(self.ledger.holders[virtual]):
            self._claimed.update(address.ip for address in virtual.params(node).addresses)
        # Also when two have just become one: until then both answered.
        if len(self.ledger.holders[virtual]) > 1 or virtual in self._sharing:
            self._shared_at[virtual] = self.ledger.now
        (self._sharing.add if len(self.ledger.holders[virtual]) > 1 else self._sharing.discard)(virtual)

    def published(self, node: str, event: Event, /) -> None:
        body = event.body
        match body:
            case ForeignClaim(router=key, address=address, mac=mac):
                if address not in self._claimed and not self._unsure(node, self.ledger.virtual(node, key), mac):
                    self.broken(f"{node} tells of a foreign claim of {address}, which nobody made")
            case TwoOwnersSeen(router=key, nodes=nodes):
                virtual = self.ledger.virtual(node, key)
                if informed(self.ledger, virtual, node, self.ledger.now) and not self._shared(virtual):
                    self.broken(f"{node} tells that {', '.join(nodes)} answer for {virtual}")
            case OwnedButSilent(router=key, silent_for=silent_for):
                virtual = self.ledger.virtual(node, key)
                began = self.ledger.now - int(silent_for.total_seconds() * SECOND)
                if self._could_hear(virtual, node, began):
                    self.broken(f"{node} tells that nobody answers for {virtual}, but it could hear its owner")
            case _:
                pass

    def _unsure(self, node: str, virtual: Virtual, mac: MacAddress) -> bool:
        """Whether a node that was replaced may not know whose MAC it is: the one in its place stands by in its file,
        and is asked for once only."""
        topology = self.ledger.world.topology
        claimants = (each.node for each in topology.attachments if each.mac == mac and node in topology.replaced)
        pairs = (pair for other in claimants for pair in ((node, other), (other, node)))
        ways = (self.ledger.clean_since(virtual, *pair) for pair in pairs)
        return any(way is None or way > self.ledger.now - LIMIT_US for way in ways)

    def _shared(self, virtual: Virtual) -> bool:
        shared_at = self._shared_at.get(virtual)
        return virtual in self._sharing or (shared_at is not None and shared_at >= self.ledger.now - SHARED_US)

    def _could_hear(self, virtual: Virtual, node: str, began: int) -> bool:
        """Whether there has been an owner since then that this node could ask and hear."""
        holders, ledger = self.ledger.holders[virtual], self.ledger
        if len(holders) != 1 or ledger.holders_since[virtual] > began or not informed(ledger, virtual, node, began):
            return False
        owner = ledger.world.nodes[holders[0]]
        ways = (ledger.clean_since(virtual, node, owner.name), ledger.clean_since(virtual, owner.name, node))
        return owner.port_changed_at <= began and all(way is not None and way <= began for way in ways)


def informed(ledger: Ledger, virtual: Virtual, node: str, since: int) -> bool:
    """Whether a node's main process has worked since then, knowing what it has to know."""
    here = ledger.world.nodes[node]
    minding, flowing = ledger.minding_since(node), here.links[Between.SPEAKER].flowing_since
    before = since - INFORMED_US
    if minding is None or minding > before or flowing is None or flowing > before:
        return False
    return here.port_changed_at <= before and ledger.fit_since(virtual, node) is not None
