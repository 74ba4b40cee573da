"""Dividing a number of slots among weights, in whole slots (the method of largest remainders, after Hamilton).

Invariants: the slots are all given out; nobody is more than one slot off its exact share, except that everybody gets at
least one: what the lightest gain by that, the heaviest give.
"""

from collections.abc import Sequence


def apportion(weights: Sequence[int], slots: int) -> tuple[int, ...]:
    """How many of `slots` each weight gets. Weights are above 0, and there are no more of them than slots."""
    if len(weights) > slots:
        raise ValueError(f"{slots} slots for {len(weights)} weights")
    total = sum(weights)
    given = [max(1, weight * slots // total) for weight in weights]
    rounded_down = (index for index, weight in enumerate(weights) if weight * slots >= total)
    by_remainder = sorted(rounded_down, key=lambda index: (-(weights[index] * slots % total), index))
    for index in by_remainder[: max(0, slots - sum(given))]:
        given[index] += 1
    while sum(given) > slots:
        given[max(range(len(given)), key=given.__getitem__)] -= 1
    return tuple(given)
