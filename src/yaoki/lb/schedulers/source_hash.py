"""Source hash: the source address decides, by a Maglev table, so that little moves when a server comes or goes.

All flows of a client go to one server. Both balancers of a site make the same table of the same servers: a flow that
moves to the other balancer keeps its server without any state being copied.
"""

from yaoki.lb.schedulers.maglev_table import maglev_table
from yaoki.lb.schedulers.slots import Pick, Slots
from yaoki.lb.service import VirtualService
from yaoki.pool.maglev import Fill, fill


def source_hash(service: VirtualService, filling: Fill = fill) -> Slots:
    """The slots of the table."""
    return Slots(Pick.BY_SOURCE, *maglev_table(service, filling))
