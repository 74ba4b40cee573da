"""Simulate a site: the shipped engines in a world of faults, from a seed, with every invariant watched.

Each seed makes one world, which lives for some hours and meets loss, partitions, kills, pauses, power cuts, stalled
links and dying servers. A world that breaks an invariant is made again with as few faults as still break it, as short
as may be, and printed with its last records and the command that replays it. Exit status 0: no seed failed; 1: some
did; 130: interrupted, after saying what was found so far.

examples:
  yaoki sim --seeds 200                     two hundred worlds of a built-in two-node site
  yaoki sim --seeds 200 --site site.yaml    of your own site, or of several: --site may be repeated
  yaoki sim --list                          what is watched, and what the faults of each mix are
  yaoki sim --seed 17 --faults 4,5:0.25     one world again, with two of its faults only, the second for 0.25 s
  yaoki sim --dense --until-faults 100000   worlds in which something fails every few seconds, until so much has failed
"""

import argparse
import sys
from importlib.resources import as_file, files
from pathlib import Path

from yaoki.cli.output import Paint, print_json
from yaoki.cli.sim_campaign import MAX_SEEDS, Campaign, Simulated
from yaoki.cli.sim_failure import failure_as_json, print_failure
from yaoki.cli.typed import amount
from yaoki.core.error import UsageError
from yaoki.sim.campaign import HOUR_US, Chosen, Outcome, run_seed
from yaoki.sim.invariants import INVARIANTS
from yaoki.sim.schedule import DENSE, MIXES, UNHURRIED, Pace
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import shape_of
from yaoki.site.load import load_site


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    site = "the site file; of several, each gets the same share of the work (without: a built-in site of two nodes)"
    parser.add_argument("--site", type=Path, action="append", metavar="FILE", help=site)
    parser.add_argument("--seeds", type=int, metavar="N", help="how many worlds of each site (100)")
    parser.add_argument("--until-faults", type=int, metavar="N", help="as many worlds as have N faults together")
    parser.add_argument("--dense", action="store_true", help="faults every few seconds, in longer episodes")
    parser.add_argument("--first", type=int, default=0, metavar="S", help="the first seed (%(default)s)")
    parser.add_argument("--hours", type=amount, default=1.0, metavar="H", help="simulated hours each (%(default)s)")
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
    if not args.hours:
        raise UsageError("--hours is more than 0")
    if args.jobs is not None and args.jobs < 1:
        raise UsageError("--jobs is 1 or more")
    if args.faults is not None and args.seed is None:
        raise UsageError("--faults goes with --seed: the faults of each seed are numbered by themselves")
    if args.seed is not None and len(args.site or ()) > 1:
        raise UsageError("--seed is a world of one site; name one with --site")
    sites = [_simulated(path) for path in args.site or (None,)]
    if args.seed is None:
        return Campaign(sites, args, _pace(args)).run()
    [site] = sites
    chosen = None if args.faults is None else _chosen(args.faults)
    outcome = run_seed(
        site.shape,
        args.seed,
        until_us=int(args.hours * HOUR_US),
        pace=_pace(args),
        chosen=chosen,
        throw=args.throw,
        traced=args.trace,
    )
    return _report_one(outcome, site, args)


def _simulated(site_file: Path | None) -> Simulated:
    if site_file is None:
        with as_file(files("yaoki.sim").joinpath("two-nodes.yaml")) as path:
            site = load_site(path).site
    else:
        site = load_site(site_file).site
    shape = shape_of(site)
    if not shape.virtuals:
        named = "this site" if site_file is None else str(site_file)
        raise UsageError(f"{named} has no VIPs with nodes, so there is nothing to simulate; add one under vips:")
    return Simulated(site_file, shape)


def _pace(args: argparse.Namespace) -> Pace:
    return DENSE if args.dense else UNHURRIED


def _chosen(text: str) -> tuple[Chosen, ...]:
    try:
        return tuple(_one_chosen(part) for part in text.split(",") if part.strip())
    except (ValueError, OverflowError):
        raise UsageError(f'--faults takes numbers, as in "--faults 3,7:0.5", not "{text}"') from None


def _one_chosen(text: str) -> Chosen:
    number, _, seconds = text.partition(":")
    return Chosen(int(number), round(float(seconds) * SECOND) if seconds else None)


def _report_one(outcome: Outcome, site: Simulated, args: argparse.Namespace) -> int:
    paint = Paint(sys.stdout)
    if args.json:
        hours = {"seed": outcome.seed, "mix": outcome.mix, "hours": outcome.simulated_us / HOUR_US}
        print_json(hours if outcome.broken is None else failure_as_json(outcome, site.path, args))
    elif outcome.broken is not None:
        print_failure(outcome, site.path, args, paint)
    else:
        for line in outcome.trace:
            print(line)
        faults = f"{len(outcome.begun)} faults ({outcome.mix})"
        print(f"seed {outcome.seed}: {outcome.simulated_us / HOUR_US:.2f} h, {faults}: {paint.green('nothing broken')}")
    return int(outcome.broken is not None)


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
