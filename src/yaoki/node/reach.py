"""How real servers are reached that answer clients themselves: the MACs of those beside the node, the ways to those
across routers.

Invariants: what is gone is kept, for whether a server lives is for its checks to say; after a restart what the balancer
plane had is known.
"""

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import EventBody
from yaoki.lb.service import Desired, Way
from yaoki.node.brain_events import NeighbourResolved, WayFound
from yaoki.node.brain_messages import NeighbourFound, RouteFound, WatchNeighbours


class Reach:
    """What is known, and what is watched."""

    def __init__(self) -> None:
        self.macs: dict[IPAddress, MacAddress] = {}
        self.ways: dict[IPAddress, Way] = {}
        self._watched = WatchNeighbours(())

    def adopt(self, found: Desired) -> None:
        """Begin with what the balancer plane has."""
        servers = [server for service in found.services for server in service.servers]
        self.macs = {server.address: server.mac for server in servers if server.mac is not None}
        self.ways = {server.address: server.way for server in servers if server.way is not None}

    def watch(self, wanted: WatchNeighbours) -> list[WatchNeighbours]:
        """Ask for what is wanted, unless that is watched already."""
        if wanted == self._watched:
            return []
        self._watched = wanted
        return [wanted]

    def hear(self, found: NeighbourFound | RouteFound) -> EventBody | None:
        """What there is to tell of it; None: nothing new."""
        match found:
            case NeighbourFound(address, mac):
                before = self.macs.get(address)
                if mac is None or mac == before:
                    return None
                self.macs[address] = mac
                return NeighbourResolved(address, mac, before)
            case RouteFound(address, way):
                if way is None or way == self.ways.get(address):
                    return None
                self.ways[address] = way
                return WayFound(address, way.interface, way.next_hop, way.mac, way.source, way.mtu)
