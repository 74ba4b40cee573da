"""Flow hash: source address and port decide, by the same table as the source hash has.

Flows of one client spread over all servers, as in turn, and yet a flow that moves to the other balancer keeps its
server without any state being copied (Eisenbud et al., "Maglev", 2016, section 3.4).
"""

from yaoki.lb.schedulers.maglev_table import maglev_table
from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.service import VirtualService
from yaoki.pool.maglev import Fill, fill


def flow_hash(service: VirtualService, filling: Fill = fill) -> Slots:
    """The slots of the table."""
    return Slots(Pick.BY_FLOW, *maglev_table(service, filling))
