"""What was counted of services whose servers are chosen by the flows that they have, from one count to the next."""

from collections.abc import Iterable, Mapping

from yaoki.core.address import IPAddress
from yaoki.lb.load import NOTHING_KNOWN, Load
from yaoki.lb.service import ServiceKey, VirtualService
from yaoki.linux.nftables_names import opened_name

Placed = tuple[ServiceKey, IPAddress, int]


class FlowCounting:
    """The latest count of each service. As many new flows are expected until the next one as came since the last."""

    def __init__(self) -> None:
        self._loads: dict[ServiceKey, Load] = {}
        self._opened: dict[ServiceKey, int] = {}

    def load(self, key: ServiceKey) -> Load:
        """Nothing is known of a service that was not counted."""
        return self._loads.get(key, NOTHING_KNOWN)

    def counted(
        self, services: Iterable[VirtualService], flows: Mapping[Placed, int], opened: Mapping[str, int]
    ) -> None:
        """Take a count: `flows` of each server, `opened` by the name of a service's counter of new flows."""
        loads, totals = {}, {}
        for service in services:
            key = service.key
            held = {(s.address, s.port): flows.get((key, s.address, s.port), 0) for s in service.servers}
            total = opened.get(opened_name(key), 0)
            since = total - self._opened[key] if key in self._opened else sum(held.values())
            # Below zero where the counter was made anew.
            loads[key], totals[key] = Load(held, max(0, since)), total
        self._loads, self._opened = loads, totals
