"""Whether the servers of a service could lose any one of them (N+1). Pure.

What a server can bear is its connection limit; where one of them has none, nothing can be said.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bearer:
    """A server that takes new flows: `opened` of at most `limit` flows are open."""

    name: str
    limit: int | None
    opened: int | None


@dataclass(frozen=True, slots=True)
class Headroom:
    """The flows that are `opened`, and how many the others could have in all `without` the server that bears most."""

    without: str
    opened: int
    left: int

    @property
    def is_short(self) -> bool:
        """Whether the loss of that server would leave flows without a place: more than (N-1)/N of equal servers is
        taken."""
        return self.opened > self.left


def headroom(bearers: Iterable[Bearer]) -> Headroom | None:
    """Of the servers of a service; None if not all of them have a limit and a count, or there are none."""
    limits: dict[str, int] = {}
    opened = 0
    for each in bearers:
        if each.limit is None or each.opened is None:
            return None
        limits[each.name] = each.limit
        opened += each.opened
    if not limits:
        return None
    largest = max(limits, key=lambda name: limits[name])
    return Headroom(largest, opened, sum(limits.values()) - limits[largest])
