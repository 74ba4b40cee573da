"""What the node process needs of the kernel, as yaoki.daemon hands it over; the implementations are in yaoki.linux."""

from collections.abc import Callable, Mapping
from typing import Protocol

from yaoki.core.address import IPAddress
from yaoki.core.event import EventBody
from yaoki.node.brain_messages import NeighbourFound, RouteFound
from yaoki.node.wire_messages import WireInput, WireOrder
from yaoki.runtime.balancer import BalancerPlane
from yaoki.vrrp.neighbour_cache import NeighbourCache


class ReachWatch(Protocol):
    """Follows the MACs of some addresses, and the ways to others; runs on the node's event loop."""

    def watch(self, addresses: tuple[tuple[str, IPAddress], ...], routed: tuple[IPAddress, ...], /) -> None:
        """From now on the MACs of these (interface, address) and the ways to those; what is known already is told
        soon."""
        ...

    def close(self) -> None: ...


class WireWatch(Protocol):
    """Sees what is said of the VIPs on their interfaces, and asks; runs on the node's event loop."""

    def perform(self, order: WireOrder, /) -> None:
        """Watch other addresses from now on, or ask for one."""
        ...

    def close(self) -> None: ...


class Kernel(Protocol):
    """The kernel's side of a node process."""

    def balancer(self, originals: Mapping[str, str], guard: Callable[[], None], /) -> BalancerPlane:
        """The balancer plane; `originals` are kernel parameters as they were before an earlier life changed them.
        `guard` has the speaker look at the plane's programs; it is called on the plane's thread."""
        ...

    def reach(self, found: Callable[[NeighbourFound | RouteFound], None], /) -> ReachWatch:
        """A watch that tells `found` of each change; called on the event loop."""
        ...

    def wire(self, give: Callable[[WireInput], None], tell: Callable[[EventBody], None], /) -> WireWatch:
        """A watch that gives what it sees; `tell` is told what the kernel refuses. Called on the event loop."""
        ...

    def neighbour_cache(self, interfaces: tuple[str, ...], /) -> NeighbourCache:
        """What this machine believes of its neighbours there. Raises ActuatorError."""
        ...

    def release_addresses(self, interfaces: tuple[str, ...], /) -> None:
        """Take every address marked as ours off these interfaces; no error if there is none."""
        ...

    def cleanup(self) -> None:
        """Take away what the parts leave in the kernel beside the balancer's tables. Raises ActuatorError."""
        ...
