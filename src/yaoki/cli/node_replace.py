"""`yaoki node replace OLD NEW`: a cold standby takes the place of a dead node; its help is in yaoki.cli.node.

What is changed is one line of the site file, and the node on this machine if it runs. The other nodes are given the
file by whoever keeps it; until then they are as they were, and lose nothing by it.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from yaoki.cli.node_client import RUN_ROOT, NodeClient
from yaoki.cli.node_times import in_service, last_heard
from yaoki.cli.output import print_json, talk
from yaoki.cli.plan import print_plans
from yaoki.cli.prefix import expand
from yaoki.cli.site_file import former, replace_file
from yaoki.core.error import UsageError
from yaoki.node.wording import duration
from yaoki.pool.plan import Plan
from yaoki.runtime.asking import TIMES, Asked, ask
from yaoki.runtime.requests import PlanAnswer
from yaoki.site.compile import compile_site
from yaoki.site.diff import SiteChange, diff_sites
from yaoki.site.examine import accept_site
from yaoki.site.model import Machine, Site, TrackedCheck
from yaoki.site.peers import paths
from yaoki.site.replacement import replaced_by
from yaoki.site.rewriting import Rewriting, with_replaces
from yaoki.vrrp.peer_params import PeerPath


@dataclass(frozen=True, slots=True)
class _Case:
    """What is to be done: the site as it is and as it shall be, and the file that says so; None if it does already."""

    old: Machine
    new: Machine
    before: Site
    after: Site
    rewriting: Rewriting | None


def replace_node(args: argparse.Namespace) -> int:
    """Ask, show, write, apply, and say what is left to do."""
    case = _case(args.site, args.old, args.new)
    heard = last_heard(_run_dir(case, args), case.old.name)
    asked = ask([(node.name, path) for node in case.before.nodes for path in _ways(case, node)])
    refusal = _refusal(case, asked)
    plans = diff_sites(compile_site(case.before), compile_site(case.after))
    going = (refusal is None or args.force) and not args.dry_run
    if args.json:
        print_json({"asked": asked, "last_heard": heard, "refused": refusal, "plans": plans, "done": going})
    else:
        if heard is not None:
            print(f"{case.old.name} was heard last {duration(heard)} ago")
        _show(case, asked, plans)
    if refusal is not None:
        talk(f"refused: {refusal}" if not args.force else f"done all the same: {refusal}")
    if not going:
        talk("nothing was changed")
        return int(refusal is not None and not args.force)
    if case.rewriting is not None:
        put_in_place(case.rewriting)
    begun = time.monotonic()
    applied = _apply(case, args)
    for line in in_service(_run_dir(case, args), begun) if applied else ():
        talk(line)
    for line in _what_is_left(case, args, applied=applied):
        talk(line)
    return int(applied is False)


def _case(file: Path, old_name: str, new_name: str) -> _Case:
    loaded = accept_site(file)
    site = loaded.site
    names = [node.name for node in site.nodes]
    old, new = (site.machine(expand(name, names, what="node")) for name in (old_name, new_name))
    if old.name not in new.standby_for:
        raise UsageError(
            f"{new.name} does not stand by for {old.name}; write standby-for: [{old.name}] at {new.name} in {file}, "
            "and `yaoki check` says whether it can take that place"
        )
    if new.replaces not in (None, old.name):
        raise UsageError(f"{new.name} has the place of {new.replaces} already; a machine takes one place")
    successor = site.successor_of(old.name)
    if successor is not None and new.replaces is None:
        raise UsageError(f"{old.name} was replaced already, by {successor.name}: name that one if it has died, too")
    if new.replaces == old.name:
        return _Case(old, new, site, site, None)
    return _Case(old, new, site, replaced_by(site, old.name, new.name), with_replaces(loaded, old.name, new.name))


def _ways(case: _Case, node: Machine) -> Iterable[PeerPath]:
    """Those of NEW to a node. A node that was replaced is not asked for: it may be there or not."""
    if node.name == case.new.name or (case.before.successor_of(node.name) and node.name != case.old.name):
        return ()
    return paths(case.new, node)


def _refusal(case: _Case, asked: Iterable[Asked]) -> str | None:
    """Why OLD is not to be replaced."""
    old = case.old.name
    of_old = [each for each in asked if each.node == old]
    alive = next((each for each in of_old if each.answers), None)
    if alive is not None:
        return (
            f"{old} answers at {alive.path.peer} ({alive.path.interface}): switch it off, or take it off the network, "
            "and run this again; --force leaves it to be told by the others that it was replaced"
        )
    if not of_old:
        return f"{case.new.name} is on no network with {old}, so it cannot ask whether it is dead; --force replaces it"
    if not any(each.asked for each in of_old):
        why = of_old[0].finding.evidence
        return f"{old} could not be asked whether it is dead ({why}); run this on {case.new.name}"
    others = [each for each in asked if each.node != old]
    if others and not any(each.answers for each in others):
        return f"nobody answers {case.new.name}, so it may be this machine that is cut off; --force replaces {old}"
    return None


def _show(case: _Case, asked: Iterable[Asked], plans: dict[str, Plan[SiteChange]]) -> None:
    for each in asked:
        said = f"answers: {each.finding.evidence}" if each.answers else f"does not answer: {each.finding.evidence}"
        times = "" if each.answers or not each.asked else f" ({TIMES} times)"
        print(f"{each.node} at {each.path.peer} ({each.path.interface}) {said}{times}")
    if case.rewriting is None:
        print(f"the site file says already that {case.new.name} has the place of {case.old.name}")
        return
    print(f"{case.rewriting.file}:")
    for line in case.rewriting.line.split("\n"):
        print(f"  {line.strip()}")
    print_plans({name: plan for name, plan in plans.items() if plan})
    for note in _notes(case):
        print(f"note: {note}")


def _notes(case: _Case) -> Iterator[str]:
    """What names OLD and goes on meaning that machine."""
    site, old, new = case.before, case.old.name, case.new.name
    for machine in site.machines:
        if machine.gateway == old:
            yield f"{machine.name} has {old} as its gateway, which {new} is not"
    for network in site.networks:
        if network.gateway == old:
            yield f"the gateway of {network.name} is {old}, which {new} is not"
    for vip in site.vips:
        if any(isinstance(track.tracked, TrackedCheck) and track.tracked.target == old for track in vip.track):
            yield f"{vip.name} tracks {old}, which goes on failing"
    if site.store is not None and any(member.machine == old for member in site.store.members):
        yield f"{old} keeps leases, too: the store goes on without that member, and has one to lose less"
    yield f"what people decided on {old} (drained servers, moved VIPs) is not known to {new}"


def put_in_place(rewriting: Rewriting) -> None:
    """The new file in the place of the old one. Raises UsageError, and has then changed nothing."""
    try:
        replace_file(rewriting.file, rewriting.text, before=rewriting.before)
    except UsageError as error:
        cure = "nothing was changed. Write the line into it yourself, and run this again"
        raise UsageError(f"{error}; {cure}") from error


def _run_dir(case: _Case, args: argparse.Namespace) -> Path:
    return args.run_dir or RUN_ROOT / case.new.name


def _apply(case: _Case, args: argparse.Namespace) -> bool | None:
    """Whether the node on this machine has taken the file; None if it does not run."""
    run_dir = _run_dir(case, args)
    if not (run_dir / "control.sock").exists():
        return None
    with NodeClient(run_dir) as node:
        answer: PlanAnswer = node.ask_for(PlanAnswer, "apply", file=str(args.site.resolve()), force=False)
    for problem in answer.problems:
        talk(problem)
    return not answer.problems


def _what_is_left(case: _Case, args: argparse.Namespace, *, applied: bool | None) -> Iterator[str]:
    old, new = case.old.name, case.new.name
    if case.rewriting is not None:
        file = case.rewriting.file
        yield f"{file} is written; as it was before it is kept as {former(file)}"
    if applied is None:
        yield f"start it here: yaoki node --site {args.site} --node {new}"
    elif applied:
        yield f"{new} has the place of {old}"
    else:
        yield f"{new} goes on as it was; mend that, and run `yaoki apply` here"
    others = [node.name for node in case.after.nodes if node.name not in (old, new)]
    if others:
        yield f"copy it to {', '.join(others)} and run `yaoki apply` there: until then they do not know {new}"
    yield f"{old}, should it return, is told and owns nothing; give it the file before it is used again"
