"""Show what a new site file would change, what users would feel of it, whether it is safe, and what its VIPs survive.

Without --from it is compared with what the node on this machine runs; where none does, it says what the file's VIPs
survive. Nothing is changed. Exit status 0: the change is safe (or there is none); 1: it is unsafe, or a file is
refused, or with --if something is left without an owner or a server, or with --move the move would be refused.

examples:
  yaoki plan new.yaml                                  against the running node; without one, what its VIPs survive
  yaoki plan                                           the node's own file, as it is now
  yaoki plan --from running.yaml new.yaml              two files, every node
  yaoki plan --from running.yaml new.yaml --node lb1   one node of them
  yaoki plan site.yaml --if lb2 fails                  who takes what then
  yaoki plan site.yaml --if lb1 --if web2              and when these fail together
  yaoki plan site.yaml --move web-vip --to lb2         what `yaoki vip move` would do
  yaoki plan site.yaml --move web-vip --if lb3         and what while a machine is down
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from yaoki.cli.node_client import RUN_ROOT, add_node_arguments, connect, node_is_meant
from yaoki.cli.output import Paint, print_json, talk
from yaoki.cli.plan_move import told
from yaoki.cli.prefix import expand
from yaoki.cli.show import headroom_lines
from yaoki.cli.stand import print_stand, stand_as_json, why_nobody
from yaoki.core.error import UsageError
from yaoki.node.snapshot import NodeView, ServiceView
from yaoki.pool.plan import Action, Plan
from yaoki.runtime.requests import Life, PlanAnswer
from yaoki.site.compile import compile_site
from yaoki.site.diff import SiteChange, diff_sites
from yaoki.site.examine import accept_site
from yaoki.site.model import Site
from yaoki.site.move import move
from yaoki.site.what_if import ServiceOutcome, what_if

_INSTEAD = "; without a node, two files are compared by `yaoki plan --from OLD NEW`"
_WITHOUT_NODE = (
    f"no node runs here (nothing in {RUN_ROOT}), so there is nothing to compare with: name its --run-dir, or compare"
    " two files by `yaoki plan --from OLD NEW`"
)
_FAILS = ("fail", "fails")
_SIGNS = {Action.ADD: "+", Action.CHANGE: "~", Action.REMOVE: "-"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", type=Path, nargs="?", help="the new site file (default: the running node's own)")
    parser.add_argument("--from", dest="old", type=Path, help="the site file that it is compared with")
    parser.add_argument(
        "--if",
        dest="failed",
        action="append",
        nargs="+",
        default=[],
        metavar="MACHINE",
        help="show who takes what if it fails; `--if lb1 web2 fail` and `--if lb1 --if web2` are the same",
    )
    parser.add_argument("--move", dest="moved", metavar="VIP", help="show what moving it away from its owner would do")
    parser.add_argument("--to", metavar="NODE", help="with --move: the node that shall take over")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Compare two files, or a file with what runs."""
    if args.to is not None and args.moved is None:
        raise UsageError("--to goes with --move, and only with it")
    if args.old is not None and (args.failed or args.moved is not None):
        raise UsageError("--from compares two files; --if and --move ask about one")
    _sort_out(args)
    if args.moved is not None:
        return _move(args)
    if args.failed:
        return _what_if(args)
    if args.old is None:
        return _alone(args.file, as_json=args.json) if args.file and not node_is_meant(args) else _against_node(args)
    if args.file is None:
        raise UsageError("--from needs the new file, too: yaoki plan --from OLD NEW")
    old = compile_site(accept_site(args.old).site)
    site = accept_site(args.file).site
    new = compile_site(site)
    plans = diff_sites(old, new)
    if args.node is not None:
        name = expand(args.node, plans, what="node")
        plans = {name: plans[name]}
    _print(plans, site, as_json=args.json)
    return int(any(plan.unsafe for plan in plans.values()))


def _sort_out(args: argparse.Namespace) -> None:
    """Of the words after each --if, the names: "fails" is none, nor is the file where it stands behind them."""
    names: list[str] = []
    for first, *others in args.failed:
        if args.file is None and others and others[-1] not in _FAILS:
            args.file = Path(others.pop())
        if others and others[-1] in _FAILS:
            others.pop()
        names += [first, *others]
    args.failed = names


