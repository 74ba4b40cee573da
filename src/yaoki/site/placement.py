"""Who owns which VIP, and who takes it over, where the site file leaves that to be spread evenly over the members.

VIPs with the same members are dealt out in the order of the file: the first place of each goes to the node that has
the fewest, the next place to the node that has the fewest of those that come after just the same nodes, and so on; a
draw by rendezvous hashing settles what is equal. The places become priorities, so that the election itself knows
nothing of it.

Invariants: every node computes the same; a VIP added at the end of the file moves no other; whichever nodes have
failed, the VIPs that had just these before are shared by the others with a difference of one at most.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from operator import itemgetter

from yaoki.pool.maglev import Share
from yaoki.pool.rendezvous import ranking

HIGHEST = 200
_WIDEST = 50


class Placement(StrEnum):
    """Where the priorities of a VIP's members come from."""

    PRIORITY = "priority"
    SPREAD = "spread"


def spread(vips: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, dict[str, int]]:
    """The priority of each member of each VIP, by the VIP's name and the node's; from names and members."""
    dealt: Counter[tuple[frozenset[str], frozenset[str], str]] = Counter()
    placed: dict[str, dict[str, int]] = {}
    for vip, members in vips:
        everybody = frozenset(members)
        drawn = _drawn(vip, sorted(everybody))
        order: list[str] = []
        while len(order) < len(everybody):
            before = frozenset(order)
            counted = [(dealt[everybody, before, node], node) for node in drawn if node not in before]
            chosen = min(counted, key=itemgetter(0))[1]
            dealt[everybody, before, chosen] += 1
            order.append(chosen)
        apart = _apart(len(order))
        placed[vip] = {node: max(1, HIGHEST - place * apart) for place, node in enumerate(order)}
    return placed


def _drawn(vip: str, nodes: list[str]) -> list[str]:
    """The nodes in the order of the VIP's draw; the first of equals is chosen."""
    return [nodes[index] for index in ranking(vip.encode(), [Share(node, 1) for node in nodes])]


def _apart(members: int) -> int:
    """How far apart priorities lie: their takeovers must not meet, and the last is still 1."""
    return max(1, min(_WIDEST, (HIGHEST - 1) // members))
