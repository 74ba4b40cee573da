"""The composition root of a node: where kinds that come in two halves are tied together and the process is started."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from yaoki.core.address import IPAddress
from yaoki.core.event import EventBody
from yaoki.linux import native_maglev, neighbour_cache, probe_rules
from yaoki.linux.dead_man_gate import remove_gate
from yaoki.linux.grace_periods import turn_back
from yaoki.linux.mac_rules import remove_mac_rules
from yaoki.linux.neighbours import NeighbourWatch as NeighbourWatcher
from yaoki.linux.planes import SplitBalancer
from yaoki.linux.strangers import remove_stranger_rules
from yaoki.linux.sysctl import SysctlKeeper
from yaoki.linux.vip_addresses import release_marked
from yaoki.linux.vip_delivery import accept_all
from yaoki.linux.virtual_macs import remove_virtual_macs
from yaoki.linux.ways import WayWatch
from yaoki.node.brain_messages import NeighbourFound, RouteFound
from yaoki.node.wire_messages import WireInput
from yaoki.pool import maglev
from yaoki.runtime.balancer import BalancerPlane
from yaoki.runtime.control import ControlServer
from yaoki.runtime.kernel import Kernel, ReachWatch, WireWatch
from yaoki.runtime.metrics import MetricsServer
from yaoki.runtime.node import Ending, Node, NodeOptions, Server
from yaoki.runtime.requests import Requests
from yaoki.runtime.wire import Wire
from yaoki.vrrp.neighbour_cache import NeighbourCache

CRASHES_UNTIL_GIVING_UP = 10
"""Crashes in a row after which the process ends for good; the service manager may know better."""
LONGEST_PAUSE_S = 5.0


class Reaching:
    """How servers are reached: both watches as one. Routes are followed from the first server behind a tunnel on."""

    def __init__(self, found: Callable[[NeighbourFound | RouteFound], None]) -> None:
        self._found = found
        self._near = NeighbourWatcher(lambda _, address, mac: found(NeighbourFound(address, mac)))
        self._far: WayWatch | None = None

    def watch(self, addresses: tuple[tuple[str, IPAddress], ...], routed: tuple[IPAddress, ...], /) -> None:
        self._near.watch(addresses)
        if self._far is None and routed:
            self._far = WayWatch(lambda address, way: self._found(RouteFound(address, way)))
        if self._far is not None:
            self._far.watch(routed)

    def close(self) -> None:
        self._near.close()
        if self._far is not None:
            self._far.close()


@dataclass(frozen=True)
class LinuxKernel:
    """The kernel of this machine, or of this network namespace."""

    def balancer(self, originals: Mapping[str, str], guard: Callable[[], None], /) -> BalancerPlane:
        filling = native_maglev.native_fill() or maglev.fill
        return SplitBalancer(SysctlKeeper(originals), guard=guard, filling=filling)

    def reach(self, found: Callable[[NeighbourFound | RouteFound], None], /) -> ReachWatch:
        return Reaching(found)

    def wire(self, give: Callable[[WireInput], None], tell: Callable[[EventBody], None], /) -> WireWatch:
        return Wire(give, tell)

    def neighbour_cache(self, interfaces: tuple[str, ...], /) -> NeighbourCache:
        return neighbour_cache.read(interfaces)

    def release_addresses(self, interfaces: tuple[str, ...], /) -> None:
        release_marked(interfaces)
        remove_virtual_macs()

    def cleanup(self) -> None:
        probe_rules.remove()
        remove_gate()
        accept_all()
        remove_mac_rules()
        remove_stranger_rules()
        turn_back()


GIVE_WAY_S = 0.001
"""How long a thread that computes keeps the others waiting (Python's own: 5 ms): a server that fails does not wait for
a large change that is being worked out."""


def run_node(options: NodeOptions, kernel: Kernel = LinuxKernel()) -> int:
    """Run a node until it is stopped; the exit status. A restart replaces this process by a new one of the same id."""
    sys.setswitchinterval(GIVE_WAY_S)
    python = (sys.executable, "-m")
    where = ("--node", options.node, "--run-dir", str(options.run_dir))
    node = Node(
        options,
        kernel,
        speaker=(*python, "yaoki.runtime.speaker", *where),
        worker=(*python, "yaoki.runtime.check_worker", *where),
        keeper=(*python, "yaoki.runtime.lease_keeper", *where),
        copier=(*python, "yaoki.runtime.flow_copier", *where),
    )
    requests = Requests(node)
    servers: list[Server] = [
        ControlServer(options.run_dir / "control.sock", answers=requests.answers(), streams=requests.streams())
    ]
    if options.metrics is not None:
        servers.append(MetricsServer(options.metrics, requests.picture, node.tally))
    ending = asyncio.run(node.run(servers))
    if ending is Ending.RESTART:
        _become_anew(node.journal.content.trial.crashes if node.journal.content.trial is not None else 0)
    return 0


def _become_anew(crashes: int) -> None:
    """Replace this process by a new one of the same program, id and arguments, later the more often it has crashed."""
    if crashes >= CRASHES_UNTIL_GIVING_UP:
        sys.exit(f"yaoki: the node crashed {crashes} times in a row; what is in the kernel stays")
    time.sleep(min(0.1 * crashes, LONGEST_PAUSE_S))
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line
