"""What tracking leaves of a virtual router's priority.

Each track that has failed adds its weight, or, without one, bars the router from owning: keepalived's FAULT, except
that an owner keeps the addresses until a better router takes them. The sum is kept within 1..254: 0 would say that the
router leaves, and 255 that the addresses are its own (RFC 9568 5.2.4).
"""

from collections.abc import Iterable
from dataclasses import dataclass

OWNER_PRIORITY = 255
LEAST_PRIORITY = 1
GREATEST_PRIORITY = 254


@dataclass(frozen=True, slots=True)
class Standing:
    """The `priority` to advertise, and whether the router is `barred` from becoming Active."""

    priority: int
    barred: bool = False

    @property
    def effective(self) -> int:
        """How good this router is, to compare it with others: 0 is one that may not own."""
        return 0 if self.barred else self.priority


def standing(configured: int, lost: Iterable[int | None], *, barred: bool = False) -> Standing:
    """With these tracks failed: their weights, None for a track without one. The owner of the addresses stays the
    owner, always (RFC 9568 6.1)."""
    if configured == OWNER_PRIORITY:
        return Standing(OWNER_PRIORITY)
    total = configured
    for weight in lost:
        if weight is None:
            barred = True
        else:
            total += weight
    if barred:
        # Any router that is well takes the addresses from a barred owner; two barred ones leave each other alone.
        return Standing(LEAST_PRIORITY, barred=True)
    return Standing(min(GREATEST_PRIORITY, max(LEAST_PRIORITY, total)))
