"""Weighted round robin: turns in proportion to weight, interleaved smoothly, so that a heavy server gets no burst.

The order is that of nginx's smooth weighted round robin: each turn raises everybody's score by its weight, the highest
score wins and pays the sum of the weights.

Invariants: weights in a ratio of small integers (1000 to 500) are kept exactly with as few slots as the ratio needs;
others are rounded to `RESOLUTION` slots; everybody gets at least one.
"""

from math import gcd

from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.service import VirtualService
from yaoki.pool.apportion import apportion

RESOLUTION = 256
"""Most slots that weights are given, unless there are more servers than that: shares are right to 0.4 per cent."""


def weighted_round_robin(service: VirtualService) -> Slots:
    """The servers' turns, smoothly interleaved."""
    eligible = service.eligible
    turns = turns_of(tuple(server.weight for server in eligible))
    return Slots(Pick.IN_TURN, eligible, tuple(interleaved(turns)))


def turns_of(weights: tuple[int, ...]) -> tuple[int, ...]:
    """How many slots each weight gets: its ratio in lowest terms, or that rounded to RESOLUTION slots in all."""
    divisor = gcd(*weights)
    lowest = tuple(weight // divisor for weight in weights)
    if sum(lowest) <= RESOLUTION:
        return lowest
    return apportion(lowest, max(RESOLUTION, len(lowest)))


def interleaved(turns: tuple[int, ...]) -> list[int]:
    """Indices, each as often as its turns say, spread as evenly as can be."""
    if all(count == 1 for count in turns):
        return list(range(len(turns)))
    total = sum(turns)
    score = [0] * len(turns)
    order = []
    for _ in range(total):
        for index, count in enumerate(turns):
            score[index] += count
        winner = max(range(len(turns)), key=score.__getitem__)
        score[winner] -= total
        order.append(winner)
    return order
