"""A simulated world that broke an invariant, as `yaoki sim` prints it: for people, and as JSON."""

import argparse
from pathlib import Path

from yaoki.cli.output import Paint
from yaoki.sim.campaign import Chosen, Outcome
from yaoki.sim.timeline import SECOND

WIDEST_RECORD = 240
"""Longer records are cut for people; -j prints them whole."""


def print_failure(outcome: Outcome, site: Path | None, args: argparse.Namespace, paint: Paint) -> None:
    """The last records, the faults, what was broken, and the command that replays it."""
    broken = outcome.broken
    assert broken is not None, "only a failure is printed as one"
    print(f"--- seed {outcome.seed} ({outcome.mix}), the last records:")
    for line in broken.trace[-(args.trace or len(broken.trace)) :]:
        print(paint.faint(line if len(line) <= WIDEST_RECORD else line[:WIDEST_RECORD] + " ..."))
    print("faults that were needed:" if outcome.chosen is not None else "faults so far:")
    for fault in outcome.begun:
        print(f"  {fault}")
    print(paint.red(f"{broken.invariant}, at {broken.at_us / SECOND:.6f} s: {broken.what}"))
    print(f"replay: {paint.bold(replay(outcome, site, args))}\n")


def failure_as_json(outcome: Outcome, site: Path | None, args: argparse.Namespace) -> dict[str, object]:
    """The same for programs."""
    assert outcome.broken is not None, "only a failure is told as one"
    return {
        "site": None if site is None else str(site),
        "seed": outcome.seed,
        "mix": outcome.mix,
        "invariant": outcome.broken.invariant,
        "what": outcome.broken.what,
        "at_s": outcome.broken.at_us / SECOND,
        "faults": [str(fault) for fault in outcome.begun],
        "replay": replay(outcome, site, args),
        "trace": outcome.broken.trace,
    }


def replay(outcome: Outcome, site: Path | None, args: argparse.Namespace) -> str:
    """The command that makes the same world again."""
    named = "" if site is None else f" --site {site}"
    faults = "" if outcome.chosen is None else f" --faults {','.join(map(_word, outcome.chosen))}"
    throw = f" --throw {outcome.throw}" if outcome.throw else ""
    dense = " --dense" if args.dense else ""
    return f"yaoki sim --seed {outcome.seed}{faults}{throw}{dense}{named} --hours {args.hours:.10g}"


def _word(chosen: Chosen) -> str:
    return f"{chosen.number}" if chosen.lasts_us is None else f"{chosen.number}:{chosen.lasts_us / SECOND:.6f}"
