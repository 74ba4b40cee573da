"""Site files as somebody might edit them while the nodes run: plans that differ.

Invariant: virtual routers and tracks are those of the plan that is altered; whether a VIP is withdrawn depends on which
services are disabled only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.checks.check import CheckSpec
from yaoki.sim.faults import Alteration
from yaoki.site.model import TrackedService
from yaoki.site.node_plan import NodePlan, ServicePlan, TrackedProbe

LIGHTER = 2
MORE_OFTEN = 2
_WHOLE = timedelta(milliseconds=1)


def altered(plan: NodePlan, alterations: Sequence[Alteration], disabled: Iterable[str] = ()) -> NodePlan:
    """The plan with each of these alterations once, however often it is given, and without these services."""
    for alteration in dict.fromkeys(alterations):
        plan = replace(_altered(plan, alteration), generation=f"{plan.generation}, other {alteration}")
    names = sorted(set(disabled))
    if not names:
        return plan
    services = (replace(s, enabled=s.enabled and s.name not in names) for s in plan.services)
    return replace(plan, services=tuple(services), generation=f"{plan.generation}, {', '.join(names)} disabled")


def _altered(plan: NodePlan, alteration: Alteration) -> NodePlan:
    match alteration:
        case Alteration.WEIGHTS:
            return replace(plan, services=tuple(_lighter(service) for service in plan.services))
        case Alteration.SCHEDULES:
            return replace(plan, checks=tuple(_more_often(check) for check in plan.checks))
        case Alteration.SERVICE:
            tracked = {track.tracked.name for track in plan.tracks if isinstance(track.tracked, TrackedService)}
            last = next((s.name for s in reversed(plan.services) if s.name not in tracked), None)
            kept = tuple(service for service in plan.services if service.name != last)
            used = {check for service in kept for server in service.servers for check in server.checks}
            used |= {track.tracked.check for track in plan.tracks if isinstance(track.tracked, TrackedProbe)}
            return replace(plan, services=kept, checks=tuple(check for check in plan.checks if check.id in used))
        case _:
            assert_never(alteration)


def _lighter(service: ServicePlan) -> ServicePlan:
    servers = (replace(server, weight=max(1, server.weight // LIGHTER)) for server in service.servers)
    return replace(service, servers=tuple(servers))


def _more_often(check: CheckSpec) -> CheckSpec:
    interval = max(check.schedule.interval / MORE_OFTEN // _WHOLE * _WHOLE, _WHOLE)
    return replace(check, schedule=replace(check.schedule, interval=interval))
