"""Broadcast domains: who hears whom, how late and how surely.

What passes is a frame: an advertisement between nodes, an announcement to the neighbours. A frame is delivered at a
later time, never inside of the call that sent it.

Invariants: a frame reaches every other live port of its group unless the way there is cut or loses it; the ways of
two directions are independent, so that a partition may be one-way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from yaoki.sim.chance import Chance
from yaoki.sim.timeline import Timeline

FrameT = TypeVar("FrameT")

# A switched LAN: 50 to 300 microseconds from one process to the other.
LAN_DELAY_US = (50, 300)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a way does to frames. Delays are drawn evenly from low..high; with `ordered` a frame never overtakes an
    earlier one."""

    delay_us: tuple[int, int] = LAN_DELAY_US
    loss: float = 0.0
    duplicate: float = 0.0
    ordered: bool = True


LAN = Conditions()


@dataclass(slots=True, eq=False)
class Port(Generic[FrameT]):
    """Where something is plugged into a network, and the group whose frames it takes. `live` is false without power or
    carrier, or frozen."""

    owner: str
    group: str
    deliver: Callable[[FrameT], None]
    live: bool = True


@dataclass(slots=True, eq=False)
class Way:
    """From one owner to another. `cuts` counts the faults that cut it, `rough` holds the conditions of those that only
    hurt it, the latest last; `changed_at` is when one of them began or ended."""

    conditions: Conditions = LAN
    cuts: int = 0
    rough: list[Conditions] = field(default_factory=list)
    last_arrival: int = 0
    changed_at: int = 0

    @property
    def clean(self) -> bool:
        """Whether frames pass as on any LAN."""
        return not self.cuts and not self.rough


@dataclass(slots=True)
class Counts:
    """Frames by what became of them."""

    lost: int = 0
    duplicated: int = 0
    cut: int = 0


@dataclass(slots=True)
class _Hearers(Generic[FrameT]):
    """The ports that hear one port, each with the way to it."""

    ports: list[tuple[Port[FrameT], Way]] = field(default_factory=list)


class Network(Generic[FrameT]):
    """One broadcast domain by name."""

    def __init__(self, name: str, timeline: Timeline, chance: Chance) -> None:
        self.name = name
        self.counts = Counts()
        self._timeline = timeline
        self._chance = chance
        self._ports: list[Port[FrameT]] = []
        self._ways: dict[tuple[str, str], Way] = {}
        self._hearers: dict[tuple[str, str, str | None], _Hearers[FrameT]] = {}

    @property
    def owners(self) -> tuple[str, ...]:
        """Who has a port here, in the order of plugging in."""
        return tuple(port.owner for port in self._ports)

    def plug(self, port: Port[FrameT]) -> None:
        """Connect a port; an owner has at most one in a network."""
        self._ports.append(port)
        self._hearers.clear()

    def way(self, source: str, target: str) -> Way:
        """The way from one owner to another."""
        return self._ways.setdefault((source, target), Way())

    def cut(self, source: str, target: str) -> None:
        """Cut one direction; cuts add up until each is mended."""
        way = self.way(source, target)
        way.cuts += 1
        way.changed_at = self._timeline.now

    def mend(self, source: str, target: str) -> None:
        """Take one cut back."""
        way = self.way(source, target)
        way.cuts -= 1
        way.changed_at = self._timeline.now

    def roughen(self, source: str, target: str, conditions: Conditions) -> None:
        """Let one direction do this to frames; of several conditions the latest counts."""
        way = self.way(source, target)
        way.rough.append(conditions)
        way.conditions, way.changed_at = conditions, self._timeline.now

    def smooth(self, source: str, target: str, conditions: Conditions) -> None:
        """Take one condition back."""
        way = self.way(source, target)
        way.rough.remove(conditions)
        way.conditions = way.rough[-1] if way.rough else LAN
        way.changed_at = self._timeline.now

    def send(
        self,
        sender: Port[FrameT],
        frame: FrameT,
        group: str,
        *,
        only: str | None = None,
        lost: Callable[[str], None] | None = None,
    ) -> None:
        """Send a frame to every other port of a group, or to `only` the one of this owner. `lost` is told the owners
        who will not get it."""
        if not sender.live:
            return
        hearers = self._hearers.get((sender.owner, group, only))
        if hearers is None:
            hearers = self._listen(sender, group, only)
        now, fraction = self._timeline.now, self._chance.fraction
        for port, way in hearers.ports:
            conditions = way.conditions
            if way.cuts or not port.live or (conditions.loss and fraction() < conditions.loss):
                self._note_loss(way, port, lost)
                continue
            low, high = conditions.delay_us
            arrival = now + low + int(fraction() * (high - low + 1))
            if conditions.ordered and arrival < way.last_arrival:
                arrival = way.last_arrival
            way.last_arrival = arrival
            self._timeline.at(arrival, partial(_arrive, port, frame))
            if conditions.duplicate and fraction() < conditions.duplicate:
                self.counts.duplicated += 1
                self._timeline.at(arrival + low + int(fraction() * (high - low + 1)), partial(_arrive, port, frame))

    def flood(self, frame: FrameT, group: str) -> None:
        """A frame of a machine that is none of ours reaches every port of a group."""
        for port in self._ports:
            if port.group == group:
                _arrive(port, frame)

    def _listen(self, sender: Port[FrameT], group: str, only: str | None) -> _Hearers[FrameT]:
        ports = [port for port in self._ports if port.group == group and port.owner != sender.owner]
        ports = [port for port in ports if only in (None, port.owner)]
        hearers = _Hearers([(port, self.way(sender.owner, port.owner)) for port in ports])
        self._hearers[sender.owner, group, only] = hearers
        return hearers

    def _note_loss(self, way: Way, port: Port[FrameT], lost: Callable[[str], None] | None) -> None:
        if way.cuts:
            self.counts.cut += 1
        else:
            self.counts.lost += 1
        if lost is not None:
            lost(port.owner)


def _arrive(port: Port[FrameT], frame: FrameT) -> None:
    if port.live:
        port.deliver(frame)
