"""Maglev hashing: a table of slots, shared among members by weight, of which a change of members moves little.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4. Each member walks
its own permutation of the slots and takes the next free one whenever it is its turn; a member's turns come in
proportion to its weight.

Invariants: the table depends on names, weights and order alone, so two nodes with equal members agree on it; every slot
is taken; each member holds its share of the slots to within one, and at least one slot.
"""

from collections.abc import Sequence
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


def maglev(shares: Sequence[Share], size: int) -> tuple[int, ...]:
    """For each of `size` (a prime) slots the index of its member. Raises ValueError without members."""
    if not shares:
        raise ValueError("nobody to give the slots to")
    walks = [_Walk(share.name, size) for share in shares]
    quota = apportion([share.weight for share in shares], size)
    largest = max(quota)
    credit = [0] * len(shares)
    slots = [-1] * size
    left = size
    while True:
        for index, walk in enumerate(walks):
            credit[index] += quota[index]
            if credit[index] < largest:
                continue
            credit[index] -= largest
            slots[walk.next_free(slots)] = index
            left -= 1
            if not left:
                return tuple(slots)


class _Walk:
    """One member's permutation: from `offset` on by steps of `skip`, both drawn from its name."""

    __slots__ = ("_position", "_size", "_skip")

    def __init__(self, name: str, size: int) -> None:
        digest = blake2b(name.encode(), digest_size=16).digest()
        self._size = size
        self._position = int.from_bytes(digest[:8], "big") % size
        self._skip = int.from_bytes(digest[8:], "big") % (size - 1) + 1

    def next_free(self, slots: list[int]) -> int:
        while slots[self._position] >= 0:
            self._position = (self._position + self._skip) % self._size
        found = self._position
        self._position = (found + self._skip) % self._size
        return found
