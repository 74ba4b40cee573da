"""A world in which some nodes share one lease, small enough to be explored completely.

Everything that the machine does not decide is a choice. Time may pass before anything happens, so every message may be
late or (by never arriving) lost and every process may stand still; answers may come as often as they like; processes
and machines may crash, holders may give up and want again. Time is counted in ticks, and each node's clock has its own
rate.

A node *answers* for the address from Granted until `valid_until` on its own clock, as its dead-man gate has it, or
until Lost. When the machine's process crashes, that gate survives, for it is the kernel's.

How it stays small: worlds that behave alike for ever are one. A node is written down (`_normal`) with times counted
from now and revisions by rank below the key's, without what can have no effect any more; nodes meet only in the key, so
what happens to one is worked out once and remembered.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.election.lease import RELEASE_ATTEMPTS, step
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import Claimant, Held, Released, read_record, write_record
from yaoki.election.lease_state import (
    Confirming,
    Granted,
    Holding,
    LeaseEffect,
    LeaseInput,
    Lost,
    Memory,
    NotWant,
    Phase,
    Releasing,
    Request,
    RevisionSeen,
    Seen,
    StoreAnswered,
    Taking,
    Unread,
    Want,
    Watching,
    Wish,
)
from yaoki.election.lease_timing import deadline
from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import (
    KeyState,
    ReadKey,
    StoreRequest,
    SwapKey,
    Swapped,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KEY = "vip/web"
TICK_US = 100_000
TICK = timedelta(microseconds=TICK_US)
PARAMS = LeaseParams(KEY, duration=2 * TICK, renew_every=TICK * 0.6, request_limit=TICK * 0.6)
NOW = Instant.of_seconds(100)
FOREVER = Instant.of_seconds(1_000_000)
LONG_AGO = 3
"""Ticks; no wait of the machine is longer."""
CURRENT = 100
"""The revision by which the key's is always written down; older ones are 99, 98, ... in the order of their age."""

MOVES_IN_A_TICK = 12
"""Of one node: more than it has messages and questions one after another."""

# How much may be under way for one node; what exceeds it is lost, oldest first. Each message may be lost anyway.
MAX_REQUESTS = 2
MAX_ANSWERS = 1

DataclassT = TypeVar("DataclassT", bound="DataclassInstance")


class Machine(NamedTuple):
    """The lease machine as functions, so that one with a mistake can take its place."""

    step: Callable[[LeaseParams, Claimant, Memory, Instant, LeaseInput], tuple[Memory, list[LeaseEffect]]] = step
    deadline: Callable[[LeaseParams, Claimant, Memory], Deadline | None] = deadline


THE_MACHINE = Machine()


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its machine's memory, the gate's end, its boot, and what is under way for it."""

    number: int
    memory: Memory
    answers_until: Instant = NOW
    boot: int = 0
    requests: tuple[StoreRequest, ...] = ()
    answers: tuple[StoreAnswered, ...] = ()
    sighting: KeyState | None = None

    @property
    def claimant(self) -> Claimant:
        return Claimant(f"lb{self.number + 1}", f"boot {self.boot}")

    @property
    def awaited(self) -> Request | None:
        return None if isinstance(self.memory.phase, Watching) else self.memory.phase.request

    @property
    def answering(self) -> bool:
        return self.answers_until > NOW


class Mishaps(NamedTuple):
    """How many more of each may happen."""

    process_crashes: int = 0
    machine_crashes: int = 0
    give_ups: int = 0


NO_MISHAP = Mishaps()


@lru_cache
def less(may_happen: Mishaps, happens: Mishaps) -> Mishaps | None:
    """What may happen after that; None if that may not."""
    left = Mishaps(*(have - spent for have, spent in zip(may_happen, happens, strict=True)))
    return None if min(left) < 0 else left


class World(NamedTuple):
    """The whole world: what the key says, and each node by the name under which the model remembers it."""

    value: bytes
    mishaps: Mishaps
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What becomes of one node when the store carries out one of its requests; `value` if that wrote the key."""

    move: str
    node: int
    value: bytes | None


