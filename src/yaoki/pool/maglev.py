"""Maglev hashing: a table of slots, shared among members by weight, of which a change of members moves little.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4. Each member walks
its own permutation of the slots and takes the next free one whenever it is its turn; a member's turns come in
proportion to its weight.

A table takes 5 to 75 ms to fill in Python, and a balancer has a table for each service. So the inner loop may be
another's, a native one, which is handed in (`Fill`); which it is makes no difference but in time.

Invariants: the table depends on names, weights and order alone, so two nodes with equal members agree on it; every slot
is taken; each member holds its share of the slots to within one, and at least one slot.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from yaoki.pool.apportion import apportion

SIZES = (8191, 65521)
"""Primes, so that a permutation by steps of any length visits all slots. Few, because a table of another size has
nothing in common with this one: sizes change only where a pool outgrows its table, at 51 members."""

SLOTS_PER_MEMBER = 160
"""With this many slots to each, a member that comes or goes moves 2 per cent of the slots at most beside its own, and
equal shares are right to within one per cent."""


@dataclass(frozen=True, slots=True)
class Share:
    """A member by name, and its weight, which is above 0."""

    name: str
    weight: int

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"{self.name} has weight {self.weight}; a member without weight has no share")


def size_for(members: int) -> int:
    """The table for a pool of `members`, those counted that are out at present: their return must not change the
    size."""
    return next((size for size in SIZES if size >= members * SLOTS_PER_MEMBER), SIZES[-1])


@dataclass(frozen=True, slots=True)
class Walk:
    """One member's permutation of the slots: from `offset` on by steps of `skip`."""

    offset: int
    skip: int


Fill = Callable[[Sequence[Walk], Sequence[int], int], tuple[int, ...]]
"""The members' walks, how many slots each gets, and how many there are: the index of each slot's member. Whichever
does it, the table is the same."""


def fill(walks: Sequence[Walk], quota: Sequence[int], size: int) -> tuple[int, ...]:
    """Whoever has gathered as much as the largest share takes the next free slot on his way."""
    positions, skips = [walk.offset for walk in walks], [walk.skip for walk in walks]
    largest = max(quota)
    credit = [0] * len(walks)
    slots = [-1] * size
    left = size
    while True:
        for index, share in enumerate(quota):
            credit[index] += share
            if credit[index] < largest:
                continue
            credit[index] -= largest
            position, skip = positions[index], skips[index]
            while slots[position] >= 0:
                position = (position + skip) % size
            slots[position] = index
            positions[index] = (position + skip) % size
            left -= 1
            if not left:
                return tuple(slots)


def maglev(shares: Sequence[Share], size: int, filling: Fill = fill) -> tuple[int, ...]:
    """For each of `size` (a prime) slots the index of its member. Raises ValueError without members."""
    if not shares:
        raise ValueError("nobody to give the slots to")
    walks = tuple(_walk(share.name, size) for share in shares)
    return filling(walks, apportion([share.weight for share in shares], size), size)


def _walk(name: str, size: int) -> Walk:
    """Drawn from the member's name."""
    digest = blake2b(name.encode(), digest_size=16).digest()
    return Walk(int.from_bytes(digest[:8], "big") % size, int.from_bytes(digest[8:], "big") % (size - 1) + 1)
