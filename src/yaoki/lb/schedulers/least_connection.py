"""Least connection: a new flow goes to the server with the fewest; by weight, with the fewest for its weight.

Compared is what each would have with the new flow, (flows + 1) / weight, so that of idle servers the heavier ones are
first.
"""

from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.service import VirtualService


def least_connection(service: VirtualService) -> Slots:
    """One slot each; the weights that count are in `yaoki.lb.load.weight_of`."""
    return Slots.one_each(Pick.LEAST, service.eligible)
