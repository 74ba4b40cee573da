"""How many flows servers have open, put right by counting the entries of flows.

The program counts a flow up at its first packet and down at its FIN or RST. It does not see flows idle out, be driven
from a full table or lose their server, nor what began before their service counted.

A recount is in two steps, as on nftables (yaoki.linux.flow_counting): `count` in any thread, on descriptors of its own,
`heed` in the plane's.

Invariant: what comes and ends meanwhile is kept. A flow that does so between the reading of its entry and the end of
the count may be counted twice, or not at all, until the next time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from yaoki.core.address import Family, IPAddress
from yaoki.lb.filling import Filled
from yaoki.lb.flow_events import FlowTable
from yaoki.lb.service import ServiceKey
from yaoki.linux.bpf import installation
from yaoki.linux.bpf.held import Held
from yaoki.linux.bpf.layout import FlowState, ServerFlag, ServiceFlag
from yaoki.linux.bpf.services import Seat
from yaoki.linux.bpf.tables import Tables

AT_ONCE = 256
"""Servers whose count is heeded at once: a verdict waits for no more of them."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A server: the entries that lead to it, and what the program had counted when that count began."""

    entries: int
    before: int


Counts = Mapping[Seat, Counted]

Placed = tuple[ServiceKey, IPAddress, int]
"""A server of a service: the service, the server's address and port."""

_FLOW_TABLES = {FlowTable.FLOWS: "flows", FlowTable.NEW_FLOWS: "new_flows"}


class Recount:
    """One count of those of `services` that count, with a look at how full the tables are; `heed` is the plane's,
    `clock` gives ticks."""

    def __init__(self, services: Collection[Held], heed: Callable[[Counts], None], clock: Callable[[], int]) -> None:
        self._services = services
        self._heed = heed
        self._clock = clock
        self._counted: list[tuple[Seat, Counted]] = []
        self.filled: tuple[Filled, ...] = ()
        """How full the tables were that were looked at."""

    def count(self) -> None:
        """Look at all entries, in any thread. Raises ActuatorError."""
        installed = installation.find()
        if installed is None:
            return
        try:
            filled: list[Filled] = []
            counting = tuple(filter(counts, self._services))
            found = count(installed.tables, counting, self._clock(), among=self._services, filled=filled)
            filled += _sources(installed.tables, self._services, self._clock())
            self._counted, self.filled = list(found.items()), tuple(filled)
        finally:
            installed.close()

    def heed(self) -> bool:
        """Put right what the program has counted of the next servers, in the plane's thread; whether there are more.
        Raises ActuatorError."""
        some, self._counted = self._counted[:AT_ONCE], self._counted[AT_ONCE:]
        self._heed(dict(some))
        return bool(self._counted)


def counts(held: Held) -> bool:
    """Whether a service's servers are chosen by the flows that they have."""
    return ServiceFlag.COUNTED in held.rendered.service.flags


def begins_to_count(before: Held | None, after: Held) -> bool:
    """Whether a service that is there counts its flows from now on."""
    return before is not None and counts(after) and not counts(before)


def count(
    tables: Tables,
    services: Iterable[Held],
    tick: int,
    *,
    among: Iterable[Held] = (),
    filled: list[Filled] | None = None,
) -> Counts:
    """Count the flows of these services at a tick; some 0.1 s for 200,000 entries. How full the tables are with flows
    of these and of those `among` which they are goes to `filled`. Raises ActuatorError."""
    services = tuple(services)
    counted = {seat.number: seat for each in services for seat in each.seats.values()}
    before = {number: tables.load(number) for number in counted}
    places = {seat.number: (seat.stamp, *each.limits) for each in (*among, *services) for seat in each.seats.values()}
    led: Counter[int] = Counter()
    for family in dict.fromkeys(each.actual.key.family for each in services):
        for table, name in _FLOW_TABLES.items():
            used = 0
            for number, stamp, seen, state in tables.words(name, family):
                place = places.get(number)
                # As Held.is_led says it, without a call for each of hundreds of thousands.
                if place is not None and place[0] == stamp and tick - seen <= place[1 + state]:
                    used += 1
                    if state != FlowState.CLOSING:
                        led[number] += 1
            if filled is not None:
                filled.append(Filled(table, _whose(family), used, tables.size(name, family)))
    kept = {
        number
        for each in services
        for number, server in each.rendered.servers.items()
        if ServerFlag.KEEPS in server.flags
    }
    return {seat: Counted(led[number] if number in kept else 0, before[number]) for number, seat in counted.items()}


def live(tables: Tables, services: Collection[Held], tick: int) -> Mapping[Placed, int]:
    """How many live flows each server of these services has. Raises ActuatorError."""
    owners = {
        (seat.number, seat.stamp): (each, (each.actual.key, *place))
        for each in services
        for place, seat in each.seats.items()
    }
    found: Counter[Placed] = Counter()
    for family in sorted({each.actual.key.family for each in services}, key=lambda family: family.value):
        for entry in tables.flows(family):
            owner = owners.get((entry.server, entry.stamp))
            if owner is not None and owner[0].is_led_by(entry, tick):
                found[owner[1]] += 1
    return found


def _sources(tables: Tables, services: Iterable[Held], tick: int) -> Iterator[Filled]:
    """How full the tables of persistence are, of families that have it."""
    services = tuple(each for each in services if each.rendered.service.persistence)
    lasts = {
        (seat.number, seat.stamp): each.rendered.service.persistence
        for each in services
        for seat in each.seats.values()
    }
    for family in dict.fromkeys(each.actual.key.family for each in services):
        words = tables.words("sources", family)
        used = sum(tick - seen <= lasts.get((number, stamp), -1) for number, stamp, seen, _ in words)
        yield Filled(FlowTable.SOURCES, _whose(family), used, tables.size("sources", family))


def _whose(family: Family) -> str:
    return f"IPv{family.value} on BPF"


def heed(tables: Tables, counted: Counts) -> None:
    """Put right what the program has counted. Raises ActuatorError."""
    for seat, each in counted.items():
        tables.put_load(seat.number, max(0, each.entries + tables.load(seat.number) - each.before))
