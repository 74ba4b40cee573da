"""A plan on trial: unless somebody keeps it in time, what was in force before it comes back.

For changes that may cut off whoever makes them, and who could not take them back then. The trial ends with the process:
one that starts anew takes its site file as it is.

Limits: SHORTEST to LONGEST.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from yaoki.core.event import EventBody
from yaoki.node.brain_events import PlanKept, PlanOnTrial, PlanTakenBack
from yaoki.site.node_plan import NodePlan

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class InForce:
    """A plan, and the file that it was read from."""

    plan: NodePlan
    path: Path


@dataclass(slots=True)
class _Trial:
    former: InForce
    generation: str
    timer: asyncio.TimerHandle


class PlanTrial:
    """At most one at a time, on the running event loop. `take_back` puts in force what was before one that is over;
    `note` is told what happens."""

    def __init__(self, take_back: Callable[[InForce], None], note: Callable[[EventBody], None]) -> None:
        self._take_back = take_back
        self._note = note
        self._trial: _Trial | None = None

    def begin(self, former: InForce, generation: str, limit: timedelta) -> None:
        """The plan of this generation has come into force. A trial within a trial goes back to what was before both."""
        if self._trial is not None:
            former = self._trial.former
        self.end()
        timer = asyncio.get_running_loop().call_later(limit.total_seconds(), self._over)
        self._trial = _Trial(former, generation, timer)
        self._note(PlanOnTrial(generation, limit))

    def keep(self) -> bool:
        """What is on trial stays in force; False if nothing is."""
        if self._trial is None:
            return False
        self._note(PlanKept(self._trial.generation))
        self.end()
        return True

    def end(self) -> None:
        """Forget it: what is in force now was put there for good, or the process ends."""
        if self._trial is not None:
            self._trial.timer.cancel()
            self._trial = None

    def _over(self) -> None:
        assert self._trial is not None, "the timer runs during a trial only"
        trial, self._trial = self._trial, None
        self._note(PlanTakenBack(trial.generation))
        self._take_back(trial.former)
