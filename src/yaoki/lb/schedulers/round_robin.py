"""Round robin: new flows go to each server in turn, whatever the weights (0 excepted)."""

from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.service import VirtualService


def round_robin(service: VirtualService) -> Slots:
    """One slot each, in the order of the site file."""
    return Slots.one_each(Pick.IN_TURN, service.eligible)
