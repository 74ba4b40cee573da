"""How full the planes' tables of flows are, and when people are told of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from yaoki.lb.flow_events import FlowTable, FlowTableFilling

TOLD_AT = 0.8
TOLD_AGAIN_BELOW = 0.7
"""What was told once is told again after it was below this."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A table with so many `entries` in use, of `size` at most. `whose`: a service, or what all services of a family
    share."""

    table: FlowTable
    whose: str
    entries: int
    size: int

    @property
    def share(self) -> float:
        """0..1."""
        return self.entries / self.size


class Fillings:
    """Which tables people know to be filling."""

    def __init__(self) -> None:
        self._told: dict[tuple[FlowTable, str], None] = {}

    def heed(self, found: Iterable[Filled]) -> list[FlowTableFilling]:
        """What there is to tell now that tables are so full."""
        events = []
        for each in found:
            place = each.table, each.whose
            if each.share >= TOLD_AT and place not in self._told:
                self._told[place] = None
                events.append(FlowTableFilling(each.table, each.whose, each.entries, each.size))
            elif each.share < TOLD_AGAIN_BELOW:
                self._told.pop(place, None)
        return events
