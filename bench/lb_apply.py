"""Virtual services put into the kernel: 1,000 of 20 real servers each, then one server dead, one service changed.

The peer is `nft -f` of text that somebody wrote by hand for the same services: the same maps, chains, rules and named
counters, without anything that would tell a restarted program what is there. Ours begins with the wish
(yaoki.lb.service.Desired), so it includes planning and rendering. `compile and apply` begins earlier, with the site as
it was read from the file, and has all that a node does until the kernel has it: the compilation for itself, what its
Brain makes of that, and applying (`make bench-site` measures reading and lint). Both run in one network namespace of
their own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address

from bench.pair_site import pair_site, prepared, wish
from bench.row import Row, median_of
from yaoki.core.address import MacAddress
from yaoki.lb.service import Desired, Duty, Forward, Protocol, RealServer, Scheduler, ServiceKey, VirtualService
from yaoki.linux import native_maglev
from yaoki.linux.balancer import NftablesBalancer
from yaoki.linux.bpf.plane import BpfBalancer
from yaoki.pool.maglev import fill
from yaoki.site.allocation import collector_paused
from yaoki.site.model import Site

SERVICES, SERVERS = 1000, 20
TIMEOUT_S = 600
VIP = IPv4Address("192.0.2.50")
FIRST_PORT = 1000

GOALS = {"all": "ours <= 2", "site": "<= 2", "server": "<= 1.2", "service": "<= 1.2"}


def rows(quick: bool) -> list[Row]:
    """Seconds by the wall clock, medians."""
    size = f"{SERVICES:,} services x {SERVERS} servers"
    words = {
        "all": f"apply {size}",
        "site": f"compile and apply {size}",
        "server": "one server of these dies",
        "service": "one service of these changes",
    }
    found = _inside("nat", 1 if quick else 5)
    direct = {} if quick else _inside("direct", 5)
    bpf = _inside("direct", 1 if quick else 5, plane="bpf")
    maglev = _inside("direct", 1 if quick else 5, plane="bpf", scheduler=Scheduler.MAGLEV)
    return [
        *(_beside(f"nat: {words[name]}", name, *found[name]) for name in words),
        Row("nat: a restarted node finds them", found["observe"][0], "s"),
        *(Row(f"direct: {words[name]}", direct[name][0], "s", goal=_alone(name)) for name in words if direct),
        *(Row(f"direct, BPF: {words[name]}", bpf[name][0], "s", goal=_alone(name)) for name in words),
        Row("direct, BPF: a restarted node finds them", bpf["observe"][0], "s"),
        *(Row(f"direct, BPF, maglev: {words[name]}", maglev[name][0], "s", goal=_alone(name)) for name in words),
        Row("direct, BPF, maglev: a restarted node finds them", maglev["observe"][0], "s"),
    ]


def _alone(name: str) -> str | None:
    """The goal of a step without a peer."""
    return "<= 2" if name in ("all", "site") else None


def _beside(row: str, name: str, ours: float, theirs: float) -> Row:
    """A step of ours beside the peer's, if it has such a step."""
    return Row(row, ours, "s", theirs or None, "nft -f" if theirs else None, GOALS[name])


def _inside(
    forward: str, runs: int, *, plane: str = "nftables", scheduler: Scheduler = Scheduler.WEIGHTED_ROUND_ROBIN
) -> dict[str, tuple[float, float]]:
    command = ["unshare", "--net", sys.executable, "-m", "bench.lb_apply", forward, str(runs), plane, scheduler.value]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    result: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return result


def measure(forward: Forward, runs: int, plane: str, scheduler: Scheduler) -> dict[str, tuple[float, float]]:
    """Ours and the peer's for each step, turn about; the peer's is 0 where it has none."""
    subprocess.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"], check=True)
    everything = [replace(service, scheduler=scheduler) for service in many_services(forward)]
    dead = replace(everything[7].servers[3], duty=Duty.OUT, weight=0)
    wishes = {
        "all": everything,
        "server": _with(everything, replace(everything[7], servers=replaced(everything[7], 3, dead))),
        "service": _with(everything, replace(everything[7], servers=everything[7].servers[:10])),
    }
    filling = native_maglev.native_fill() or fill
    site = pair_site(everything)
    ours: dict[str, list[float]] = {name: [] for name in ("site", *wishes, "observe")}
    theirs: dict[str, list[float]] = {name: [] for name in wishes}
    for _ in range(runs):
        make = partial(BpfBalancer if plane == "bpf" else NftablesBalancer, filling=filling)
        ours["site"].append(_compiled_and_applied(site, everything, make()))
        balancer = make()
        for name, services in wishes.items():
            ours[name].append(_seconds(partial(balancer.converge, Desired(tuple(services)))))
        ours["observe"].append(_seconds(make().observe))
        balancer.cleanup()
        if forward is Forward.NAT:
            for name, text in _by_hand(everything):
                theirs[name].append(_seconds(partial(_nft, text)))
            _nft("delete table inet byhand\n")
    return {name: (_median(taken), _median(theirs.get(name, []))) for name, taken in ours.items()}


