"""Many simulated worlds of one site or of several: what they met, what broke, and from which seed to go on."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from yaoki.cli.output import Paint, print_json, talk
from yaoki.cli.sim_failure import failure_as_json, print_failure, replay
from yaoki.sim.campaign import HOUR_US, Outcome
from yaoki.sim.dealing import deal
from yaoki.sim.invariants import INVARIANTS
from yaoki.sim.schedule import Pace
from yaoki.sim.shrinking import shrink
from yaoki.sim.topology import Topology

MAX_SEEDS = 1_000_000
DEFAULT_SEEDS = 100
PROGRESS_EVERY_S = 5.0
MAX_FAILURES_SHRUNK = 3
"""Failing seeds that are made smaller and printed in full; of the others only the command is."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A site by its file (None: the built-in one)."""

    path: Path | None
    shape: Topology

    @property
    def name(self) -> str:
        return "built-in" if self.path is None else str(self.path)


@dataclass(slots=True)
class _Totals:
    """What has been done so far. `cpu_s` adds up what the worlds took, each in its own process; `next_seed` is the
    first that no site has used."""

    next_seed: int
    seeds: int = 0
    simulated_us: int = 0
    cpu_s: float = 0.0
    failures: int = 0
    kinds: dict[str, int] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.next_seed = max(self.next_seed, outcome.seed + 1)
        self.simulated_us += outcome.simulated_us
        self.cpu_s += outcome.took_s
        self.failures += outcome.broken is not None
        for kind, count in outcome.kinds:
            self.kinds[kind] = self.kinds.get(kind, 0) + count

    @property
    def faults(self) -> int:
        return sum(self.kinds.values())

    @property
    def hours(self) -> float:
        return self.simulated_us / HOUR_US

    def per_minute(self, count: float) -> float:
        """Of one process."""
        return count * 60 / max(self.cpu_s, 1e-9)


class Campaign:
    """As the command's arguments have it."""

    def __init__(self, sites: Sequence[Simulated], args: argparse.Namespace, pace: Pace) -> None:
        self._sites = sites
        self._args = args
        self._pace = pace
        self._until_us = int(args.hours * HOUR_US)
        self._seeds: int | None = None if args.until_faults else args.seeds or DEFAULT_SEEDS
        self._jobs: int = args.jobs or os.cpu_count() or 1
        if self._seeds is not None:
            self._jobs = min(self._jobs, self._seeds * len(sites))
        self._all = _Totals(args.first)
        self._each = [_Totals(args.first) for _ in sites]
        self._failed: list[tuple[Simulated, Outcome]] = []
        self._began = self._told_at = perf_counter()

    def run(self) -> int:
        """Run it, and print what was found; of one that is interrupted, too."""
        try:
            self._run()
        except KeyboardInterrupt:
            talk("interrupted")
            self._print()
            raise
        self._print()
        return int(bool(self._failed))

    def _run(self) -> None:
        args = self._args
        shapes = [site.shape for site in self._sites]
        with closing(
            deal(shapes, args.first, until_us=self._until_us, jobs=self._jobs, seeds=self._seeds, pace=self._pace)
        ) as worlds:
            for number, outcome in worlds:
                self._all.add(outcome)
                self._each[number].add(outcome)
                if outcome.broken is not None:
                    self._note_failure(self._sites[number], outcome)
                    if args.fail_fast:
                        break
                if perf_counter() - self._told_at >= PROGRESS_EVERY_S:
                    self._told_at = perf_counter()
                    talk(self._progress())
                if args.until_faults and self._all.faults >= args.until_faults:
                    break

    def _note_failure(self, site: Simulated, outcome: Outcome) -> None:
        if not self._args.fail_fast and len(self._failed) < MAX_FAILURES_SHRUNK:
            talk(f"seed {outcome.seed} failed; looking for fewer faults that fail it ...")
            talk(f"as it is: {replay(outcome, site.path, self._args)}")
            outcome = shrink(site.shape, outcome, until_us=self._until_us, pace=self._pace)
        self._failed.append((site, outcome))

    # --- what is said

    def _progress(self) -> str:
        totals = self._all
        if self._seeds is None:
            done = f"{totals.faults} of {self._args.until_faults} faults, {totals.seeds} seeds"
        else:
            done = f"{totals.seeds} of {self._seeds * len(self._sites)} seeds"
        failures = f", {totals.failures} failed" if totals.failures else ""
        return f"{done}, {totals.hours:.0f} h, {self._hours_per_minute:.0f} h/min{failures}, next {totals.next_seed}"

    @property
    def _hours_per_minute(self) -> float:
        """With all processes."""
        return self._all.hours * 60 / max(perf_counter() - self._began, 1e-9)

    def _print(self) -> None:
        if self._args.json:
            print_json(self._as_json())
            return
        paint, totals = Paint(sys.stdout), self._all
        for number, (site, outcome) in enumerate(self._failed):
            if number < MAX_FAILURES_SHRUNK:
                print_failure(outcome, site.path, self._args, paint)
            else:
                print(paint.red(replay(outcome, site.path, self._args)))
        if len(self._sites) > 1:
            self._print_sites(paint)
        print(
            f"{totals.seeds} seeds, {totals.hours:.1f} simulated hours, {totals.faults} faults, "
            f"{len(INVARIANTS)} invariants: "
            + (paint.red(f"{totals.failures} failed") if totals.failures else paint.green("none failed"))
        )
        print(f"{self._hours_per_minute:.0f} simulated hours a minute in {self._jobs} processes, ", end="")
        print(f"{totals.per_minute(totals.hours):.0f} in each")
        print(paint.faint(", ".join(f"{kind} {count}" for kind, count in sorted(totals.kinds.items()))))
        if self._seeds is None:
            print(f"to go on: --first {totals.next_seed}")

    def _print_sites(self, paint: Paint) -> None:
        width = max(len(site.name) for site in self._sites)
        print(f"{'site':{width}}  seeds    hours   faults  failed  faults/min")
        for site, totals in zip(self._sites, self._each, strict=True):
            failed = f"{totals.failures:7}"
            print(
                f"{site.name:{width}}  {totals.seeds:5}  {totals.hours:7.1f}  {totals.faults:7} "
                f"{paint.red(failed) if totals.failures else failed}  {totals.per_minute(totals.faults):10.0f}"
            )

    def _as_json(self) -> dict[str, object]:
        return {
            **_told(self._all),
            "hours_per_minute": self._hours_per_minute,
            "sites": {site.name: _told(totals) for site, totals in zip(self._sites, self._each, strict=True)},
            "next_seed": self._all.next_seed,
            "failed": [failure_as_json(outcome, site.path, self._args) for site, outcome in self._failed],
        }


def _told(totals: _Totals) -> dict[str, object]:
    return {
        "seeds": totals.seeds,
        "hours": totals.hours,
        "hours_per_minute_per_process": totals.per_minute(totals.hours),
        "cpu_s": totals.cpu_s,
        "faults": totals.kinds,
    }
