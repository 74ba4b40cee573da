"""What failures and planned moves of a VIP's owner cost, Yaoki beside Debian's keepalived in the same lab and run.

Each scenario is run with either software, priorities 150 and 100, at fixed phases of the advertisement interval, the
same for both, because an outage depends on its phase by a whole interval. A run's outage is that of its worst probe at
1 kHz (IPv4 and IPv6), its losses are those of all probes, its owners come from the observer that asks who answers for
the VIP, until what was broken is back. An outage of 0 with two owners is no success: both nodes answer until somebody
ends it. Every row says how many runs counted; where none did, or the peer's figure is missing to be compared with, the
row is there all the same, and its goal is missed.

VIPs that are owned by lease follow (`bench/vip_lease.py`); keepalived has no such thing.

`BENCH_INTERVAL_MS=100 make bench-vip` measures one of the intervals only, and no lease: a third of the time.
"""

import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bench import vip_lease
from bench.row import Row
from yaoki.lab import row as lab
from yaoki.lab.catalogue import Scenario, catalogue
from yaoki.lab.fault import HangNode
from yaoki.lab.peers_keepalived import Keepalived
from yaoki.lab.probes.process import ProbeLost
from yaoki.lab.probes.targets import ProbeKind
from yaoki.lab.run import rehearse
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site

LINK_DOWN = "lb1-eth0-cut"
PLANNED = ("lb1-stop", "lb1-failback", "lb1-kill-main")
PROCESS_FAULTS = ("lb1-kill-speaker", "lb1-kill-all", "lb1-hang-speaker", "lb1-hang-all")
HEAL = "front-heal"
SCENARIOS = (LINK_DOWN, *PLANNED, *PROCESS_FAULTS, HEAL)
QUICK_SCENARIOS = (LINK_DOWN, "lb1-stop")
INTERVALS_MS = (1000, 100, 10)
ONLY = "BENCH_INTERVAL_MS"
PEER = "keepalived"
RUNS = 5
LINK_DOWN_RUNS = 11
"""Equal products miss "ratio of medians <= 1.05" by chance far less often in 11 runs at fixed phases than in 5."""
PROCESS_GOAL_MS = {100: 75, 10: 16}
RETRIES = 1
"""Of a void run; a product under which the machine is late for whole seconds would take all night."""
HANG_ADVERTISEMENTS = 6
SHORTEST_HANG = timedelta(seconds=1)

SITE = """\
version: 1
site: bench-vip
networks:
  front: {{prefixes: [192.0.2.0/24, "2001:db8:1::/64"], gateway: router}}
  clients: {{prefixes: [198.51.100.0/24, "2001:db8:2::/64"], gateway: router}}
{second_network}\
nodes:
  lb1:
    interfaces:
      eth0: {{network: front, addresses: [192.0.2.11, "2001:db8:1::11"]}}
{second_1}\
  lb2:
    interfaces:
      eth0: {{network: front, addresses: [192.0.2.12, "2001:db8:1::12"]}}
{second_2}\
hosts:
  router:
    forwards: true
    interfaces:
      eth0: {{network: front, addresses: [192.0.2.1, "2001:db8:1::1"]}}
      eth1: {{network: clients, addresses: [198.51.100.1, "2001:db8:2::1"]}}
  quiet: {{interfaces: {{eth0: {{network: front, addresses: [192.0.2.99, "2001:db8:1::99"]}}}}}}
  alice:
    plays: [client]
    interfaces: {{eth0: {{network: clients, addresses: [198.51.100.9, "2001:db8:2::9"]}}}}
vips:
  vip:
    network: front
    addresses: [192.0.2.50, "2001:db8:1::50"]
    vrid: 51
    advertise: {interval_ms}ms
    members: {{lb1: {{priority: 150}}, lb2: {{priority: 100}}}}
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one scenario: milliseconds, and the probe items that were lost."""

    outage: float
    lost: int
    two_owners: float


class Phases:
    """Gives each run of a scenario its phase: the middles of equal parts of the interval, one after another."""

    def __init__(self, interval: timedelta, runs: Counter[str]) -> None:
        self._interval = interval
        self._runs = runs
        self._done: Counter[str] = Counter()

    def __call__(self, scenario: Scenario) -> timedelta:
        number = self._done[scenario.name] % self._runs[scenario.name]
        self._done[scenario.name] += 1
        return self._interval * (2 * number + 1) / (2 * self._runs[scenario.name])


def rows(quick: bool) -> list[Row]:
    """Per interval and scenario: the outage, and the time with two owners, ours beside keepalived's."""
    found: list[Row] = []
    for interval_ms in (100,) if quick else _intervals_ms():
        wanted = Counter(dict.fromkeys(QUICK_SCENARIOS, 1)) if quick else Counter(dict.fromkeys(SCENARIOS, RUNS))
        if not quick:
            wanted[LINK_DOWN] = LINK_DOWN_RUNS
        ours = measured(Yaoki, interval_ms, wanted)
        theirs = measured(Keepalived, interval_ms, wanted)
        for name in wanted:
            found += _rows(name, interval_ms, ours.get(name, []), theirs.get(name, []))
        if not quick:
            second = measured(Yaoki, interval_ms, Counter({LINK_DOWN: LINK_DOWN_RUNS}), second_path=True)
            title = f"{LINK_DOWN} with a second path, {interval_ms} ms: outage"
            found.append(_median_row(title, second.get(LINK_DOWN, []), theirs.get(LINK_DOWN, []), goal="<= 0.2"))
    return found if ONLY in os.environ else [*found, *vip_lease.rows(quick)]


