"""A world of two nodes with the key-value service of examples/stateful-pair, and of what Yaoki promises them.

Simulated is what is around a replica: the lease of the VIP, of which there is one; the quarantine and the tracked
check, as examples/stateful-pair/site.yaml has them; the epoch's file, which is late; and what fails. Clients reach the
owner of the lease only, and are answered by it only.
"""

from dataclasses import dataclass, field

from replica import WRITE_LIMIT_S, Answer, Ask, Log, Refusal, Replica
from yaoki.sim.chance import Chance

STEP_S = 0.05
LEASE_S = 1.5
FALL = 3
CHECK_EVERY = 10
DATA_CHECK_EVERY = 20


@dataclass
class Node:
    """One machine. `file` is the epoch's file as it reads, `told` what it will be."""

    log: Log = field(default_factory=Log)
    replica: Replica | None = None
    life: int = 0
    back_at: float = 0.0
    on: bool = False
    on_at: float = 0.0
    quarantine: bool = True
    failures: int = FALL
    file: int | None = None
    told: tuple[float, int | None] = (0.0, None)
    frozen_until: float = 0.0
    deaf_until: float = 0.0
    asked: tuple[float, Ask] | None = None
    answer: Answer | None = None
    heard_at: float = 0.0
    waiting: list[tuple[float, str]] = field(default_factory=list)
    pending: list[tuple[float, str, int, int]] = field(default_factory=list)

    @property
    def barred(self) -> bool:
        return self.failures >= FALL


