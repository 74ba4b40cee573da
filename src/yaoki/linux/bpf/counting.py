"""How many flows servers have open, put right by counting the entries of flows.

The program counts a flow up at its first packet and down at its FIN or RST. It does not see flows idle out, be driven
from a full table or lose their server, nor what began before their service counted.

A recount is in two steps, as on nftables (yaoki.linux.flow_counting): `count` in any thread, on descriptors of its own,
`heed` in the plane's.

Invariant: what comes and ends meanwhile is kept. A flow that does so between the reading of its entry and the end of
the count may be counted twice, or not at all, until the next time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from yaoki.linux.bpf import installation
from yaoki.linux.bpf.held import Held
from yaoki.linux.bpf.layout import ServiceFlag
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


class Recount:
    """One count of `services`; `heed` is the plane's, `clock` gives ticks."""

    def __init__(self, services: Collection[Held], heed: Callable[[Counts], None], clock: Callable[[], int]) -> None:
        self._services = services
        self._heed = heed
        self._clock = clock
        self._counted: list[tuple[Seat, Counted]] = []

    def count(self) -> None:
        """Look at all entries, in any thread. Raises ActuatorError."""
        installed = installation.find()
        if installed is None:
            return
        try:
            self._counted = list(count(installed.tables, self._services, self._clock()).items())
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


def count(tables: Tables, services: Iterable[Held], tick: int) -> Counts:
    """Count the flows of these services at a tick; some 60 ms for 200,000 entries. Raises ActuatorError."""
    services = tuple(services)
    seats = {seat.number: (seat, each) for each in services for seat in each.seats.values()}
    before = {number: tables.load(number) for number in seats}
    found = dict.fromkeys(seats, 0)
    for family in dict.fromkeys(each.actual.key.family for each in services):
        for number, stamp, seen, state in tables.flow_words(family):
            place = seats.get(number)
            if place is not None and place[0].stamp == stamp and place[1].is_led(number, seen, state, tick):
                found[number] += 1
    return {seat: Counted(found[number], before[number]) for number, (seat, _) in seats.items()}


def heed(tables: Tables, counted: Counts) -> None:
    """Put right what the program has counted. Raises ActuatorError."""
    for seat, each in counted.items():
        tables.put_load(seat.number, max(0, each.entries + tables.load(seat.number) - each.before))
