"""Whether what a node's VIPs track works: services by their servers, probes by their verdicts.

Invariant: nothing is known of what the plan does not track; what has not been judged yet neither works nor fails.
"""

from collections.abc import Iterable, Mapping

from yaoki.checks.check import CheckId
from yaoki.node.decisions import Decisions
from yaoki.node.messages import VerdictChanged
from yaoki.node.service_pools import ServicePools
from yaoki.pool.member import Health
from yaoki.site.model import TrackedService
from yaoki.site.node_plan import NodePlan, Tracked, TrackedProbe


class TrackHealth:
    """What is tracked under one plan, in its order; of no plan: nothing."""

    def __init__(self, plan: NodePlan | None = None) -> None:
        tracked = dict.fromkeys(track.tracked for track in (() if plan is None else plan.tracks))
        self._services = {each.name: each for each in tracked if isinstance(each, TrackedService)}
        self._probes: dict[CheckId, tuple[TrackedProbe, ...]] = {}
        for each in tracked:
            if isinstance(each, TrackedProbe):
                self._probes[each.check] = (*self._probes.get(each.check, ()), each)
        self._works: dict[Tracked, bool] = {}

    def works(self, tracked: Tracked) -> bool | None:
        """Whether it works; None before anybody knows."""
        return self._works.get(tracked)

    def of_check(self, check: CheckId) -> tuple[TrackedProbe, ...]:
        """The tracks of a check."""
        return self._probes.get(check, ())

    @property
    def spoken(self) -> bool:
        """Whether every tracked check has a verdict."""
        return all(probe in self._works for probes in self._probes.values() for probe in probes)

    def note_services(self, names: Iterable[str], pools: ServicePools, decisions: Decisions) -> bool:
        """Look at these services; whether one fails or works that did not before."""
        changed = False
        for name in sorted(names):
            if (service := self._services.get(name)) is not None:
                works = not pools.has_failed(name, decisions)
                changed = changed or self._works.get(service, True) is not works
                self._works[service] = works
        return changed

    def note_verdicts(self, verdicts: Mapping[CheckId, VerdictChanged]) -> None:
        """Take in the verdicts that are known of tracked checks."""
        for check, probes in self._probes.items():
            verdict = verdicts.get(check)
            if verdict is not None and verdict.health is not Health.UNKNOWN:
                for probe in probes:
                    self._works[probe] = verdict.health is Health.UP
