"""Put the site file in force on the running node, as the smallest change; or another file, until the node restarts.

A bad file is refused with its errors, and what was in force stays. A change that leaves a VIP without an owner or a
service without a server is refused, too, unless --force is given; `yaoki plan` shows what would happen. Run it on each
node of the site.

With --trial the former plan comes back by itself when the time is over, unless `yaoki apply --keep` is said before: for
changes that may cut you off. The file is left as it is: mend it then, for a node that restarts takes it. An apply
without --trial ends a trial that runs. Exit status 0: in force; 1: refused.

examples:
  yaoki apply                      the file that the node was started with, as it is now
  yaoki apply new-site.yaml
  yaoki apply --force
  yaoki apply --trial 5m           and if you still reach the node:
  yaoki apply --keep
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from yaoki.cli.node_client import add_node_arguments, connect
from yaoki.cli.output import print_json, talk
from yaoki.cli.plan import plan_of, print_plans
from yaoki.core.error import UsageError
from yaoki.runtime.requests import Life, PlanAnswer
from yaoki.site.examine import accept_site
from yaoki.site.units import parse_duration


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", nargs="?", type=Path, help="another site file")
    parser.add_argument("--force", action="store_true", help="apply a change that is not safe")
    parser.add_argument("--trial", metavar="TIME", help="take it back after this (1s..1h), unless it is kept")
    parser.add_argument("--keep", action="store_true", help="keep what is on trial, and apply nothing")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the node to read its file again, or to keep what it has read."""
    if args.keep:
        return _keep(args)
    trial = None if args.trial is None else parse_duration(args.trial)
    if args.trial is not None and trial is None:
        raise UsageError(f'"{args.trial}" is no time; for example 90s or 5m')
    if args.file is not None:
        accept_site(args.file)  # its errors are drawn here, with carets, as `yaoki check` does
    with connect(args) as node:
        name = node.ask_for(Life, "life").node
        file = None if args.file is None else str(args.file.resolve())
        limits = {} if trial is None else {"trial_s": trial.total_seconds()}
        answer: PlanAnswer = node.ask_for(PlanAnswer, "apply", file=file, force=args.force, **limits)
    if args.json:
        print_json({"applied": not answer.problems, **{f.name: getattr(answer, f.name) for f in fields(answer)}})
        return int(bool(answer.problems))
    if answer.problems:
        for problem in answer.problems:
            print(problem, file=sys.stderr)
        talk("refused; what was in force stays")
        return 1
    print_plans({name: plan_of(answer)})
    print(f"plan {answer.generation} is in force")
    if trial is not None:
        talk(f"for {args.trial}; `yaoki apply --keep` keeps it, else the former one comes back")
    if args.file is not None:
        talk("until the node restarts; to keep it, put it where the node's --site points")
    return 0


def _keep(args: argparse.Namespace) -> int:
    if args.file is not None or args.trial is not None or args.force:
        raise UsageError("--keep applies nothing: give it alone")
    with connect(args) as node:
        node.ask("keep")
    if args.json:
        print_json({"kept": True})
    else:
        print("what was on trial is kept")
    return 0