def _compiled_and_applied(
    site: Site, services: list[VirtualService], balancer: BpfBalancer | NftablesBalancer
) -> float:
    brain = prepared(site, services)
    taken = _seconds(lambda: balancer.converge(wish(site, brain)))
    assert [found.service for found in balancer.known().services] == services
    balancer.cleanup()
    return taken


def many_services(forward: Forward) -> list[VirtualService]:
    """SERVICES of SERVERS each, on one address."""
    return [_service(number, forward) for number in range(SERVICES)]


def replaced(service: VirtualService, index: int, server: RealServer) -> tuple[RealServer, ...]:
    """The servers of a service with another one in the place of one."""
    return (*service.servers[:index], server, *service.servers[index + 1 :])


def _service(number: int, forward: Forward) -> VirtualService:
    port = FIRST_PORT + number
    return VirtualService(
        f"service{number}",
        ServiceKey(VIP, Protocol.TCP, port),
        interface="eth0",
        scheduler=Scheduler.WEIGHTED_ROUND_ROBIN,
        servers=tuple(_server(index, port, forward) for index in range(SERVERS)),
    )


def _server(index: int, port: int, forward: Forward) -> RealServer:
    direct = forward is Forward.DIRECT
    mac = MacAddress(bytes((2, 0, 0, 0, 0, index + 1))) if direct else None
    return RealServer(f"web{index}", _address(index), port if direct else 80, forward, 1000, Duty.SERVE, mac)


def _address(index: int) -> IPv4Address:
    return IPv4Address("198.51.100.1") + index


def _with(everything: list[VirtualService], changed: VirtualService) -> list[VirtualService]:
    return [changed if service.key == changed.key else service for service in everything]


def _by_hand(everything: list[VirtualService]) -> Iterator[tuple[str, str]]:
    """The peer's text for each step."""
    yield "all", "\n".join(_whole(everything)) + "\n"
    for name, servers in (("server", [*range(3), *range(4, SERVERS)]), ("service", range(10))):
        chain = f"s{everything[7].key.port}"
        yield name, f"flush chain inet byhand {chain}\nadd rule inet byhand {chain} {_dnat(servers)}\n"


def _whole(everything: list[VirtualService]) -> Iterator[str]:
    flow = "ipv4_addr . inet_service . ipv4_addr . inet_service"
    known = "ct original ip daddr . ct original proto-dst . ct reply ip saddr . ct reply proto-src"
    yield "table inet byhand {"
    yield " map services { type ipv4_addr . inet_proto . inet_service : verdict; }"
    yield f" map counters {{ type {flow} : counter; }}"
    yield " chain prerouting {"
    yield "  type nat hook prerouting priority dstnat;"
    yield "  ip daddr . meta l4proto . th dport vmap @services"
    yield " }"
    yield " chain account {"
    yield "  type filter hook prerouting priority dstnat + 10;"
    yield f"  ct status dnat ct direction original meta l4proto tcp counter name {known} map @counters"
    yield " }"
    for service in everything:
        port = service.key.port
        yield from (f" counter s{port}-{index} {{ }}" for index in range(SERVERS))
        yield f" chain s{port} {{"
        yield f"  {_dnat(range(SERVERS))}"
        yield " }"
    yield "}"
    for service in everything:
        port = service.key.port
        yield f"add element inet byhand services {{ {VIP} . tcp . {port} : goto s{port} }}"
        counted = (f'{VIP} . {port} . {_address(index)} . 80 : "s{port}-{index}"' for index in range(SERVERS))
        yield f"add element inet byhand counters {{ {', '.join(counted)} }}"


def _dnat(servers: "range | list[int]") -> str:
    slots = ", ".join(f"{slot} : {_address(index)} . 80" for slot, index in enumerate(servers))
    return f"meta l4proto tcp dnat ip to numgen inc mod {len(servers)} map {{ {slots} }}"


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, timeout=TIMEOUT_S, check=True)


def _seconds(run: Callable[[], object]) -> float:
    """Without the cycle collector, as a node does it."""
    with collector_paused():
        began = time.perf_counter()
        run()
        return time.perf_counter() - began


def _median(taken: list[float]) -> float:
    remaining = iter(taken)
    return median_of(len(taken), lambda: next(remaining)) if taken else 0.0


if __name__ == "__main__":
    print(json.dumps(measure(Forward(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Scheduler(sys.argv[4]))))
