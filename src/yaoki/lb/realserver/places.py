"""What --apply and --undo change on a machine, pure: places that hold a value, what was there before, and the plan.

A place is a kernel parameter, an address of the loopback, the end of a tunnel, a UDP port that packets are taken out
of, a file or a link. Several services may need one place; it is
given back when the last of them has gone.

Invariants: the value that was found first is the one that is put back, however often a set-up is applied; a place that
somebody else has changed since is left as it is, and told; the same set-ups applied again change nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

THERE = "there"
"""The value of an address that is on the loopback."""


class PlaceKind(StrEnum):
    """What kind of thing holds the value."""

    SYSCTL = "sysctl"
    ADDRESS = "address"
    DEVICE = "device"
    PORT = "port"
    FILE = "file"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Place:
    """One thing that can be changed: "net/ipv4/conf/all/arp_ignore", "192.0.2.50/32" on the loopback, a device, whose
    value is the address that it takes packets for, "6080 ipv4", a path."""

    kind: PlaceKind
    name: str

    def __str__(self) -> str:
        shown = self.name.replace("/", ".") if self.kind is PlaceKind.SYSCTL else self.name
        return f"{self.kind.value} {shown}"


@dataclass(frozen=True, slots=True)
class Change:
    """The value that a place shall have; one of `accepts` does as well, and is left."""

    place: Place
    value: str
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """What one service needs on this machine."""

    service: str
    server: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """What a place held before it was changed first; None: nothing was there."""

    place: Place
    value: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """What is set up on this machine, and what was there before; kept on its disk."""

    setups: tuple[Setup, ...] = ()
    befores: tuple[Before, ...] = ()

    def setup(self, service: str) -> Setup | None:
        """The set-up of one service, if there is one."""
        return next((one for one in self.setups if one.service == service), None)

    def with_setup(self, setup: Setup) -> tuple[Setup, ...]:
        """All set-ups with this one in the place of an earlier one of its service."""
        return (*self.without(setup.service), setup)

    def without(self, service: str) -> tuple[Setup, ...]:
        """The set-ups of all other services."""
        return tuple(one for one in self.setups if one.service != service)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that it knows, each once."""
        return tuple(dict.fromkeys(before.place for before in self.befores))


@dataclass(frozen=True, slots=True)
class Write:
    """One change to carry out: the new value and the one it replaces; None: nothing there."""

    place: Place
    value: str | None
    was: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """`writes` in their order; `left`: places that somebody else has changed since. `during` is kept before the first
    write, `after` in the end."""

    writes: tuple[Write, ...]
    left: tuple[Place, ...]
    during: Record
    after: Record


def places_of(record: Record, setups: tuple[Setup, ...]) -> tuple[Place, ...]:
    """The places whose present values a plan needs."""
    wanted = (change.place for setup in setups for change in setup.changes)
    return tuple(dict.fromkeys((*record.places, *wanted)))


def plan(record: Record, setups: tuple[Setup, ...], actual: Mapping[Place, str | None]) -> Plan:
    """From what is recorded and found to these set-ups, and no others. What is given back goes first, last made first:
    an address leaves before the parameters that keep it quiet."""
    needed = {change.place: change for setup in setups for change in setup.changes}
    befores = {before.place: before.value for before in record.befores}
    ours = {
        (change.place, value)
        for setup in record.setups
        for change in setup.changes
        for value in (change.value, *change.accepts)
    }
    writes, left = [], []
    for place in reversed(list(befores)):
        now = actual[place]
        if place in needed or now == befores[place]:
            continue
        if (place, now) in ours:
            writes.append(Write(place, befores[place], now))
        else:
            left.append(place)
    for place, change in needed.items():
        now = actual[place]
        befores.setdefault(place, now)
        if now not in (change.value, *change.accepts):
            writes.append(Write(place, change.value, now))
    known = tuple(Before(place, value) for place, value in befores.items())
    kept = tuple(before for before in known if before.place in needed)
    return Plan(tuple(writes), tuple(left), Record(setups, known), Record(setups, kept))
