"""The data checks of stateful VIPs: when they run, and what their answers mean.

A check runs while a router of its VIP is in quarantine on this node: at once, and again an interval after it ended. Its
yes releases the VIP, and with it what belongs to its sync group; there every VIP in quarantine must have its yes.

Invariants: at most one run of each check at a time; an answer counts only for the quarantine that it was asked in.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from yaoki.core.event import Emit, EventId
from yaoki.core.instant import Deadline, Instant
from yaoki.node.brain_events import DataFoundCurrent, DataNotCurrent
from yaoki.node.brain_messages import CheckData, DataChecked
from yaoki.node.decisions import vips_with
from yaoki.node.messages import AdmitRouter, Published, RouterStatus
from yaoki.site.model import DataCheck
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.events import Reason


class Telling(Protocol):
    """Makes an event of what is told."""

    def __call__(self, now: Instant, emit: Emit, /) -> Published: ...


class DataChecks:
    """See the module. `tell` makes the Brain's events."""

    def __init__(self, tell: Telling) -> None:
        self._tell = tell
        self._runs = 0
        self._running: dict[str, int] = {}
        self._due: dict[str, Instant] = {}
        self._current: set[str] = set()
        self._told: dict[str, str] = {}

    def deadline(self) -> Deadline | None:
        """The next run."""
        first = min(self._due.values(), key=lambda at: at.us, default=None)
        return None if first is None else Deadline(first, "data check")

    def look(
        self, now: Instant, plan: NodePlan, statuses: Iterable[RouterStatus], epochs: Mapping[str, int]
    ) -> list[CheckData]:
        """The checks to run now; `epochs` are those of the VIPs' leases, by the store's latest word."""
        waiting = quarantined(statuses)
        checks = {check.vip: check for check in plan.data_checks if check.vip in waiting}
        for vip in [vip for vip in {**self._running, **self._due} if vip not in checks]:
            self._running.pop(vip, None)
            self._due.pop(vip, None)
        self._current &= checks.keys()
        self._told = {vip: why for vip, why in self._told.items() if vip in checks}
        return [
            self._run(check, plan, epochs.get(vip))
            for vip, check in checks.items()
            if vip not in self._running and self._due.get(vip, now) <= now
        ]

    def _run(self, check: DataCheck, plan: NodePlan, epoch: int | None) -> CheckData:
        self._runs += 1
        self._running[check.vip] = self._runs
        self._due.pop(check.vip, None)
        environment = {"SITE": plan.site, "NODE": plan.node, "VIP": check.vip, "EPOCH": "" if epoch is None else epoch}
        return CheckData(check, self._runs, tuple((f"YAOKI_{name}", str(value)) for name, value in environment.items()))

    def ended(
        self, now: Instant, plan: NodePlan, statuses: Iterable[RouterStatus], ended: DataChecked
    ) -> list[Published | AdmitRouter]:
        """What an answer means."""
        check = next((check for check in plan.data_checks if check.vip == ended.vip), None)
        if check is None or self._running.get(ended.vip) != ended.run:
            return []
        del self._running[ended.vip]
        self._due[ended.vip] = now + check.interval
        if ended.why is not None:
            self._current.discard(ended.vip)
            if self._told.get(ended.vip) == ended.why:
                return []
            self._told[ended.vip] = ended.why
            return [self._tell(now, Emit(DataNotCurrent(ended.vip, ended.why)))]
        news: list[Published | AdmitRouter] = []
        if ended.vip not in self._current:
            self._current.add(ended.vip)
            self._told.pop(ended.vip, None)
            news.append(self._tell(now, Emit(DataFoundCurrent(ended.vip))))
        because = news[0].event.id if news and isinstance(news[0], Published) else None
        return [*news, *self._release(plan, ended.vip, quarantined(statuses), because)]

    def _release(
        self, plan: NodePlan, vip: str, waiting: Iterable[str], because: EventId | None
    ) -> Iterable[AdmitRouter]:
        together = vips_with(plan, vip)
        if together & {*waiting} <= self._current:
            yield from (AdmitRouter(router.key, because) for router in plan.routers if router.vip in together)


def quarantined(statuses: Iterable[RouterStatus]) -> tuple[str, ...]:
    """The VIPs of which a router is in quarantine here."""
    reason = Reason.QUARANTINED.value
    return tuple(dict.fromkeys(status.vip for status in statuses if status.reason == reason))
