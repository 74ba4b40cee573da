"""From a verdict to the data plane: how long one of 1,000 services goes on sending to one of its 20 servers.

Measured from the call by which a node's process hands the wish on to its balancer, until another process sees in the
kernel that the server has no part in its service any more: its flag on BPF, its slots on nftables. Then, until all that
follows is done: rings and shares as they shall be. And the same of a second server of that service, which fails at any
time while that is under way. In a network namespace of its own.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

from bench.lb_apply import SERVERS, SERVICES, many_services, replaced
from bench.row import Row
from yaoki.daemon import GIVE_WAY_S
from yaoki.lb.service import Desired, Duty, Forward, PlaneWish, Scheduler, VirtualService
from yaoki.linux import native_maglev
from yaoki.linux.bpf import installation
from yaoki.linux.bpf.layout import ServerFlag
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, slots_name
from yaoki.linux.nftables_reader import NftablesReader
from yaoki.linux.nftables_taking_out import in_octets
from yaoki.linux.planes import SplitBalancer
from yaoki.pool.maglev import fill
from yaoki.runtime.balancer import BalancerActuator

TIMEOUT_S = 600
GOAL = "<= 5"
LOOK_EVERY_S = 0.00005
SETTLED_S = 0.05
PHASES = 8
"""Of the change for the first server, at which the second fails."""
CASES = {
    "direct, BPF": (Forward.DIRECT, PlaneWish.BPF, Scheduler.WEIGHTED_ROUND_ROBIN),
    "direct, BPF, maglev": (Forward.DIRECT, PlaneWish.BPF, Scheduler.MAGLEV),
    "direct, nftables": (Forward.DIRECT, PlaneWish.NFTABLES, Scheduler.WEIGHTED_ROUND_ROBIN),
    "nat": (Forward.NAT, PlaneWish.AUTO, Scheduler.WEIGHTED_ROUND_ROBIN),
}


def rows(quick: bool) -> list[Row]:
    """Milliseconds by the wall clock, medians."""
    found = {name: _inside(name, 5 if quick else 21) for name in CASES}
    return [
        *(
            Row(f"{name}: a server is out after the verdict", times[0], "ms", goal=GOAL)
            for name, times in found.items()
        ),
        *(Row(f"{name}: all that follows is done", times[1], "ms") for name, times in found.items()),
        *(Row(f"{name}: a second one is out meanwhile", times[2], "ms", goal=GOAL) for name, times in found.items()),
        *(Row(f"{name}: the longest of these", times[3], "ms") for name, times in found.items()),
    ]


def _inside(name: str, runs: int) -> list[float]:
    command = ["unshare", "--net", sys.executable, "-m", "bench.lb_verdict", name, str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    found: list[float] = json.loads(done.stdout)
    return found


async def measure(name: str, runs: int) -> list[float]:
    """Milliseconds until a server is out, until all is done, and until a second one is out; medians, and of the last
    the longest."""
    forward, plane, scheduler = CASES[name]
    subprocess.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"], check=True)
    subprocess.run(["ip", "link", "set", "eth0", "up"], check=True)
    everything = [replace(s, plane=plane, scheduler=scheduler) for s in many_services(forward)]
    sys.setswitchinterval(GIVE_WAY_S)
    balancer = BalancerActuator(SplitBalancer(filling=native_maglev.native_fill() or fill))
    await _apply(balancer, everything)
    out, whole, second = [], [], []
    for run in range(runs):
        place, which = 7 * run % SERVICES, run % SERVERS
        wish = _without(everything, place, which)
        with closing(Watcher(name, place, which)) as watcher:
            await asyncio.sleep(SETTLED_S)
            begun = time.monotonic_ns()
            await _apply(balancer, wish)
            whole.append((time.monotonic_ns() - begun) / 1e6)
            out.append((watcher.seen_ns() - begun) / 1e6)
        await _apply(balancer, everything)
    for run in range(runs):
        place, which = 7 * run % SERVICES, run % SERVERS
        other = (which + 1) % SERVERS
        first = _without(everything, place, which)
        both = _without(first, place, other)
        with closing(Watcher(name, place, other)) as watcher:
            await asyncio.sleep(SETTLED_S)
            applying = asyncio.create_task(_apply(balancer, first))
            await asyncio.sleep(statistics.median(whole) / 1000 * (run % PHASES) / PHASES)
            begun = time.monotonic_ns()
            await balancer.take_out(Desired(tuple(both)))
            await applying
            await _apply(balancer, both)
            second.append((watcher.seen_ns() - begun) / 1e6)
        await _apply(balancer, everything)
    await balancer.cleanup()
    balancer.close()
    return [*map(statistics.median, (out, whole, second)), max(second)]


def _without(services: list[VirtualService], place: int, which: int) -> list[VirtualService]:
    """With one server of one of them dead."""
    service = services[place]
    dead = replace(service.servers[which], duty=Duty.OUT, weight=0)
    return [*services[:place], replace(service, servers=replaced(service, which, dead)), *services[place + 1 :]]


async def _apply(balancer: BalancerActuator, services: list[VirtualService]) -> None:
    finished = await balancer.apply(Desired(tuple(services)))
    assert finished.error is None, finished.error


class Watcher:
    """Another process, which looks again and again whether a server is out."""

    def __init__(self, name: str, place: int, which: int) -> None:
        command = [sys.executable, "-m", "bench.lb_verdict", "--watch", name, str(place), str(which)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def seen_ns(self) -> int:
        """When it was."""
        return int(self._line())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def watch(name: str, place: int, which: int) -> Iterator[str]:
    """A line when it is about to look, and one with the time when the server is out."""
    forward, plane, _ = CASES[name]
    service = many_services(forward)[place]
    is_in = _flag(service, which) if plane is PlaneWish.BPF else _slots(service, which)
    assert is_in(), "it is there to begin with"
    yield "looking"
    while is_in():
        time.sleep(LOOK_EVERY_S)
    yield str(time.monotonic_ns())


def _flag(service: VirtualService, which: int) -> Callable[[], bool]:
    installed = installation.find()
    assert installed is not None
    record = next(found for found in installed.records.all().values() if found.service.key == service.key)
    server = service.servers[which]
    number = record.seats[server.address, server.port].number
    tables = installed.tables
    return lambda: ServerFlag.TAKES in tables.server(number).flags


def _slots(service: VirtualService, which: int) -> Callable[[], bool]:
    table = DIRECT if service.servers[which].forward is Forward.DIRECT else TRANSLATION
    octets, name = in_octets(table, service.servers[which]), slots_name(service.key)
    reader = NftablesReader()
    return lambda: any(each.value.startswith(octets) for each in reader.elements(table, name))


if __name__ == "__main__":
    if sys.argv[1] == "--watch":
        for line in watch(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])):
            print(line, flush=True)
    else:
        print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