def _alone(file: Path, *, as_json: bool) -> int:
    """With nothing to compare with, what the file's VIPs survive."""
    site = accept_site(file).site
    _print({}, site, as_json=as_json)
    talk(_WITHOUT_NODE)
    return 0


def _print(plans: Mapping[str, Plan[SiteChange]], site: Site | None, *, as_json: bool) -> None:
    """What changes on each node, and what the site's VIPs then survive."""
    if as_json:
        told = {name: _as_json(plan) for name, plan in plans.items()}
        print_json({"nodes": told, "stand": [] if site is None else stand_as_json(site)})
        return
    print_plans(plans)
    if site is not None:
        print_stand(site)


def _what_if(args: argparse.Namespace) -> int:
    if args.file is None:
        raise UsageError("--if needs the site file: yaoki plan FILE --if MACHINE")
    site = accept_site(args.file).site
    failed = [expand(name, [machine.name for machine in site.machines], what="machine") for name in args.failed]
    outcome = what_if(site, failed)
    lost = [vip.vip for vip in outcome.vips if vip.after is None]
    lost += [service.service for service in outcome.services if not service.serving]
    if args.json:
        found = {"failed": failed, "lost": lost, "vips": outcome.vips, "services": outcome.services}
        print_json({**found, "stand": stand_as_json(site)})
        return int(bool(lost))
    paint = Paint(sys.stdout)
    for vip in outcome.vips:
        after = vip.after or paint.red("nobody") + why_nobody(site, site.vip(vip.vip), failed)
        print(f"VIP {vip.vip}: {vip.before or 'nobody'} -> {after}")
    for service in outcome.services:
        shares = ", ".join(f"{s.host} {float(s.before):.0%} -> {float(s.after):.0%}" for s in service.shares)
        print(f"service {service.service}: {shares}; {_load(service, paint)}")
    print_stand(site)
    return int(bool(lost))


def _load(service: ServiceOutcome, paint: Paint) -> str:
    """What the servers that are left have to carry."""
    if not service.serving:
        return paint.red("nobody serves")
    if service.growth is None:
        return f"only backups serve: {', '.join(service.serving)}"
    return f"at most {float(service.growth):.2g} times the load"


def _move(args: argparse.Namespace) -> int:
    if args.file is None:
        raise UsageError("--move needs the site file: yaoki plan FILE --move VIP")
    site = accept_site(args.file).site
    vip = site.vip(expand(args.moved, [vip.name for vip in site.vips], what="VIP"))
    failed = [expand(name, [machine.name for machine in site.machines], what="machine") for name in args.failed]
    to = None if args.to is None else expand(args.to, [member.node for member in vip.members], what="member")
    found = move(site, vip, to, failed)
    if args.json:
        print_json({"failed": failed, "to": to, "move": found})
    else:
        for line in told(vip, found, to):
            print(line)
    return int(found.refused is not None)


def _against_node(args: argparse.Namespace) -> int:
    # A file's errors are drawn here, with carets, as `yaoki check` does.
    site = None if args.file is None else accept_site(args.file).site
    with connect(args, instead=_INSTEAD) as node:
        file = None if args.file is None else str(args.file.resolve())
        answer: PlanAnswer = node.ask_for(PlanAnswer, "plan", file=file)
        name = node.ask_for(Life, "life").node
        services: tuple[ServiceView, ...] = ()
        if not (args.json or answer.problems):
            services = node.ask_for(NodeView, "status", counted=True, flows=True).services
    for problem in answer.problems:
        talk(problem)
    if not answer.problems:
        _print({name: plan_of(answer)}, site, as_json=args.json)
        for service in services:
            for line in headroom_lines(service, Paint(sys.stdout)):
                print(line)
    return int(bool(answer.problems or answer.unsafe))


def plan_of(answer: PlanAnswer) -> Plan[SiteChange]:
    """The plan in a node's answer."""
    return Plan(answer.changes, answer.costs, answer.unsafe)


def print_plans(plans: Mapping[str, Plan[SiteChange]]) -> None:
    """The plans of some nodes, as text."""
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