class Model:
    """The rules of the world. `rates` are the clocks' speeds in percent; `machine` is the one under scrutiny."""

    def __init__(self, rates: tuple[int, ...], machine: Machine = THE_MACHINE) -> None:
        self._ticks = tuple(timedelta(microseconds=TICK_US * rate // 100) for rate in rates)
        self._machine = machine
        self.nodes: list[Node] = []
        self._names: dict[Node, int] = {}
        self._answering: set[int] = set()
        self._aged: dict[int, int] = {}
        self._outdated: dict[tuple[int, bytes], int] = {}
        self._own: dict[int, tuple[tuple[str, Mishaps, int], ...]] = {}
        self._stored: dict[tuple[int, bytes], tuple[Stored, ...]] = {}

    def name(self, node: Node) -> int:
        """The number under which an equivalent node is remembered."""
        normal = _normal(node, self._ticks[node.number])
        if normal not in self._names:
            self._names[normal] = len(self.nodes)
            if normal.answering:
                self._answering.add(len(self.nodes))
            self.nodes.append(normal)
        return self._names[normal]

    def world(self, value: bytes, mishaps: Mishaps, *nodes: Node) -> World:
        return World(value, mishaps, tuple(self.name(node) for node in nodes))

    def answering(self, world: World) -> list[int]:
        """The nodes that answer for the address now."""
        return [number for number, name in enumerate(world.nodes) if name in self._answering]

    def moves(self, world: World) -> Iterator[tuple[str, World]]:
        """Everything that can happen next."""
        value, mishaps, nodes = world
        yield "tick", World(value, mishaps, tuple([self._after_tick(name) for name in nodes]))
        for number, name in enumerate(nodes):
            for stored in self._after_store(name, value):
                if stored.value is None:
                    yield stored.move, World(value, mishaps, _put(nodes, number, stored.node))
                else:
                    others = tuple([self._after_write(other, stored.value) for other in nodes])
                    yield stored.move, World(stored.value, mishaps, _put(others, number, stored.node))
            for move, cost, after in self._after_own_move(name):
                left = mishaps if cost is NO_MISHAP else less(mishaps, cost)
                if left is not None:
                    yield move, World(value, left, _put(nodes, number, after))

    # --- what becomes of one node, remembered -------------------------------------------------------------------------

    def _after_tick(self, name: int) -> int:
        if name not in self._aged:
            node = self.nodes[name]
            self._aged[name] = self.name(_aged(node, self._ticks[node.number]))
        return self._aged[name]

    def _after_write(self, name: int, value: bytes) -> int:
        """Somebody else wrote the key."""
        if (name, value) not in self._outdated:
            self._outdated[name, value] = self.name(_outdated(self.nodes[name], value))
        return self._outdated[name, value]

    def _after_store(self, name: int, value: bytes) -> tuple[Stored, ...]:
        if (name, value) not in self._stored:
            self._stored[name, value] = tuple(self._carry_out(self.nodes[name], value))
        return self._stored[name, value]

    def _after_own_move(self, name: int) -> tuple[tuple[str, Mishaps, int], ...]:
        if name not in self._own:
            node = self.nodes[name]
            moves = (*self._timer(node), *self._deliveries(node), *_mishaps(node, self.give))
            self._own[name] = tuple((f"{node.number} {move}", cost, self.name(after)) for move, cost, after in moves)
        return self._own[name]

    # --- what becomes of one node, worked out -------------------------------------------------------------------------

    def _timer(self, node: Node) -> Iterator[tuple[str, Mishaps, Node]]:
        wanted = self._machine.deadline(PARAMS, node.claimant, node.memory)
        if wanted is not None and wanted.at <= NOW:
            yield "timer fires", NO_MISHAP, self.give(node, TimerFired())

    def _deliveries(self, node: Node) -> Iterator[tuple[str, Mishaps, Node]]:
        for index, answer in enumerate(node.answers):
            what = f"hears {type(answer.result).__name__}"
            left = replace(node, answers=(*node.answers[:index], *node.answers[index + 1 :]))
            yield what, NO_MISHAP, self.give(left, answer)
            yield f"{what}, to come again", NO_MISHAP, self.give(node, answer)
        if node.sighting is not None:
            seen = RevisionSeen(node.sighting)
            yield "sees a write", NO_MISHAP, self.give(replace(node, sighting=None), seen)

    def _carry_out(self, node: Node, value: bytes) -> Iterator[Stored]:
        for index, request in enumerate(node.requests):
            store = MemoryStore({KEY: KeyState(CURRENT, value)})
            result = store.carry_out(request)
            left = replace(node, requests=(*node.requests[:index], *node.requests[index + 1 :]))
            written = store.state(KEY).value if isinstance(result, Swapped) else None
            if written is not None:
                written = _without_epoch(written)
                left, result = _outdated(left, written), Swapped(CURRENT)
            answered = (*left.answers, StoreAnswered(request.request, result))[-MAX_ANSWERS:]
            move = f"{node.number} {type(request).__name__} reaches the store: {type(result).__name__}"
            yield Stored(move, self.name(replace(left, answers=answered)), written)

    def give(self, node: Node, input_: LeaseInput) -> Node:
        """One input to one machine, and its effects."""
        memory, effects = self._machine.step(PARAMS, node.claimant, node.memory, NOW, input_)
        requests, until = node.requests, node.answers_until
        for effect in effects:
            match effect:
                case ReadKey() | SwapKey():
                    requests = (*requests, effect)[-MAX_REQUESTS:]
                case Granted():
                    until = effect.valid_until
                case Lost():
                    until = NOW
                case _:
                    pass
        return replace(node, memory=memory, requests=requests, answers_until=until)


def _mishaps(node: Node, give: Callable[[Node, LeaseInput], Node]) -> Iterator[tuple[str, Mishaps, Node]]:
    unread = Memory(Unread(NOW), node.memory.wish)
    # What a dead process asked for may still be carried out; nobody hears the answer.
    orphans = tuple(replace(request, request=0) for request in node.requests)
    crashed = replace(node, memory=unread, requests=orphans, answers=(), sighting=None)
    yield "process crashes", Mishaps(process_crashes=1), crashed
    rebooted = Node(node.number, unread, boot=node.boot + 1, requests=orphans)
    yield "machine crashes", Mishaps(machine_crashes=1), rebooted
    if node.memory.wish is not None:
        # The holder is silent first, then says so.
        yield "gives up", Mishaps(give_ups=1), give(replace(node, answers_until=NOW), NotWant())
    else:
        yield "wants again", NO_MISHAP, give(node, Want(FOREVER))


def _put(nodes: tuple[int, ...], number: int, node: int) -> tuple[int, ...]:
    return (*nodes[:number], node, *nodes[number + 1 :])


# --- starts and explorations ------------------------------------------------------------------------------------------


def owned(model: Model, mishaps: Mishaps, *, by: int, nodes: int = 2) -> World:
    """One node has just taken the lease and the others know it."""
    value = write_record(Held(Claimant(f"lb{by + 1}", "boot 0"), 0, PARAMS.duration))
    wish = Wish(FOREVER, timedelta(0), 1)
    holding = Memory(Holding(1, CURRENT, NOW + PARAMS.duration, NOW + PARAMS.renew_every), wish)
    watching = Memory(Watching(Seen(CURRENT, read_record(value), NOW), NOW), wish)
    owner = Node(by, holding, NOW + PARAMS.duration)
    return model.world(value, mishaps, *(owner if n == by else Node(n, watching) for n in range(nodes)))


@dataclass(frozen=True, slots=True)
class Explored:
    """The result of an exploration: the worlds reached, how many of them have another than the first node answering,
    and the shortest way to one in which two nodes answer."""

    worlds: tuple[World, ...]
    takeovers: int
    violation: tuple[str, ...] | None


def explore(model: Model, start: World, *, most: int) -> Explored:
    """Every world that can be reached, however long it takes; an error if there are more than `most`."""
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    frontier, takeovers = deque([start]), 0
    while frontier:
        world = frontier.popleft()
        for move, after in model.moves(world):
            if after in came_from:
                continue
            came_from[after] = (world, move)
            answering = model.answering(after)
            if len(answering) > 1:
                return Explored(tuple(came_from), takeovers, _path(came_from, after))
            takeovers += answering not in ([], [0])
            frontier.append(after)
        if len(came_from) > most:
            raise AssertionError(f"more than {most} worlds: too many to explore completely")
    return Explored(tuple(came_from), takeovers, None)


def ticks_to_take_over(model: Model, world: World, *, node: int, most: int) -> int | None:
    """After how many ticks `node` answers if from now on nothing happens but its own moves, each at once; None if it
    does not within `most`."""
    own = f"{node} "
    for ticks in range(most):
        for _ in range(MOVES_IN_A_TICK):
            if node in model.answering(world):
                return ticks
            prompt = (after for move, after in model.moves(world) if move.startswith(own) and after != world)
            world = next((after for after in prompt if after.mishaps == world.mishaps), world)
        world = next(after for move, after in model.moves(world) if move == "tick")
    return None


def _path(came_from: dict[World, tuple[World, str] | None], end: World) -> tuple[str, ...]:
    moves: list[str] = []
    while (before := came_from[end]) is not None:
        end, move = before
        moves.append(move)
    return tuple(reversed(moves))


# --- how a node is written down ---------------------------------------------------------------------------------------


def _normal(node: Node, tick: timedelta) -> Node:
    """Equal for nodes that behave alike for ever."""
    node = _without_dead_messages(node)
    ranks = {revision: CURRENT - rank for rank, revision in enumerate(sorted({*_revisions(node), CURRENT})[::-1])}
    awaited = None if node.awaited is None else node.awaited.number

    def change(field: str, value: object) -> object:
        match field, value:
            case "valid_until", Instant():
                return max(value, NOW, key=lambda at: at.us)
            case "since" | "sent", Instant():
                return NOW - min((NOW - value) // tick, LONG_AGO) * tick
            case _, Instant() if value != FOREVER:
                # Rounded up to ticks: a timer fires at the first tick that is not before it.
                return NOW + max(-((NOW - value) // tick), 0) * tick
            case "revision" | "expected", int():
                return ranks[value]
            case "number" | "request", int():
                return int(value == awaited)
            case "requests", int():
                return 1
            case "failures", int():
                return 0  # all pauses after failures are shorter than a tick
            case "attempts", int():
                return max(value, RELEASE_ATTEMPTS - 1)  # as if the limit were lower
            case "epoch", int():
                return 0  # decides nothing
            case "value", bytes():
                return _without_epoch(value)
            case _:
                return value

    # The node's own number is no request's.
    return replace(_changed(node, change), number=node.number)


def _aged(node: Node, tick: timedelta) -> Node:
    """The same node a tick later: all it remembers is so much longer ago."""

    def change(_: str, value: object) -> object:
        return value - tick if isinstance(value, Instant) and value != FOREVER else value

    return _changed(node, change)


def _outdated(node: Node, value: bytes) -> Node:
    """The same node when the key has just been written: CURRENT is the new revision, what was current is older."""

    def change(field: str, held: object) -> object:
        return held - 1 if field in ("revision", "expected") and isinstance(held, int) else held

    return replace(_changed(node, change), sighting=KeyState(CURRENT, value))


def _changed(value: DataclassT, change: Callable[[str, object], object]) -> DataclassT:
    """The same value with every field, however deep, replaced by what `change` makes of it."""
    if isinstance(value, Request) and not value.duration:
        value = replace(value, sent=NOW)  # of a read it decides nothing
    new = {field.name: _changed_field(field.name, getattr(value, field.name), change) for field in fields(value)}
    return type(value)(**new)


def _changed_field(name: str, value: object, change: Callable[[str, object], object]) -> object:
    if isinstance(value, tuple):
        return tuple(_changed_field(name, each, change) for each in value)
    if is_dataclass(value) and not isinstance(value, Instant | type):
        return _changed(value, change)
    return change(name, value)


def _revisions(node: Node) -> set[int]:
    found: set[int] = set()

    def note(field: str, value: object) -> object:
        if field in ("revision", "expected") and isinstance(value, int):
            found.add(value)
        return value

    _changed(node, note)
    return found


def _without_dead_messages(node: Node) -> Node:
    """Without answers and reads that nobody awaits, swaps that nobody awaits and that can no longer succeed, and news
    of what is known already."""
    awaited = None if node.awaited is None else node.awaited.number
    requests = tuple(
        each
        for each in node.requests
        if each.request == awaited or (isinstance(each, SwapKey) and each.expected == CURRENT)
    )
    answers = tuple(answer for answer in node.answers if answer.request == awaited)
    sighting = node.sighting
    if sighting is not None and sighting.revision <= _known(node.memory.phase):
        sighting = None
    return replace(node, requests=requests, answers=answers, sighting=sighting)


def _known(phase: Phase) -> int:
    match phase:
        case Unread():
            return 0
        case Watching() | Confirming() | Taking():
            return phase.seen.revision
        case Holding() | Releasing():
            return phase.revision


@lru_cache
def _without_epoch(value: bytes) -> bytes:
    record = read_record(value)
    assert isinstance(record, Held | Released)
    return write_record(replace(record, epoch=0))
