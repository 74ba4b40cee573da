"""What failures cost where a VIP is owned by lease, in three real etcd: examples/lease-pair with leases of three spans.

A successor waits until the lease that it saw renewed last is over, so an outage depends on when within the renewals the
owner died; the figure is the longest of all runs, and the goal 1.1 times the lease. Where only its processes die or
hang, the owner's kernel serves until the lease is over, and of a hang it is the longest gap: the owner comes back to
its place within the run. Every row says for how long two nodes answered for the VIP, and a run that is void counts
there, too, if they did.

Of the store etcd1 leads, which is seen to before each fault. Leases shorter than the default do not outlast an election
of the store's leader, so there only the owner dies. Where it dies with that leader there is no goal: the two members
that are left may have to vote twice, and until they have a leader nobody can take anything.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bench.row import Row
from yaoki.election.lease_params import DEFAULT_DURATION, longest_takeover
from yaoki.lab import row as lab
from yaoki.lab.catalogue import Scenario, catalogue
from yaoki.lab.fault import Fault, HangNode, PowerOffTogether
from yaoki.lab.injector import Injector
from yaoki.lab.lab import Lab
from yaoki.lab.namespaces import inside, run
from yaoki.lab.plays.roles import store_members
from yaoki.lab.probes.process import ProbeLost
from yaoki.lab.probes.targets import ProbeKind
from yaoki.lab.run import rehearse
from yaoki.lab.software import NodeSoftware
from yaoki.site.load import load_site
from yaoki.site.units import duration_text

EXAMPLE = Path(__file__).parents[1] / "examples/lease-pair/site.yaml"
DURATIONS = (DEFAULT_DURATION, timedelta(milliseconds=500), timedelta(milliseconds=250))
TAKEOVERS = ("lb1-kill-all", "lb1-hang-all", "lb1-power-off")
WITH_LEADER = "lb1-and-etcd1-off"
UNTOUCHED = ("lb2-power-off", "etcd3-power-off", "front-partition")
LEADER_OFF = "etcd1-power-off"
NOBODY = "store-majority-off"
LEADER = "etcd1"
AFTER_MOVE_S = 1.0
"""Until the store goes on as before it had another leader."""
RUNS = 5
RETRIES = 2
_MS = timedelta(milliseconds=1)


def rows(quick: bool) -> list[Row]:
    """Per duration and scenario: the longest outage, or the most that was lost, and the time with two owners."""
    found: list[Row] = []
    for duration in DURATIONS[:1] if quick else DURATIONS:
        names = (TAKEOVERS[0], UNTOUCHED[-1]) if quick else _scenarios(duration)
        measured = _measured(duration, names, 1 if quick else RUNS)
        for name in names:
            found += _rows(name, duration, measured.get(name, []))
    return found


def _scenarios(duration: timedelta) -> tuple[str, ...]:
    if duration < DEFAULT_DURATION:
        return (*TAKEOVERS, *UNTOUCHED)
    return (*TAKEOVERS, WITH_LEADER, *UNTOUCHED, LEADER_OFF, NOBODY)


def _measured(duration: timedelta, names: tuple[str, ...], runs: int) -> dict[str, list[lab.Row]]:
    """The rows of every run that was not void, or had two owners, by scenario."""
    found: dict[str, list[lab.Row]] = {}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "site.yaml"
        lease = f"election: lease\n    lease-duration: {duration_text(duration)}\n    acknowledge: [store-gap]\n"
        file.write_text(EXAMPLE.read_text().replace("election: lease\n", lease).replace("lease-pair", "bench-lease"))
        site = load_site(file).site
        known = {scenario.name: scenario for scenario in catalogue(site)}
        known[WITH_LEADER] = Scenario(WITH_LEADER, PowerOffTogether(("lb1", LEADER)))
        for name in names:
            scenarios = [_lasting(known[name], duration)] * runs
            try:
                done = rehearse(site, file, scenarios, injector=LeaderFirst, retries=RETRIES)
            except ProbeLost as error:
                print(f"{name}, lease of {duration_text(duration)}: {error}", file=sys.stderr, flush=True)
                continue
            found[name] = [row for row in done if row.void is None or row.split]
            for row in done:
                figure = f"void: {row.void}" if row.void else f"{_gap_ms(row):.1f} ms, {_lost(row)} lost"
                print(f"{name}, lease of {duration_text(duration)}: {figure}", file=sys.stderr, flush=True)
    return found


class LeaderFirst(Injector):
    """Before anything breaks, etcd1 is made the leader of the store."""

    def __init__(self, where: Lab, software: NodeSoftware) -> None:
        super().__init__(where, software)
        self._where = where

    def inject(self, fault: Fault) -> None:
        leads = {machine: self._status(machine) for machine in store_members(self._where.site)}
        if not leads[LEADER].leads:
            leader = next(machine for machine, status in leads.items() if status.leads)
            self._etcdctl(leader, "move-leader", leads[LEADER].member)
            time.sleep(AFTER_MOVE_S)
        super().inject(fault)

    def _status(self, machine: str) -> "_Status":
        # As `etcdctl` prints it: endpoint, member, version, size of its data, whether it leads, ...
        _, member, _, _, leads, *_ = self._etcdctl(machine, "endpoint", "status").split(", ")
        return _Status(member, leads == "true")

    def _etcdctl(self, machine: str, *words: str) -> str:
        return run(inside(self._where.namespace(machine), ["env", "ETCDCTL_API=3", "etcdctl", *words]))


@dataclass(frozen=True, slots=True)
class _Status:
    member: str
    leads: bool


def _lasting(scenario: Scenario, duration: timedelta) -> Scenario:
    """A hang has to outlast the takeover."""
    if not isinstance(scenario.fault, HangNode):
        return scenario
    return replace(scenario, fault=replace(scenario.fault, lasts=max(timedelta(seconds=1), 2 * duration)))


def _rows(name: str, duration: timedelta, runs: list[lab.Row]) -> Iterator[Row]:
    """With no run that counts, rows without a figure; of void runs only their two owners count."""
    title = f"{name}, lease of {duration_text(duration)}"
    counted = [row for row in runs if row.void is None]
    of = f"of {len(counted)} run{'' if len(counted) == 1 else 's'}"
    if name in (*TAKEOVERS, WITH_LEADER):
        goal = None if name == WITH_LEADER else f"<= {longest_takeover(duration) / _MS:g}"
        yield Row(f"{title}: longest outage {of}", max(map(_gap_ms, counted), default=None), "ms", goal=goal)
    elif name != NOBODY:
        yield Row(f"{title}: most lost {of}", max(map(_lost, counted), default=None), "packets", goal="<= 0")
    two = max((vip.longest_ms for row in runs for vip in row.vips), default=None)
    yield Row(f"{title}: longest time with two owners {of}", two, "ms", goal="<= 0")


def _gap_ms(row: lab.Row) -> float:
    """By the probes at 1 kHz: others fail for whole periods of theirs."""
    fast = [figures.outage.longest_gap_ms for figures in row.probes if figures.target.kind is ProbeKind.UDP]
    return max(fast, default=0.0)


def _lost(row: lab.Row) -> int:
    return max((figures.outage.lost for figures in row.probes), default=0)