class PairWorld:
    """`accepted` are the keys whose writers were told so; `lost` those that an owner did not have later."""

    def __init__(self, seed: int, *, quarantine: bool = True) -> None:
        self.chance = Chance(seed)
        self.quarantine = quarantine
        self.now = 1000.0
        self.nodes = (Node(), Node())
        self.owner: Node | None = None
        self.epoch = 0
        self.free_at = self.now
        self.cut_until = 0.0
        self.accepted: list[str] = []
        self.lost: set[str] = set()
        self._steps = 0

    def run(self, seconds: float, *, quiet: bool = False) -> None:
        """Live on; `quiet`: nothing fails any more."""
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self._steps += 1
            if not quiet:
                self._fail()
            for node in self.nodes:
                self._live(node)
            self._elect()
            self._write()
            self._watch()

    def _fail(self) -> None:
        node = self.chance.pick(self.nodes)
        if self.chance.happens(0.002) and node.on:
            self._power_off(node)
        if self.chance.happens(0.003) and node.replica is not None and node.deaf_until < self.now:
            self._end_service(node, self.chance.fraction() * 4)
        if self.chance.happens(0.003):
            self.cut_until = self.now + self.chance.fraction() * 15
        if self.chance.happens(0.003):
            node.frozen_until = self.now + self.chance.fraction() * 4
        if self.chance.happens(0.003):
            node.deaf_until = self.now + self.chance.fraction() * 10
        if self.chance.happens(0.003) and self.owner is not None:
            self._lose_lease(self.owner, planned=self.chance.happens(0.5))

    def _power_off(self, node: Node) -> None:
        self._end_service(node, 0)
        node.on, node.on_at = False, self.now + 1 + self.chance.fraction() * 12
        node.file, node.told = None, (self.now, None)
        node.quarantine, node.failures, node.deaf_until = self.quarantine, 0 if not self.quarantine else FALL, 0.0
        if self.owner is node:
            self.owner, self.free_at = None, self.now + LEASE_S

    def _end_service(self, node: Node, back_after: float) -> None:
        node.replica, node.asked, node.answer, node.life = None, None, None, node.life + 1
        node.back_at = self.now + back_after
        node.waiting.clear()
        node.pending.clear()

    def _lose_lease(self, node: Node, *, planned: bool) -> None:
        self.owner, self.free_at = None, self.now + (0.1 if planned else LEASE_S)
        node.quarantine = node.quarantine or (self.quarantine and not planned)
        self._tell(node, None)

    def _tell(self, node: Node, epoch: int | None) -> None:
        node.told = max(self.now, node.deaf_until, node.frozen_until) + self.chance.fraction() * 0.3, epoch

    def _live(self, node: Node) -> None:
        if not node.on and self.now >= node.on_at:
            node.on = True
        if not node.on or self.now < node.frozen_until:
            if self.owner is node and node.frozen_until - self.now > LEASE_S:
                self._lose_lease(node, planned=False)
            return
        if self.now >= node.told[0]:
            node.file = node.told[1]
        if node.replica is None and self.now >= node.back_at:
            node.replica = Replica(node.log, self.now)
        if node.replica is not None:
            node.replica.look(self.now, node.file)
            self._converse(node, node.replica)
        if self.now >= node.deaf_until:
            self._check(node)

    def _check(self, node: Node) -> None:
        if self._steps % CHECK_EVERY == 0 and self.quarantine:
            fit = node.replica is not None and node.replica.fit(self.now)
            node.failures = 0 if fit else node.failures + 1
        if self._steps % DATA_CHECK_EVERY == 0 and node.quarantine and node is not self.owner:
            node.quarantine = node.replica is None or not node.replica.current(self.now)

    def _converse(self, node: Node, replica: Replica) -> None:
        other = self.nodes[node is self.nodes[0]]
        reachable = self.now >= self.cut_until and other.replica is not None and self.now >= other.frozen_until
        if node.asked is None:
            node.asked, node.answer, node.heard_at = (self.now, replica.ask()), None, self._later()
        elif self.now - node.asked[0] > 1.0:
            node.asked = None
        elif node.answer is None:
            if self.now >= node.heard_at and reachable and other.on and other.replica is not None:
                other.replica.look(self.now, other.file)
                node.answer, node.heard_at = other.replica.answer(self.now, node.asked[1]), self._later()
        elif self.now >= node.heard_at:
            replica.learn(*node.asked, node.answer)
            node.asked = None

    def _later(self) -> float:
        return self.now + self.chance.fraction() * 0.3

    def _elect(self) -> None:
        first, second = self.nodes
        if self.owner is not None:
            other = second if self.owner is first else first
            bid = self._may_own(other) and (self.owner.barred or (not self.quarantine and other is first))
            if bid and self.chance.happens(0.05):
                self._lose_lease(self.owner, planned=True)
                self._take(other)
        elif self.now >= self.free_at and self.chance.happens(0.2):
            able = [node for node in self.nodes if self._may_own(node)]
            if able:
                self._take(self.chance.pick(able))

    def _may_own(self, node: Node) -> bool:
        return node.on and not node.quarantine and not node.barred and self.now >= node.frozen_until

    def _take(self, node: Node) -> None:
        self.epoch += 1
        self.owner = node
        self._tell(node, self.epoch)

    def _write(self) -> None:
        if self.owner is not None and self.owner.replica is not None and self.chance.happens(0.5):
            self.owner.waiting.append((self.now, f"{self._steps}"))
        for node in self.nodes:
            if node.replica is None or self.now < node.frozen_until:
                continue
            replica = node.replica
            replica.look(self.now, node.file)
            for _, key in node.waiting:
                place, epoch = replica.write(self.now, key, key), replica.serves
                if not isinstance(place, Refusal) and epoch is not None:
                    node.pending.append((self.now, key, place, epoch))
            node.waiting.clear()
            for write in tuple(node.pending):
                taken_at, key, place, epoch = write
                if replica.accepted(self.now, place, epoch):
                    node.pending.remove(write)
                    self.accepted += [key] if self.owner is node else []
                elif self.now - taken_at > WRITE_LIMIT_S:
                    node.pending.remove(write)

    def _watch(self) -> None:
        node = self.owner
        if node is None or node.replica is None or self.now < node.frozen_until:
            return
        if node.replica.serves == self.epoch and node.replica.refusal(self.now) is None:
            self.lost |= {key for key in self.accepted if key not in node.replica.values}
