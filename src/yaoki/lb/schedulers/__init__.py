"""How a new flow gets its server: one file per scheduler, and the table of all of them.

A scheduler turns the eligible servers of a service into slots; a plane hands out slots in turn, by a hash of the
flow's source address or by the flows that servers have, and knows nothing else of schedulers. A plane that cannot ask
how many flows a server has asks `yaoki.lb.load` for slots. Where a table has to be filled, whoever asks may have a
quicker way to do that (`yaoki.pool.maglev.Fill`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from yaoki.lb.schedulers.flow_hash import flow_hash
from yaoki.lb.schedulers.least_connection import least_connection
from yaoki.lb.schedulers.power_of_two import power_of_two
from yaoki.lb.schedulers.round_robin import round_robin
from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.schedulers.source_hash import source_hash
from yaoki.lb.schedulers.weighted_round_robin import weighted_round_robin
from yaoki.lb.service import Scheduler, VirtualService
from yaoki.pool.maglev import Fill, fill

__all__ = ["SCHEDULERS", "Pick", "Slots", "slots_of"]

_HASHING: Mapping[Scheduler, Callable[[VirtualService, Fill], Slots]] = MappingProxyType(
    {Scheduler.SOURCE_HASH: source_hash, Scheduler.MAGLEV: flow_hash}
)
SCHEDULERS: Mapping[Scheduler, Callable[[VirtualService], Slots]] = MappingProxyType(
    {
        Scheduler.ROUND_ROBIN: round_robin,
        Scheduler.WEIGHTED_ROUND_ROBIN: weighted_round_robin,
        Scheduler.SOURCE_HASH: source_hash,
        Scheduler.MAGLEV: flow_hash,
        Scheduler.LEAST_CONNECTION: least_connection,
        Scheduler.WEIGHTED_LEAST_CONNECTION: least_connection,
        Scheduler.POWER_OF_TWO: power_of_two,
    }
)


def slots_of(service: VirtualService, filling: Fill = fill) -> Slots | None:
    """The slots of a service's eligible servers; None when it has none, and new flows are refused."""
    if not any(server.eligible for server in service.servers):
        return None
    hashing = _HASHING.get(service.scheduler)
    return SCHEDULERS[service.scheduler](service) if hashing is None else hashing(service, filling)
