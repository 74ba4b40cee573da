"""The journal in the life of a process: written when something changes, tried again when the disk says no.

A disk that is full or gone never stops the node: what could not be written is in memory, is told as an event, and is
written again every RETRY_S until it works.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yaoki.core.event import EventBody
from yaoki.node.brain_events import JournalUnwritten, JournalWritten
from yaoki.node.decisions import Decisions
from yaoki.runtime.journal import Journal, JournalContent, Trial
from yaoki.site.node_plan import NodePlan

RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Crash:
    """A mistake of ours that ended the process before this one, and how often in a row."""

    why: str
    times: int


class JournalKeeper:
    """Owns the journal. `report` is told when it cannot be written, and when it can again."""

    def __init__(self, directory: Path, report: Callable[[EventBody], None], *, retry_s: float = RETRY_S) -> None:
        self._journal = Journal(directory)
        self._report = report
        self._retry_s = retry_s
        self._failing = False
        self._crashing = False
        trial = self._journal.content.trial
        self.crash = Crash(trial.why, trial.crashes) if trial is not None and trial.why else None

    @property
    def content(self) -> JournalContent:
        return self._journal.content

    @property
    def last_good(self) -> NodePlan | None:
        return self._journal.last_good

    @property
    def unreadable(self) -> str | None:
        return self._journal.unreadable

    def crashes_of(self, generation: str) -> int:
        """How often in a row the process died with this plan before it had proved itself."""
        trial = self.content.trial
        return trial.crashes if trial is not None and trial.generation == generation else 0

    def started(self, plan: NodePlan) -> None:
        """A process has started with this plan. One that was on trial already has not survived it.

        The first plan of all is the last good one until there is a better: it is all there is to fall back on.
        """
        generation = plan.generation
        trial = self.content.trial
        crashes = 0
        if trial is not None and trial.generation == generation:
            # A crash that was noticed is counted already; one that was not (kill -9) is counted now.
            crashes = trial.crashes if trial.why else trial.crashes + 1
        self._write(lambda: self._journal.change(starts=self.content.starts + 1))
        if self.last_good is None:
            self._write(lambda: self._journal.keep_last_good(plan))
        self._write(lambda: self._journal.try_out(Trial(generation, crashes)))

    def on_trial(self, generation: str) -> None:
        """Another plan has come into force."""
        trial = self.content.trial
        if trial is None or trial.generation != generation:
            self._write(lambda: self._journal.try_out(Trial(generation)))

    @property
    def crashing(self) -> bool:
        """Whether this process is about to end because of a mistake of ours."""
        return self._crashing

    def crashed(self, why: str) -> None:
        """The process is about to end because of a mistake of ours."""
        self._crashing = True
        trial = self.content.trial or Trial("")
        self._write(lambda: self._journal.try_out(Trial(trial.generation, trial.crashes + 1, why)))

    def prove(self, plan: NodePlan) -> None:
        """The plan has proved itself: it is the last good one."""
        self._write(lambda: self._journal.keep_last_good(plan))
        self._write(lambda: self._journal.try_out(None))

    async def prove_beside(self, plan: NodePlan) -> None:
        """As `prove`, without holding up the event loop while a large plan is written."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self._journal.keep_last_good, plan)
        except OSError as error:
            self._failed(error)
        self._write(lambda: self._journal.try_out(None))

    def keep(self, decisions: Decisions) -> None:
        """What people decided."""
        self._write(lambda: self._journal.change(decisions=decisions))

    def keep_sysctls(self, sysctls: tuple[tuple[str, str], ...]) -> None:
        """Original values of kernel parameters."""
        self._write(lambda: self._journal.change(sysctls=sysctls))

    def remove(self) -> None:
        """Delete it all."""
        self._journal.remove()

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            self._report(JournalUnwritten(error.strerror or str(error)))
            asyncio.get_running_loop().call_later(self._retry_s, self._again)

    def _again(self) -> None:
        try:
            self._journal.write()
        except OSError:
            asyncio.get_running_loop().call_later(self._retry_s, self._again)
            return
        self._failing = False
        self._report(JournalWritten())
