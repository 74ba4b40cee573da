"""When the balancer plane is asked for what: one apply at a time, the latest wish next, refusals tried again. A server
that takes less by a wish that has to wait is taken out meanwhile.

Invariants: after the last input the plane is asked for the last wish, unless it has it already; that it has it is
believed only if nobody was taken out since it was asked.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from yaoki.core.event import Emit, EventBody, EventId
from yaoki.core.instant import Deadline, Instant
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason
from yaoki.lb.service import Desired, ServiceKey
from yaoki.lb.taking_out import taken_out
from yaoki.node.brain_events import (
    BalancerApplied,
    BalancerRefused,
    NotOnWishedPlane,
    ServiceCarried,
    ServiceNotCarried,
)
from yaoki.node.brain_messages import ApplyBalancer, ApplyFinished, TakeOutServers

FIRST_RETRY = timedelta(milliseconds=200)
LONGEST_RETRY = timedelta(seconds=10)
SHOWN_CHANGES = 10
SHOWN_SERVICES = 10


class BalancerWish:
    """What was asked of the plane, what it has, and why the next is asked."""

    def __init__(self) -> None:
        self.has: Desired | None = None
        self.refusal: str | None = None
        self.planes: dict[ServiceKey, PlaneChoice] = {}
        """Which plane carries each service that the plane has, and why."""
        self.finished_at: Instant | None = None
        self._asked: Desired | None = None
        self._most = Desired()
        """What was asked last, less those who were taken out since."""
        self._overtaken = False
        self._because: EventId | None = None
        self._asked_because: EventId | None = None
        self._retry_at: Instant | None = None
        self._pause = FIRST_RETRY

    @property
    def settled(self) -> bool:
        """Whether the plane has taken a wish, and nothing is under way."""
        return self.has is not None and self._asked is None and self.refusal is None

    def because(self, cause: EventId | None) -> None:
        """Whatever is asked next is asked because of this."""
        self._because = cause

    def deadline(self) -> Deadline | None:
        """When a refused wish is tried again."""
        return None if self._retry_at is None else Deadline(self._retry_at, "balancer retry")

    def apply(self, now: Instant, desired: Desired) -> list[ApplyBalancer | TakeOutServers]:
        """Ask for `desired` if the plane lacks it and is free; else for as much of it as cannot wait."""
        if self._asked is not None or (self._retry_at is not None and now < self._retry_at):
            return self._overtake(desired)
        if desired == self.has and self.refusal is None and not self._overtaken:
            return []
        self._asked, self._asked_because, self._retry_at = desired, self._because, None
        self._most, self._overtaken = desired, False
        return [ApplyBalancer(desired, self._because)]

    def _overtake(self, desired: Desired) -> list[ApplyBalancer | TakeOutServers]:
        before, self._most = self._most, taken_out(self._most, desired)
        if self._most is before:
            return []
        self._overtaken = True
        return [TakeOutServers(desired)]

    def finished(self, now: Instant, end: ApplyFinished) -> list[Emit]:
        """What to tell of an apply that has ended."""
        asked, self._asked = self._asked, None
        self.finished_at = now
        if end.error is None:
            self.has, self.refusal, self._pause = asked, None, FIRST_RETRY
            before, self.planes = self.planes, dict(end.planes)
            told: list[EventBody] = []
            if end.changes:
                told.append(BalancerApplied(end.changes[:SHOWN_CHANGES], len(end.changes), end.took))
            told += _misplaced(asked, before, self.planes)
            told += _carried(before, self.planes)
            return [Emit(body, self._asked_because) for body in told]
        repeated = self.refusal == end.error
        self.refusal, self._retry_at = end.error, now + self._pause
        refused = Emit(BalancerRefused(end.error, self._pause), self._asked_because)
        self._pause = min(2 * self._pause, LONGEST_RETRY)
        return [] if repeated else [refused]


def _misplaced(
    asked: Desired | None, before: Mapping[ServiceKey, PlaneChoice], after: Mapping[ServiceKey, PlaneChoice]
) -> list[NotOnWishedPlane]:
    """Of services that are from now on where the file does not want them; those with one reason are told as one."""
    found: dict[PlaneChoice, list[str]] = {}
    for service in () if asked is None else asked.services:
        choice = after.get(service.key)
        if choice is None or choice == before.get(service.key):
            continue
        if choice.reason is PlaneReason.NO_XDP or (choice.reason is PlaneReason.UNABLE and service.plane.is_bpf):
            found.setdefault(choice, []).append(f"{service.name} {service.key}")
    return [
        NotOnWishedPlane(tuple(names[:SHOWN_SERVICES]), len(names), choice.plane, choice.reason, choice.why)
        for choice, names in found.items()
    ]


def _carried(before: Mapping[ServiceKey, PlaneChoice], after: Mapping[ServiceKey, PlaneChoice]) -> Iterator[EventBody]:
    """Services that nobody carries since now, and those that somebody does again."""
    for key, choice in after.items():
        was = before.get(key)
        if choice.plane is Plane.NONE and choice != was:
            yield ServiceNotCarried(key, choice.why)
        elif choice.plane is not Plane.NONE and was is not None and was.plane is Plane.NONE:
            yield ServiceCarried(key)