def _intervals_ms() -> tuple[int, ...]:
    only = os.environ.get(ONLY)
    return INTERVALS_MS if only is None else (int(only),)


def measured(
    software: type[Yaoki] | type[Keepalived], interval_ms: int, runs: Counter[str], *, second_path: bool = False
) -> dict[str, list[Figures]]:
    """The figures of every run that was not void, by scenario."""
    found: dict[str, list[Figures]] = {}
    interval = timedelta(milliseconds=interval_ms)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "site.yaml"
        file.write_text(_site(interval_ms, second_path=second_path))
        site = load_site(file).site
        known = {scenario.name: scenario for scenario in catalogue(site)}
        who = f"{software.__name__}, {interval_ms} ms{', second path' if second_path else ''}"
        for name, number in runs.items():
            # A lab for each scenario: what one of them does to a machine says nothing of the others.
            scenarios = [_shortened(known[name], interval)] * number
            phases = Phases(interval, runs)
            try:
                done = rehearse(
                    site, file, scenarios, software=software, phase=phases, retries=RETRIES, watcher=Progress(who)
                )
            except ProbeLost as error:
                print(f"{who}: {name} cannot be measured: {error}", file=sys.stderr, flush=True)
                continue
            if figures := [_figures(row) for row in done if row.void is None]:
                found[name] = figures
    return found


class Progress:
    """Says on stderr how the runs go: all of them take long."""

    def __init__(self, who: str) -> None:
        self._who = who

    def begins(self, number: int, total: int, expected: lab.Expectation) -> None:
        self._say(f"{number}/{total} {expected.scenario.name}")

    def void(self, row: lab.Row) -> None:
        self._say(f"  again: {row.void}")

    def ended(self, row: lab.Row) -> None:
        figures = _figures(row)
        self._say(f"  void: {row.void}" if row.void else f"  {figures.outage:.1f} ms, {figures.lost} lost")

    def _say(self, what: str) -> None:
        print(f"{self._who}: {what}", file=sys.stderr, flush=True)


def _site(interval_ms: int, *, second_path: bool) -> str:
    second = '      eth1: {{network: between, addresses: [203.0.113.{n}, "2001:db8:3::{n}"]}}\n'
    return SITE.format(
        interval_ms=interval_ms,
        second_network='  between: {prefixes: [203.0.113.0/24, "2001:db8:3::/64"]}\n' if second_path else "",
        second_1=second.format(n=11) if second_path else "",
        second_2=second.format(n=12) if second_path else "",
    )


def _shortened(scenario: Scenario, interval: timedelta) -> Scenario:
    """A hang only has to outlast the election that it brings about."""
    if not isinstance(scenario.fault, HangNode):
        return scenario
    return replace(scenario, fault=replace(scenario.fault, lasts=max(SHORTEST_HANG, HANG_ADVERTISEMENTS * interval)))


def _figures(row: lab.Row) -> Figures:
    # Requests come every 10 ms: two of them that fail are 20 ms, however short the outage was.
    fast = [figures.outage.outage_ms for figures in row.probes if figures.target.kind is ProbeKind.UDP]
    lost = [figures.outage.lost for figures in row.probes]
    return Figures(max(fast, default=0.0), max(lost, default=0), max((vip.longest_ms for vip in row.vips), default=0.0))


def _rows(name: str, interval_ms: int, ours: list[Figures], theirs: list[Figures]) -> Iterator[Row]:
    title = f"{name}, {interval_ms} ms"
    if name == LINK_DOWN:
        yield _median_row(f"{title}: outage", ours, theirs, goal="<= 1.05")
    elif name in PLANNED:
        lost = "most packets lost"
        yield _most_row(f"{title}: {lost}", [f.lost for f in ours], [f.lost for f in theirs], "packets")
    else:
        goal_ms = 2 if name == HEAL else PROCESS_GOAL_MS.get(interval_ms)
        yield _median_row(f"{title}: outage", ours, theirs, goal=None if goal_ms is None else f"ours <= {goal_ms}")
    if name in PROCESS_FAULTS:
        two = "longest time with two owners"
        yield _most_row(f"{title}: {two}", [f.two_owners for f in ours], [f.two_owners for f in theirs], "ms")


def _median_row(title: str, ours: list[Figures], theirs: list[Figures], *, goal: str | None) -> Row:
    """Medians, with the longest in the title."""
    longest = " / ".join("-" if not runs else f"{max(f.outage for f in runs):.0f}" for runs in (ours, theirs))
    title = f"{title} (max {longest}; {_runs(ours, theirs)})"
    return Row(title, _middle(ours), "ms", peer=_middle(theirs), peer_name=PEER, goal=goal)


def _most_row(title: str, ours: list[float] | list[int], theirs: list[float] | list[int], unit: str) -> Row:
    """The worst of all runs; ours has to be nothing."""
    most, peer = max(ours, default=None), max(theirs, default=None)
    return Row(f"{title} ({_runs(ours, theirs)})", most, unit, peer=peer, peer_name=PEER, goal="ours <= 0")


def _runs(ours: Sized, theirs: Sized) -> str:
    """How many runs counted: those that were not void."""
    return f"{len(ours)} / {len(theirs)} runs"


def _middle(figures: list[Figures]) -> float | None:
    return statistics.median(f.outage for f in figures) if figures else None
