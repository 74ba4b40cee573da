"""Power of two choices: two servers are drawn by weight, and the one with fewer flows for its weight gets the new one.

Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996: nearly as even as asking everybody, for the
cost of asking two. And balancers that know little of each other do not all run to the same server.
"""

from dataclasses import replace

from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.schedulers.weighted_round_robin import weighted_round_robin
from yaoki.lb.service import VirtualService


def power_of_two(service: VirtualService) -> Slots:
    """The slots of weighted round robin, to draw from."""
    return replace(weighted_round_robin(service), pick=Pick.LESS_OF_TWO)
