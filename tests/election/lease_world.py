"""A seeded world of three nodes with keepers, holders and gates, and one store; and everything that may befall them.

Where the model (lease_model) explores every order of events of one machine in coarse time, this plays the whole chain
from store to gate in microseconds, with many messages under way at once.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial

from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.lease_holder import LeaseHolder
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import Claimant
from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import LocalStore, StoreFailed, StoreRequest, StoreResult, Swapped
from yaoki.node.holder_messages import (
    HolderReport,
    HoldLeases,
    LeaseOver,
    LeaseSeen,
    LeaseValid,
    LeaseWish,
)
from yaoki.node.lease_keeper import LeaseKeeper
from yaoki.node.lease_messages import (
    AskStore,
    ConfigureLeases,
    HolderBack,
    KeeperInput,
    KeySeen,
    StoreSaid,
)
from yaoki.sim.chance import Chance
from yaoki.sim.clock import NodeClock
from yaoki.sim.timeline import MILLISECOND, SECOND, Timeline

KEY = "vip/web"
DURATION = timedelta(seconds=1.5)
PARAMS = LeaseParams.usual(KEY, DURATION)
WISH_EVERY = 100 * MILLISECOND
WISH_FOR = timedelta(milliseconds=300)
DRIFT_PPM = 10_000
NODES = 3
CLOSED = Instant(0)


class Fault(StrEnum):
    """What may befall a node."""

    KEEPER_STOPS = "the keeper is stopped and continued"
    HOLDER_STOPS = "the holder is stopped and continued"
    KEEPER_DIES = "the keeper is killed and started again"
    HOLDER_DIES = "the holder is killed and started again; the gate is the kernel's"
    MACHINE_DIES = "the machine loses power and comes back"
    CUT_OFF = "the node does not reach the store"
    STORE_SLOW = "the store takes up to two seconds for this node"
    DEAF = "the node hears no news of the store"
    LINK_STALLS = "nothing passes between keeper and holder, and nothing is lost"
    LINK_SLOW = "what the keeper says reaches the holder up to a second late"
    LINK_BREAKS = "what is between keeper and holder is lost, and the link is made anew"
    HANDS_OVER = "the holder gives the lease up and wants it again later"


class TwoOwners(AssertionError):
    """The invariant that everything here is for."""


@dataclass(slots=True, eq=False)
class Node:
    """One machine. `gate_until` is on its own clock."""

    number: int
    clock: NodeClock
    keeper: LeaseKeeper
    holder: LeaseHolder
    boot: int = 0
    gate_until: Instant = CLOSED
    willing: bool = True
    timer: int = 0
    life: dict[str, int] = field(default_factory=lambda: {"keeper": 0, "holder": 0, "link": 0})
    arrivals: dict[str, int] = field(default_factory=lambda: {"keeper": 0, "holder": 0})
    stopped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Fault, 0))
    to_keeper: deque[KeeperInput] = field(default_factory=deque)
    to_holder: deque[HolderReport] = field(default_factory=deque)

    @property
    def name(self) -> str:
        return f"lb{self.number + 1}"


class World:
    """Runs by its seed alone. `make_holder` may put a holder with a mistake in the place of ours."""

    def __init__(self, seed: int, make_holder: Callable[[], LeaseHolder] = LeaseHolder) -> None:
        self.time = Timeline()
        self.owners: list[tuple[int, str, int]] = []
        """When another node or epoch began to answer."""
        self._chance = Chance(seed)
        self._make_holder = make_holder
        self._store = MemoryStore()
        self.nodes = [self._node(number) for number in range(NODES)]
        for node in self.nodes:
            self._start_keeper(node)
            self.time.after(self._chance.between(0, WISH_EVERY), partial(self._wish, node))

    def run(self, us: int) -> None:
        """Let so much time pass."""
        self.time.run(self.time.now + us)

    def answering(self) -> list[str]:
        return [node.name for node in self.nodes if self._now(node) < node.gate_until]

    def lose_disk(self) -> None:
        """The store begins anew without its keys, and with revisions above all that it gave, as a witness does."""
        self._store = MemoryStore(revision=self._store.revision + 1000)

    def copy_disk(self) -> MemoryStore:
        """What a backup, or a snapshot of the store's machine, would hold."""
        return MemoryStore(dict(self._store.items()), revision=self._store.revision)

    def restore_disk(self, copy: MemoryStore) -> None:
        """The store goes on with an older copy of itself."""
        self._store = copy

    def inflict(self, fault: Fault, node: Node, lasts: int) -> None:
        """One fault, from now on for so long."""
        node.stopped[fault] += 1
        match fault:
            case Fault.HOLDER_DIES:
                self._kill_holder(node)
            case Fault.MACHINE_DIES:
                self._close_gate(node)
                self._kill_holder(node)
            case Fault.HANDS_OVER:
                node.willing = False
                self._close_gate(node)
                node.holder.gave_up()
            case Fault.LINK_BREAKS:
                self._break_link(node)
            case _:
                pass
        if fault in (Fault.KEEPER_DIES, Fault.MACHINE_DIES):
            node.life["keeper"] += 1
            self._break_link(node)
        self.time.after(lasts, partial(self._relieve, fault, node))

    # --- processes ----------------------------------------------------------------------------------------------------

    def _node(self, number: int) -> Node:
        drift = self._chance.between(-DRIFT_PPM, DRIFT_PPM)
        clock = NodeClock(started_at=0, zero=self._chance.between(0, 1000 * SECOND), drift_ppm=drift)
        keeper = LeaseKeeper(f"lb{number + 1}/lease", Claimant(f"lb{number + 1}", "boot 0"))
        return Node(number, clock, keeper, self._make_holder())

    def _now(self, node: Node) -> Instant:
        return node.clock.instant(self.time.now)

    def _keeper_runs(self, node: Node) -> bool:
        return not any(node.stopped[f] for f in (Fault.KEEPER_STOPS, Fault.KEEPER_DIES, Fault.MACHINE_DIES))

    def _holder_runs(self, node: Node) -> bool:
        return not any(node.stopped[f] for f in (Fault.HOLDER_STOPS, Fault.HOLDER_DIES, Fault.MACHINE_DIES))

    def _start_keeper(self, node: Node) -> None:
        node.keeper = LeaseKeeper(f"{node.name}/lease", Claimant(node.name, f"boot {node.boot}"))
        node.to_keeper.clear()
        self._give(node, ConfigureLeases(LocalStore(), (PARAMS,)))
        self._give(node, HolderBack())

    def _kill_holder(self, node: Node) -> None:
        """What it was told is forgotten; the gate goes on until its time."""
        node.life["holder"] += 1
        node.holder = self._make_holder()
        self._break_link(node)

    def _relieve(self, fault: Fault, node: Node) -> None:
        node.stopped[fault] -= 1
        if node.stopped[fault]:
            return
        if fault is Fault.MACHINE_DIES:
            node.boot += 1
        if fault in (Fault.KEEPER_DIES, Fault.MACHINE_DIES) and self._keeper_runs(node):
            self._start_keeper(node)
        if fault is Fault.HANDS_OVER:
            node.willing = True
        if self._keeper_runs(node):
            waiting, node.to_keeper = node.to_keeper, deque()
            for input_ in waiting:
                self._give(node, input_)
            self._arm(node)
        if self._holder_runs(node):
            reports, node.to_holder = node.to_holder, deque()
            for report in reports:
                self._holder_hears(node, report)

    # --- the keeper ---------------------------------------------------------------------------------------------------

    def _give(self, node: Node, input_: KeeperInput) -> None:
        if not self._keeper_runs(node):
            if not node.stopped[Fault.KEEPER_DIES] and not node.stopped[Fault.MACHINE_DIES]:
                node.to_keeper.append(input_)
            return
        for effect in node.keeper.handle(self._now(node), input_):
            match effect:
                case AskStore():
                    self._ask(node, effect)
                case LeaseValid() | LeaseOver():
                    slow = SECOND if node.stopped[Fault.LINK_SLOW] else MILLISECOND // 2
                    self._send(node, "holder", slow, partial(self._holder_hears, node, effect))
                case _:
                    pass
        self._arm(node)

    def _arm(self, node: Node) -> None:
        node.timer += 1
        wanted = node.keeper.deadline()
        if wanted is not None:
            at = max(node.clock.world(wanted.at.us), self.time.now) + self._chance.between(1, 2 * MILLISECOND)
            self.time.at(at, partial(self._timer, node, node.timer))

    def _timer(self, node: Node, timer: int) -> None:
        if timer == node.timer and self._keeper_runs(node):
            self._give(node, TimerFired())

    # --- the holder and its gate --------------------------------------------------------------------------------------

    def _wish(self, node: Node) -> None:
        self.time.after(WISH_EVERY, partial(self._wish, node))
        if not self._holder_runs(node):
            return
        if node.willing:
            node.holder.want()
        wishes = (LeaseWish(KEY, node.holder.claim, timedelta(milliseconds=20 * node.number)),)
        hold = HoldLeases(wishes if node.holder.wanted else (), self._now(node) + WISH_FOR)
        self._send(node, "keeper", MILLISECOND // 2, partial(self._give, node, hold))

    def _holder_hears(self, node: Node, report: HolderReport) -> None:
        if not self._holder_runs(node):
            node.to_holder.append(report)
            return
        match report:
            case LeaseValid():
                node.holder.granted(claim=report.claim, epoch=report.epoch, valid_until=report.valid_until)
            case LeaseOver():
                node.holder.over()
            case LeaseSeen():
                pass
        node.gate_until = node.holder.answers_until or CLOSED
        answering = self.answering()
        if len(answering) > 1:
            raise TwoOwners(f"{' and '.join(answering)} answer at {self.time.now} us")
        if node.name in answering and node.holder.epoch is not None:
            self._note_owner(node.name, node.holder.epoch)

    def _note_owner(self, name: str, epoch: int) -> None:
        if self.owners:
            _, last, last_epoch = self.owners[-1]
            if (name, epoch) == (last, last_epoch):
                return
            assert epoch > last_epoch, f"{name} answers with epoch {epoch} after {last} with {last_epoch}"
        self.owners.append((self.time.now, name, epoch))

    def _close_gate(self, node: Node) -> None:
        node.gate_until = CLOSED

    # --- the link between them ----------------------------------------------------------------------------------------

    def _send(self, node: Node, to: str, slowest: int, deliver: Callable[[], None]) -> None:
        """Messages to one side arrive in the order of their sending."""
        at = max(self.time.now + self._chance.between(20, slowest), node.arrivals[to])
        node.arrivals[to] = at
        self.time.at(at, partial(self._arrive, node, node.life["link"], deliver))

    def _arrive(self, node: Node, life: int, deliver: Callable[[], None]) -> None:
        # All that is stalled waits in steps of the same length, so that it stays in order.
        if node.stopped[Fault.LINK_STALLS]:
            self.time.after(MILLISECOND, partial(self._arrive, node, life, deliver))
        elif life == node.life["link"] and not node.stopped[Fault.LINK_BREAKS]:
            deliver()

    def _break_link(self, node: Node) -> None:
        node.life["link"] += 1
        node.to_holder.clear()
        node.to_keeper = deque(input_ for input_ in node.to_keeper if not isinstance(input_, HoldLeases))
        self._give(node, HolderBack())

    # --- the store ----------------------------------------------------------------------------------------------------

    def _ask(self, node: Node, ask: AskStore) -> None:
        life, answered = node.life["keeper"], [False]

        def answer(result: StoreResult) -> None:
            if life == node.life["keeper"] and (not answered[0] or self._chance.happens(0.5)):
                answered[0] = True
                self._give(node, StoreSaid(ask.request, result))

        limit = ask.limit // timedelta(microseconds=1)
        self.time.after(limit, lambda: None if answered[0] else answer(StoreFailed("no answer in time")))
        self.time.after(self._way(node), partial(self._carry_out, node, ask.request, answer))

    def _carry_out(self, node: Node, request: StoreRequest, answer: Callable[[StoreResult], None]) -> None:
        if node.stopped[Fault.CUT_OFF] or self._chance.happens(0.02):
            return
        result = self._store.carry_out(request)
        if isinstance(result, Swapped):
            for each in self.nodes:
                self._tell(each, KeySeen(KEY, self._store.state(KEY)))
        if not self._chance.happens(0.02):
            for _ in range(2 if self._chance.happens(0.02) else 1):
                self.time.after(self._way(node), partial(answer, result))

    def _tell(self, node: Node, seen: KeySeen) -> None:
        if node.stopped[Fault.DEAF] or node.stopped[Fault.CUT_OFF] or self._chance.happens(0.05):
            return
        late = self._chance.between(0, 3 * SECOND) if self._chance.happens(0.05) else self._way(node)
        self.time.after(late, partial(self._give, node, seen))

    def _way(self, node: Node) -> int:
        most = 2 * SECOND if node.stopped[Fault.STORE_SLOW] else 5 * MILLISECOND
        return self._chance.between(200, most)


def play(seed: int, *, faults: int, make_holder: Callable[[], LeaseHolder] = LeaseHolder) -> World:
    """A world with so many faults, one or two at a time, that end before it does."""
    world, chance = World(seed, make_holder), Chance(seed, "faults")
    world.run(4 * SECOND)
    for _ in range(faults):
        fault = chance.pick(tuple(Fault))
        longest = 6 * SECOND if fault is not Fault.HANDS_OVER else 400 * MILLISECOND
        world.inflict(fault, chance.pick(world.nodes), chance.between(10 * MILLISECOND, longest))
        world.run(chance.between(0, 3 * SECOND))
    world.run(7 * SECOND)
    return world
