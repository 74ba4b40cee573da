"""Simulate a site: the shipped engines in a world of faults, from a seed, with every invariant watched.

Each seed makes one world, which lives for some hours and meets loss, partitions, kills, pauses, power cuts, stalled
links and dying servers. A world that breaks an invariant is made again with as few faults as still break it, as short
as may be, and printed with its last records and the command that replays it. Exit status 0: no seed failed; 1: some
did.

examples:
  yaoki sim --seeds 200                     two hundred worlds of a built-in two-node site
  yaoki sim --seeds 200 --site site.yaml    of your own site
  yaoki sim --list                          what is watched, and what the faults of each mix are
  yaoki sim --seed 17 --faults 4,5:0.25     one world again, with two of its faults only, the second for 0.25 s
  yaoki sim --dense --until-faults 100000   worlds in which something fails every few seconds, until so much has failed
"""

import argparse
import os
import sys
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from time import perf_counter

from yaoki.cli.output import Paint, print_json, talk
from yaoki.core.error import UsageError
from yaoki.sim.campaign import HOUR_US, Chosen, Outcome, run_seed, run_seeds
from yaoki.sim.invariants import INVARIANTS
from yaoki.sim.schedule import DENSE, MIXES, UNHURRIED, Pace
from yaoki.sim.shrinking import shrink
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Topology, shape_of
from yaoki.site.load import load_site

