"""Which row of a rehearsal fails for a mutation of a shipped engine, and what shows there that it is for this mistake.

A lab that does not settle proves nothing by that alone: a busy machine does the same to engines without a mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.sites import PAIR
from yaoki.lab.row import Row

LEASE_PAIR = Path(__file__).parents[2] / "examples/lease-pair/site.yaml"


def missed(*services: str) -> Callable[[Row], bool]:
    """Just these services broke their promise."""
    return lambda row: row.void is None and {figures.target.service for figures in row.missed} == set(services)


def two_owners(row: Row) -> bool:
    """The observer saw two owners; who was the first to come up may have lost already while the lab settled."""
    if row.void is not None:
        return "two owners" in row.void
    return any(vip.longest_ms for vip in row.vips) and not all(vip.kept for vip in row.vips)


def astray(row: Row) -> bool:
    """All was whole again, and the VIP not with its preferred owner."""
    return row.void is None and row.astray is not None


def two_owners_of_lease(row: Row) -> bool:
    """The same where a lease excludes it, and after the lab had settled."""
    return bool(row.split) and row.void is None


@dataclass(frozen=True, slots=True)
class MutatedRow:
    """A patch, the row that fails for it, and how that shows. `long`: on a machine without other work only."""

    patch: str
    scenario: str
    shows: Callable[[Row], bool]
    site: Path = PAIR
    long: bool = False


ROWS = (
    MutatedRow("announcements-forgotten", "lb1-power-off", missed("web", "api")),
    MutatedRow("addresses-not-released", "front-heal", two_owners),
    MutatedRow("falls-counted-wrong", "web1-killed", missed("web")),
    MutatedRow("gate-never-armed", "lb1-hang-speaker", two_owners, long=True),
    MutatedRow("priorities-compared-in-reverse", "front-heal", astray, long=True),
    MutatedRow("lease-not-waited-out", "lb1-kill-all", two_owners_of_lease, LEASE_PAIR, long=True),
)
