"""Where the simulated world's chance comes from: streams of pseudo-random numbers, all derived from one seed.

Invariant: a stream's numbers depend on its seed and name only. Faults and packets draw from different streams, so that
taking one fault out of a run does not deal all later ones anew.
"""

from collections.abc import Sequence
from random import Random  # noqa: TID251 - the one place where chance enters a world, by its seed
from typing import TypeVar

ItemT = TypeVar("ItemT")


class Chance:
    """One stream of chance. `fraction()` is uniform in [0, 1)."""

    def __init__(self, seed: int, name: str = "world") -> None:
        self.seed = seed
        self.name = name
        self._random = Random(f"{name}/{seed}")  # noqa: S311 - it has to be predictable
        self.fraction = self._random.random

    def stream(self, name: str) -> "Chance":
        """Another stream of the same seed."""
        return Chance(self.seed, name)

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.fraction() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number in low..high, both included."""
        return low + int(self.fraction() * (high - low + 1))

    def pick(self, items: Sequence[ItemT]) -> ItemT:
        """One of the items, all equally likely."""
        return items[int(self.fraction() * len(items))]

    def weighted(self, choices: Sequence[tuple[ItemT, int]]) -> ItemT:
        """One of the items, each as likely as its weight says."""
        drawn = self.fraction() * sum(weight for _, weight in choices)
        for item, weight in choices:
            drawn -= weight
            if drawn < 0:
                return item
        return choices[-1][0]

    def sample(self, items: Sequence[ItemT], count: int) -> list[ItemT]:
        """`count` different items in the order drawn."""
        return self._random.sample(items, count)