MAX_SEEDS = 1_000_000
DEFAULT_SEEDS = 100
PROGRESS_EVERY_S = 5.0
WIDEST_RECORD = 240
"""Longer records are cut for people; -j prints them whole."""
MAX_FAILURES_SHRUNK = 3
"""Failing seeds that are made smaller and printed in full; of the others only the command is."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--site", type=Path, help="the site file (without: a built-in site of two nodes)")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many worlds (100)")
    parser.add_argument("--until-faults", type=int, metavar="N", help="as many worlds as have N faults together")
    parser.add_argument("--dense", action="store_true", help="faults every few seconds, in longer episodes")
    parser.add_argument("--first", type=int, default=0, metavar="S", help="the first seed (%(default)s)")
    parser.add_argument("--hours", type=float, default=1.0, metavar="H", help="simulated hours each (%(default)s)")
    parser.add_argument("--jobs", type=int, metavar="N", help="worlds at a time (as many as there are processors)")
    parser.add_argument("--seed", type=int, metavar="S", help="this world only")
    parser.add_argument("--faults", metavar="N[:S],...", help="with --seed: only these of its faults, for S s")
    parser.add_argument("--throw", type=int, default=0, metavar="N", help="with --seed: another throw of its dice")
    parser.add_argument("--fail-fast", action="store_true", help="end with the first seed that fails, as it is")
    parser.add_argument("--trace", type=int, default=0, metavar="LINES", help="with --seed: print so many last records")
    parser.add_argument("--list", action="store_true", help="list invariants and mixes of faults, and run nothing")


def run(args: argparse.Namespace) -> int:
    """Run the worlds and print what was found."""
    if args.list:
        return _list(as_json=args.json)
    if args.seeds is not None and not 1 <= args.seeds <= MAX_SEEDS:
        raise UsageError(f"--seeds is 1 to {MAX_SEEDS}")
    if args.until_faults is not None and (args.until_faults < 1 or args.seeds is not None):
        raise UsageError("--until-faults is 1 or more, and takes the place of --seeds")
    if args.hours <= 0:
        raise UsageError("--hours is more than 0")
    if args.faults is not None and args.seed is None:
        raise UsageError("--faults goes with --seed: the faults of each seed are numbered by themselves")
    shape = _shape(args.site)
    if not shape.virtuals:
        raise UsageError("this site has no VIPs with nodes, so there is nothing to simulate; add one under vips:")
    until_us = int(args.hours * HOUR_US)
    if args.seed is not None:
        chosen = None if args.faults is None else _chosen(args.faults)
        outcome = run_seed(
            shape,
            args.seed,
            until_us=until_us,
            pace=_pace(args),
            chosen=chosen,
            throw=args.throw,
            traced=args.trace,
        )
        return _report_one(outcome, args)
    return _campaign(shape, until_us, args)


def _shape(site_file: Path | None) -> Topology:
    if site_file is None:
        with as_file(files("yaoki.sim").joinpath("two-nodes.yaml")) as path:
            site = load_site(path).site
    else:
        site = load_site(site_file).site
    return shape_of(site)


def _pace(args: argparse.Namespace) -> Pace:
    return DENSE if args.dense else UNHURRIED


def _chosen(text: str) -> tuple[Chosen, ...]:
    try:
        return tuple(_one_chosen(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f'--faults takes numbers, as in "--faults 3,7:0.5", not "{text}"') from None


def _one_chosen(text: str) -> Chosen:
    number, _, seconds = text.partition(":")
    return Chosen(int(number), round(float(seconds) * SECOND) if seconds else None)


# --- many seeds


@dataclass(slots=True)
class _Totals:
    """What a campaign has done so far. `cpu_s` adds up what the worlds took, each in its own process."""

    began: float
    seeds: int = 0
    simulated_us: int = 0
    cpu_s: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.simulated_us += outcome.simulated_us
        self.cpu_s += outcome.took_s
        for kind, count in outcome.kinds:
            self.kinds[kind] = self.kinds.get(kind, 0) + count
        if outcome.broken is not None:
            self.failed.append(outcome)

    @property
    def faults(self) -> int:
        return sum(self.kinds.values())

    @property
    def hours(self) -> float:
        return self.simulated_us / HOUR_US

    @property
    def hours_per_minute(self) -> float:
        """Of this campaign, with all its processes."""
        return self.hours * 60 / max(perf_counter() - self.began, 1e-9)

    @property
    def hours_per_minute_each(self) -> float:
        """Of one process."""
        return self.hours * 60 / max(self.cpu_s, 1e-9)


def _campaign(shape: Topology, until_us: int, args: argparse.Namespace) -> int:
    count = MAX_SEEDS if args.until_faults else args.seeds or DEFAULT_SEEDS
    jobs = min(args.jobs or os.cpu_count() or 1, count)
    totals = _Totals(perf_counter())
    told_at = totals.began
    seeds = range(args.first, args.first + count)
    for outcome in run_seeds(shape, seeds, until_us=until_us, jobs=jobs, pace=_pace(args)):
        totals.add(outcome)
        if outcome.broken is not None and args.fail_fast:
            break
        if outcome.broken is not None and len(totals.failed) <= MAX_FAILURES_SHRUNK:
            talk(f"seed {outcome.seed} failed; looking for fewer faults that fail it ...")
            totals.failed[-1] = shrink(shape, outcome, until_us=until_us, pace=_pace(args))
        if perf_counter() - told_at >= PROGRESS_EVERY_S:
            told_at = perf_counter()
            talk(f"{_done(totals, args)}, {totals.hours:.0f} h, {totals.hours_per_minute:.0f} h/min")
        if args.until_faults and totals.faults >= args.until_faults:
            break
    if args.json:
        print_json(_as_json(totals, args))
        return int(bool(totals.failed))
    _print_campaign(totals, jobs, args)
    return int(bool(totals.failed))


def _done(totals: _Totals, args: argparse.Namespace) -> str:
    if args.until_faults:
        return f"{totals.faults} of {args.until_faults} faults, {totals.seeds} seeds"
    return f"{totals.seeds} of {args.seeds or DEFAULT_SEEDS} seeds"


def _print_campaign(totals: _Totals, jobs: int, args: argparse.Namespace) -> None:
    paint = Paint(sys.stdout)
    for number, outcome in enumerate(totals.failed):
        if number < MAX_FAILURES_SHRUNK:
            _print_failure(outcome, args, paint)
        else:
            print(paint.red(_replay(outcome, args)))
    print(
        f"{totals.seeds} seeds, {totals.hours:.1f} simulated hours, {totals.faults} faults, "
        f"{len(INVARIANTS)} invariants: "
        + (paint.red(f"{len(totals.failed)} failed") if totals.failed else paint.green("none failed"))
    )
    print(f"{totals.hours_per_minute:.0f} simulated hours a minute in {jobs} processes, ", end="")
    print(f"{totals.hours_per_minute_each:.0f} in each")
    print(paint.faint(", ".join(f"{kind} {count}" for kind, count in sorted(totals.kinds.items()))))
    if args.until_faults:
        print(f"to go on: --first {args.first + totals.seeds}")


def _as_json(totals: _Totals, args: argparse.Namespace) -> dict[str, object]:
    return {
        "seeds": totals.seeds,
        "hours": totals.hours,
        "hours_per_minute": totals.hours_per_minute,
        "hours_per_minute_per_process": totals.hours_per_minute_each,
        "faults": totals.kinds,
        "failed": [_failure_as_json(outcome, args) for outcome in totals.failed],
    }


def _failure_as_json(outcome: Outcome, args: argparse.Namespace) -> dict[str, object]:
    assert outcome.broken is not None
    return {
        "seed": outcome.seed,
        "mix": outcome.mix,
        "invariant": outcome.broken.invariant,
        "what": outcome.broken.what,
        "at_s": outcome.broken.at_us / 1_000_000,
        "faults": [str(fault) for fault in outcome.begun],
        "replay": _replay(outcome, args),
        "trace": outcome.broken.trace,
    }


# --- one seed


def _report_one(outcome: Outcome, args: argparse.Namespace) -> int:
    paint = Paint(sys.stdout)
    if args.json:
        hours = {"seed": outcome.seed, "mix": outcome.mix, "hours": outcome.simulated_us / HOUR_US}
        print_json(hours if outcome.broken is None else _failure_as_json(outcome, args))
    elif outcome.broken is not None:
        _print_failure(outcome, args, paint)
    else:
        for line in outcome.trace:
            print(line)
        faults = f"{len(outcome.begun)} faults ({outcome.mix})"
        print(f"seed {outcome.seed}: {outcome.simulated_us / HOUR_US:.2f} h, {faults}: {paint.green('nothing broken')}")
    return int(outcome.broken is not None)


def _print_failure(outcome: Outcome, args: argparse.Namespace, paint: Paint) -> None:
    broken = outcome.broken
    assert broken is not None
    print(f"--- seed {outcome.seed} ({outcome.mix}), the last records:")
    for line in broken.trace[-(args.trace or len(broken.trace)) :]:
        print(paint.faint(line if len(line) <= WIDEST_RECORD else line[:WIDEST_RECORD] + " ..."))
    print("faults that were needed:" if outcome.chosen is not None else "faults so far:")
    for fault in outcome.begun:
        print(f"  {fault}")
    print(paint.red(f"{broken.invariant}, at {broken.at_us / 1_000_000:.6f} s: {broken.what}"))
    print(f"replay: {paint.bold(_replay(outcome, args))}\n")


def _replay(outcome: Outcome, args: argparse.Namespace) -> str:
    site = "" if args.site is None else f" --site {args.site}"
    faults = "" if outcome.chosen is None else f" --faults {','.join(map(_word, outcome.chosen))}"
    throw = f" --throw {outcome.throw}" if outcome.throw else ""
    dense = " --dense" if args.dense else ""
    return f"yaoki sim --seed {outcome.seed}{faults}{throw}{dense}{site} --hours {args.hours:.10g}"


def _word(chosen: Chosen) -> str:
    return f"{chosen.number}" if chosen.lasts_us is None else f"{chosen.number}:{chosen.lasts_us / SECOND:.6f}"


def _list(*, as_json: bool) -> int:
    if as_json:
        print_json({invariant.name: invariant.holds for invariant in INVARIANTS})
        return 0
    width = max(len(invariant.name) for invariant in INVARIANTS)
    print("invariants:")
    for invariant in INVARIANTS:
        print(f"  {invariant.name:{width}}  {invariant.holds}")
    print("mixes of faults, by seed:")
    for number, mix in enumerate(MIXES):
        print(f"  {number}  {mix.name}")
    return 0
