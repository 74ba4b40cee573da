"""What a balancer costs, every balancer in one network and one run: Yaoki's three ways, nftlb's two, HAProxy, nginx.

New connections and requests by wrk (96 connections), one bulk stream by iperf3, small datagrams without loss, and the
processor time of the whole machine for a connection. They are measured turn about, a figure of each and then the next
of each; medians. "no balancer" is what client and servers reach by themselves.

What was measured before leaves something behind for a minute, connections in TIME-WAIT and entries of connection
tracking, which others pay for. So each is warmed up, and the order changes from round to round: in as many rounds as
there are targets each follows upon every other once.

`BENCH_COLUMN=packets make bench-lb` measures one of the columns only, `BENCH_ROUNDS=16` in so many rounds.
"""

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.lb_balancers import (
    BPF,
    HAPROXY,
    IN_KERNEL,
    NAMES,
    NFTABLES_DIRECT,
    NFTABLES_NAT,
    NFTLB_DIRECT,
    NFTLB_NAT,
    NGINX,
    PLACES,
    STREAM_MODULE,
    TOOLS,
    start,
)
from bench.lb_lab import CLIENT_ADDRESS, SERVERS, Place, running
from bench.lb_load import Load, Target
from bench.row import Row
from yaoki.lab.lab import Lab

ROUNDS, QUICK_ROUNDS = 8, 1
"""As many as there are targets."""
SECONDS, QUICK_SECONDS = 2, 1
FLOOD_ROUNDS, FLOOD_S = 16, 0.3
"""Packets are counted more often and shorter: their goal is the narrowest."""
NO_BALANCER = "no balancer"


@dataclass(frozen=True, slots=True)
class Column:
    """One thing that is measured. `kernel` and `proxies` bound ours beside the best of the other balancers in the
    kernel, and beside each proxy."""

    title: str
    unit: str
    kernel: str
    proxies: str | None = None
    less_is_better: bool = False


CONNECTIONS = Column("new connections", "/s", ">= 0.95", ">= 1.4")
CPU = Column("CPU of a connection", "us", "<= 1.05", less_is_better=True)
REQUESTS = Column("requests, keep-alive", "/s", ">= 0.95", ">= 1.4")
BULK = Column("one stream", "Gbit/s", ">= 0.95")
PACKETS = Column("small packets, at most 0.1 % lost", "/s", ">= 1.05")
MEASUREMENTS = {"connections": (CONNECTIONS, CPU), "requests": (REQUESTS,), "bulk": (BULK,), "packets": (PACKETS,)}

Figures = dict[str, list[float]]
"""By the name of the balancer."""

_T = TypeVar("_T")


def rows(quick: bool) -> list[Row]:
    """Medians. Raises RuntimeError where a tool is missing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not STREAM_MODULE.exists():
        raise RuntimeError(f"missing: {', '.join(missing) or STREAM_MODULE}; `make bench-lb` installs it on Debian")
    only = os.environ.get("BENCH_COLUMN")
    with tempfile.TemporaryDirectory() as directory, running(PLACES, Path(directory)) as lab:
        start(lab)
        with closing(Load(lab)) as load:
            found: list[Row] = []
            for name, columns in MEASUREMENTS.items():
                if only in (None, name):
                    figures = _measured(load, _targets(lab), name, quick)
                    found += (row for column in columns for row in rows_of(column, figures[column]))
            return found


def _targets(lab: Lab) -> list[Target]:
    server = next(iter(SERVERS))
    alone = Target(NO_BALANCER, SERVERS[server], _mac(lab, server), CLIENT_ADDRESS, spread=True)
    return [
        alone,
        *(Target(NAMES[at], at.vip, _mac(lab, at.machine), at.client, proxy=at.rewrites_source) for at in PLACES),
    ]


def _mac(lab: Lab, machine: str) -> str:
    return str(lab.plan.port(machine, "eth0").mac)


def _measured(load: Load, targets: list[Target], name: str, quick: bool) -> dict[Column, Figures]:
    found: dict[Column, Figures] = {column: {} for column in MEASUREMENTS[name]}
    for target in targets:
        for _ in _once(load, target, name, QUICK_SECONDS):
            pass
    rounds = QUICK_ROUNDS if quick else FLOOD_ROUNDS if name == "packets" else ROUNDS
    for round_ in range(int(os.environ.get("BENCH_ROUNDS", rounds))):
        for target in in_order(targets, round_):
            for column, figure in _once(load, target, name, QUICK_SECONDS if quick else SECONDS):
                found[column].setdefault(target.name, []).append(figure)
    return found


def in_order(targets: Sequence[_T], round_: int) -> list[_T]:
    """A row of Williams' Latin square: of an even number, each follows upon every other once in as many rounds, and is
    at each place once."""
    number = len(targets)
    steps = ((place + 1) // 2 * (1 if place % 2 else -1) for place in range(number))
    return [targets[(round_ + step) % number] for step in steps]


def _once(load: Load, target: Target, name: str, seconds: int) -> Iterator[tuple[Column, float]]:
    match name:
        case "connections":
            web = load.web(target, seconds, keep=False)
            yield from ((CONNECTIONS, web.per_second), (CPU, web.cpu_us))
        case "requests":
            yield REQUESTS, load.web(target, seconds, keep=True).per_second
        case "bulk":
            yield BULK, load.bulk(target, seconds)
        case "packets":
            if target.name != NAMES[HAPROXY]:  # it forwards no UDP
                yield PACKETS, load.packets(target, FLOOD_S)
        case _:
            raise ValueError(f"nobody knows how to measure {name}")


def rows_of(column: Column, figures: Figures) -> Iterator[Row]:
    """Ours by BPF beside everybody; then our other ways beside nftlb's."""
    median = {name: statistics.median(taken) for name, taken in figures.items()}
    names = [NAMES[at] for at in IN_KERNEL]
    best = (min if column.less_is_better else max)(names, key=median.__getitem__)
    yield _beside(column, median, BPF, best, column.kernel)
    for at in (NFTLB_DIRECT, NFTLB_NAT, HAPROXY, NGINX):
        if NAMES[at] in median:
            yield _beside(column, median, BPF, NAMES[at], column.proxies if at in (HAPROXY, NGINX) else None)
    yield _beside(column, median, BPF, NO_BALANCER, None)
    yield _beside(column, median, NFTABLES_DIRECT, NAMES[NFTLB_DIRECT], None)
    yield _beside(column, median, NFTABLES_NAT, NAMES[NFTLB_NAT], None)


def _beside(column: Column, median: dict[str, float], ours: Place, peer: str, goal: str | None) -> Row:
    name = NAMES[ours]
    return Row(f"{column.title}: {name}", median[name], column.unit, median[peer], peer, goal)
