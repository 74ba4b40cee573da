"""Where a node's plan comes from: the site file, or the last good plan when the file cannot be used."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from yaoki.core.error import Problem, SiteError, UsageError
from yaoki.pool.plan import Plan
from yaoki.runtime.secret_file import SecretUnavailable
from yaoki.runtime.signing import read_key
from yaoki.site.compile import compile_node, owners
from yaoki.site.diff import SiteChange, diff
from yaoki.site.examine import accept_site, refuse_tick
from yaoki.site.load import LoadedSite
from yaoki.site.model import Site
from yaoki.site.node_plan import NodePlan


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan, or why there is none.

    `plan` is the one to be in force: with `problems` (located sentences) that is the one before, or the last good one.
    `instead_of` says why the last good plan is offered rather than the file's. `change` is the difference to what runs.
    """

    plan: NodePlan
    problems: tuple[str, ...] = ()
    instead_of: str | None = None
    change: Plan[SiteChange] | None = None


class PlanSource:
    """Reads the site file of one node. `path` is the file in use; `tick` that of the node's kernel, which may be too
    long for a file."""

    def __init__(self, path: Path, node: str, tick: timedelta) -> None:
        self.path = path
        self._node = node
        self._tick = tick

    def first(self, last_good: NodePlan | None, crashes_of: Callable[[str], int], max_crashes: int) -> Offer:
        """The plan to start with. Raises SiteError (or UsageError) if the file is bad and no good one is known."""
        try:
            plan, _ = self._compile(self.path)
        except (SiteError, UsageError) as error:
            if last_good is None:
                raise
            return Offer(last_good, _sentences(error), "the file is refused")
        crashes = crashes_of(plan.generation)
        if crashes >= max_crashes and last_good is not None and last_good.generation != plan.generation:
            return Offer(last_good, (), f"the process died {crashes} times with it")
        return Offer(plan)

    def again(self, path: Path | None, *, running: NodePlan | None, force: bool) -> Offer:
        """The plan of the file as it is now, compared with the one that runs; refused if unsafe, unless forced."""
        assert running is not None, "a node that answers has a plan"
        try:
            plan, site = self._compile(path or self.path)
        except (SiteError, UsageError) as error:
            return Offer(running, _sentences(error))
        change = diff(running, plan, owners=owners(site))
        if change.unsafe and not force:
            cure = "`yaoki apply --force` does it all the same"
            return Offer(running, tuple(f"{reason}; {cure}" for reason in change.unsafe), change=change)
        return Offer(plan, change=change)

    def _compile(self, path: Path) -> tuple[NodePlan, Site]:
        """The plan of this node alone, for those of the others may be many times as much, and what it is of."""
        loaded = accept_site(path)
        names = [node.name for node in loaded.site.nodes]
        if self._node not in names:
            raise UsageError(f'{path} has no node "{self._node}"; it has: {", ".join(names)}')
        plan = compile_node(loaded.site, self._node)
        refuse_tick(loaded, self._node, self._tick)
        _refuse_missing_keys(loaded, plan)
        return plan, loaded.site


def _refuse_missing_keys(loaded: LoadedSite, plan: NodePlan) -> None:
    """Raises SiteError if this node has not got the keys of its VIPs: it could neither advertise nor believe."""
    problems = []
    for vip, params in dict.fromkeys((r.vip, r.authentication) for r in plan.routers):
        for number, ref in enumerate(() if params is None else params.keys):
            try:
                read_key(ref)
            except SecretUnavailable as error:
                place = ("also", number - 1, "hmac") if number else ("hmac",)
                where = loaded.source_map.at("vips", vip, "authentication", *place)
                cure = "the secrets of a VIP are the same on all its members; put the file there, mode 0600"
                problems.append(Problem("secret-unavailable", where, str(error), cure))
    if problems:
        raise SiteError(problems)


def _sentences(error: SiteError | UsageError) -> tuple[str, ...]:
    if isinstance(error, UsageError):
        return (str(error),)
    return tuple(f"{problem.where}: {problem.what}; {problem.cure}" for problem in error.problems)
