"""Counting the flows of services whose servers are chosen by them, and giving new flows out accordingly.

Rules are never kept waiting for a count: it lasts as long as looking through all flows does, up to a second at 200,000.
So a recount is in two steps. `count` may be called in another thread than the rest; `heed`, in the plane's own, takes
what was counted a few services at a time.

Invariants: what is heeded goes to the services as they are by then, so no server that is out meanwhile comes back by
it; a service that is gone meanwhile is passed over; nothing here touches the rules but through the plane.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from yaoki.lb.filling import Filled
from yaoki.lb.flow_events import FlowTable
from yaoki.lb.load import NOTHING_KNOWN, Load
from yaoki.lb.plane import is_direct
from yaoki.lb.service import ServiceKey, VirtualService
from yaoki.linux.conntrack import Conntrack, Placed
from yaoki.linux.nftables_direct import FLOWS
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, opened_name, service_name
from yaoki.linux.nftables_reader import NftablesReader

MOST_FLOWS = 262_144
"""Most entries of connection tracking that are looked at when flows are counted."""

AT_ONCE = 32
"""Services whose count is heeded in one transaction: a verdict waits for no more of them."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One service: its flows by server, and how many new ones its counter has seen in all."""

    key: ServiceKey
    flows: Mapping[Placed, int]
    opened: int


class FlowCounting:
    """The latest count of each service. As many new flows are expected until the next one as came since the last."""

    def __init__(self) -> None:
        self._loads: dict[ServiceKey, Load] = {}
        self._opened: dict[ServiceKey, int] = {}

    def load(self, key: ServiceKey) -> Load:
        """Nothing is known of a service that was not counted."""
        return self._loads.get(key, NOTHING_KNOWN)

    def counted(self, service: VirtualService, count: Counted) -> None:
        """Take the count of a service, which may have other servers by now."""
        key = service.key
        held = {(s.address, s.port): count.flows.get((key, s.address, s.port), 0) for s in service.servers}
        since = count.opened - self._opened[key] if key in self._opened else sum(held.values())
        # Below zero where the counter was made anew.
        self._loads[key], self._opened[key] = Load(held, max(0, since)), count.opened

    def keep(self, keys: Collection[ServiceKey]) -> None:
        """Forget all others."""
        self._loads = {key: load for key, load in self._loads.items() if key in keys}
        self._opened = {key: opened for key, opened in self._opened.items() if key in keys}


class Recount:
    """One count of `services` on nftables; `heed` is the plane's."""

    def __init__(self, services: Sequence[VirtualService], heed: Callable[[Sequence[Counted]], None]) -> None:
        self._services = services
        self._heed = heed
        self._counted: list[Counted] = []
        self.filled: tuple[Filled, ...] = ()
        """How full the maps of flows were that were looked at."""

    def count(self) -> None:
        """Look at all flows, in any thread. Raises ActuatorError."""
        with closing(NftablesReader()) as reader:
            opened = {name: packets for table in (TRANSLATION, DIRECT) for name, packets, _ in reader.counters(table)}
        flows: dict[ServiceKey, dict[Placed, int]] = {}
        for place, count in count_flows(self._services).items():
            flows.setdefault(place[0], {})[place] = count
        self._counted = [
            Counted(service.key, flows.get(service.key, {}), opened.get(opened_name(service.key), 0))
            for service in self._services
        ]
        self.filled = tuple(
            Filled(FlowTable.MAP, str(service.key), sum(flows.get(service.key, {}).values()), FLOWS)
            for service in filter(is_direct, self._services)
        )

    def heed(self) -> bool:
        """Give new flows out by what was counted of the next services, in the plane's thread; whether there are more.
        Raises ActuatorError."""
        some, self._counted = self._counted[:AT_ONCE], self._counted[AT_ONCE:]
        self._heed(some)
        return bool(self._counted)


def count_flows(services: Iterable[VirtualService]) -> Mapping[Placed, int]:
    """How many live flows each server of these services has on nftables. Raises ActuatorError."""
    services = tuple(services)
    translated = {service.key for service in services if not is_direct(service)}
    places = {(service.key, server.address, server.port) for service in services for server in service.servers}
    tracked: Mapping[Placed, int] = {}
    if translated:
        with closing(Conntrack()) as conntrack:
            tracked = conntrack.count(translated, most=MOST_FLOWS)
    counts = {place: count for place, count in tracked.items() if place in places}
    with closing(NftablesReader()) as reader:
        for service in filter(is_direct, services):
            elements = reader.elements(DIRECT, f"flows/{service_name(service.key)}")
            by_mac = Counter(element.value[:6] for element in elements)
            for server in service.servers:
                if server.mac is not None and (count := by_mac.pop(server.mac.octets, 0)):
                    counts[service.key, server.address, server.port] = count
    return counts
