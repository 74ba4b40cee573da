"""Find everything wrong with a site file: its form, its references, and what cannot work or would fail.

Each finding is shown with its line, the other end of a clash, and the cure. Exit status 0: a node would run this file
(there may be warnings and notices); 1: it would refuse it, or with --strict, there are warnings.

examples:
  yaoki check site.yaml
  yaoki check --strict site.yaml      for a pipeline: warnings count as errors
  yaoki -j check site.yaml            for a program
"""

import argparse
import sys
from pathlib import Path

from yaoki.cli.output import Paint, print_json
from yaoki.core.error import Location, Problem
from yaoki.core.event import Severity
from yaoki.site.drawing import draw
from yaoki.site.examine import Examination, examine


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", type=Path, help="the site file")
    parser.add_argument("--strict", action="store_true", help="fail on warnings too")
    parser.add_argument("-q", "--quiet", action="store_true", help="show errors and warnings only")


def run(args: argparse.Namespace) -> int:
    """Print every finding and a summary."""
    examination = examine(args.file)
    failed = examination.refused or (args.strict and examination.count(Severity.WARNING) > 0)
    if args.json:
        print_json(_as_json(examination, ok=not failed))
        return int(failed)
    paint = Paint(sys.stdout)
    for problem in examination.problems:
        if not (args.quiet and problem.severity is Severity.NOTICE):
            print(coloured(problem, paint) + "\n")
    if examination.stopped:
        print("reading stopped here: mend these first")
    for rule in examination.cut_short:
        print(f"there is more of [{rule}] than is shown")
    print(f"{args.file}: {_summary(examination)}")
    return int(failed)


def coloured(problem: Problem, paint: Paint) -> str:
    """The drawing with its severity and its carets in colour."""
    colour = {Severity.ERROR: paint.red, Severity.WARNING: paint.yellow}.get(problem.severity, paint.faint)
    first, *rest = draw(problem).split("\n")
    first = first.replace(f" {problem.severity}: ", f" {colour(problem.severity)}: ", 1)
    return "\n".join([first, *(colour(line) if line.strip() == "^" else line for line in rest)])


def _summary(examination: Examination) -> str:
    counts = [
        _counted(examination.count(Severity.ERROR), "error"),
        _counted(examination.count(Severity.WARNING), "warning"),
        _counted(examination.count(Severity.NOTICE), "notice"),
    ]
    text = ", ".join(counts)
    if examination.acknowledged:
        text += f", {len(examination.acknowledged)} acknowledged"
    if examination.loaded is not None and not examination.refused:
        site = examination.loaded.site
        sizes = (
            _counted(len(site.nodes), "node"),
            _counted(len(site.vips), "VIP"),
            _counted(len(site.services), "service"),
            _counted(sum(len(service.servers) for service in site.services), "server"),
        )
        text += f" ({', '.join(sizes)})"
    return text


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _as_json(examination: Examination, *, ok: bool) -> dict[str, object]:
    return {
        "ok": ok,
        "cut_short": examination.cut_short,
        "problems": [problem_as_json(problem) for problem in examination.problems],
        "acknowledged": [problem_as_json(problem) for problem in examination.acknowledged],
    }


def problem_as_json(problem: Problem) -> dict[str, object]:
    """One finding, for programs."""
    return {
        "rule": problem.rule,
        "severity": problem.severity,
        "where": _location(problem.where),
        "what": problem.what,
        "other": None if problem.other is None else _location(problem.other),
        "cure": problem.cure,
    }


def _location(location: Location) -> dict[str, object]:
    return {"file": location.file, "line": location.line, "column": location.column}
