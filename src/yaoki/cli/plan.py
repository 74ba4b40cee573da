"""Show what a new site file would change on each node, what users would feel of it, and whether it is safe.

Exit status 0: the change is safe (or there is none); 1: it is unsafe, or a file is refused.

examples:
  yaoki plan --from running.yaml new.yaml              every node
  yaoki plan --from running.yaml new.yaml --node lb1   one node
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from yaoki.cli.output import Paint, print_json
from yaoki.cli.prefix import expand
from yaoki.pool.plan import Action, Plan
from yaoki.site.compile import compile_site
from yaoki.site.diff import SiteChange, diff_sites
from yaoki.site.examine import accept_site

_SIGNS = {Action.ADD: "+", Action.CHANGE: "~", Action.REMOVE: "-"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", type=Path, help="the new site file")
    parser.add_argument("--from", dest="old", type=Path, required=True, help="the site file that is compared with")
    parser.add_argument("--node", help="show this node only")


def run(args: argparse.Namespace) -> int:
    """Compare two files."""
    old = compile_site(accept_site(args.old).site)
    new = compile_site(accept_site(args.file).site)
    plans = diff_sites(old, new)
    if args.node is not None:
        name = expand(args.node, plans, what="node")
        plans = {name: plans[name]}
    print_plans(plans, as_json=args.json)
    return int(any(plan.unsafe for plan in plans.values()))


def print_plans(plans: Mapping[str, Plan[SiteChange]], *, as_json: bool) -> None:
    """The plans of some nodes, as text or as JSON."""
    if as_json:
        print_json({name: _as_json(plan) for name, plan in plans.items()})
        return
    paint = Paint(sys.stdout)
    for name, plan in plans.items():
        print(paint.bold(f"{name}:") + ("" if plan else " no change"))
        for change in plan.changes:
            print(f"  {_SIGNS[change.action]} {change.subject}")
            for detail in change.details:
                print(f"      {detail}")
        for cost in plan.costs:
            print(f"  {paint.yellow('cost')}: {cost}")
        for reason in plan.unsafe:
            print(f"  {paint.red('unsafe')}: {reason}")


def _as_json(plan: Plan[SiteChange]) -> dict[str, object]:
    return {"changes": plan.changes, "costs": plan.costs, "unsafe": plan.unsafe, "safe": not plan.unsafe}
