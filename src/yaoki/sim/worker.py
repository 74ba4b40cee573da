"""The simulated check worker: a CheckShard whose probes are answered by the simulated servers.

Invariant: every StartProbe is answered by one ProbeFinished unless the worker dies first.
"""

from collections.abc import Callable
from functools import partial

from yaoki.checks.check import CheckSpec, Finding
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.node.check_shard import CheckShard
from yaoki.node.messages import (
    ConfigureChecks,
    ProbeFinished,
    Published,
    ShardEffect,
    ShardInput,
    StartProbe,
    VerdictChanged,
)
from yaoki.sim.process import Process
from yaoki.sim.surroundings import Surroundings

# A probe of a machine that answers takes from half a millisecond to three; of one that does not, what its timeout says.
ANSWER_US = (500, 3_000)


class Worker:
    """The check worker of one node. `probe` asks the servers; `report` goes to the main process."""

    def __init__(
        self, around: Surroundings, *, probe: Callable[[CheckSpec], Finding], report: Callable[[object], None]
    ) -> None:
        self._around = around
        self._probe = probe
        self._report = report
        self._incarnation = 0
        # By number; those of checks that are taken out meanwhile count for nothing.
        self._in_flight: dict[int, CheckSpec] = {}
        self.process: Process[ShardInput, ShardEffect] = Process(
            f"{around.node}/checks",
            around.timeline,
            clock=around.clock,
            chance=around.chance,
            sink=self._perform,
            observer=around.witness,
        )

    def start(self) -> None:
        """Begin with an empty shard."""
        self._incarnation += 1
        self._in_flight.clear()
        shard = CheckShard(f"{self.process.name}.{self._incarnation}")
        self.process.start(_Watched(shard, self._taken))

    def order(self, message: ShardInput) -> None:
        """A message of the main process arrived."""
        self.process.give(message)

    def _taken(self, input_: ShardInput | TimerFired) -> None:
        """The worker reads something that may have waited for it."""
        around = self._around
        if isinstance(input_, ConfigureChecks):
            checks = tuple(check.id for check in input_.checks)
            kept = frozenset(checks)
            self._in_flight = {number: check for number, check in self._in_flight.items() if check.id in kept}
            around.witness.checks_configured(around.node, checks)
        elif isinstance(input_, ProbeFinished):
            check = self._in_flight.pop(input_.number, None)
            if check is not None:
                around.witness.probed(around.node, check, input_.finding)

    def _perform(self, effect: ShardEffect) -> None:
        if isinstance(effect, StartProbe):
            finding = self._probe(effect.check)
            self._in_flight[effect.number] = effect.check
            if finding.passed:
                delay = self._around.chance.between(*ANSWER_US)
            else:
                delay = 1 + int(finding.took.total_seconds() * 1_000_000)
            self._around.timeline.after(delay, partial(self._finish, effect, finding, self._incarnation))
            return
        if isinstance(effect, Published):
            self._around.witness.published(self._around.node, effect.event)
        elif isinstance(effect, VerdictChanged):
            self._around.witness.judged(self._around.node, effect)
        self._report(effect)

    def _finish(self, start: StartProbe, finding: Finding, incarnation: int) -> None:
        if incarnation == self._incarnation and self.process.machine is not None:
            self.process.give(ProbeFinished(start.number, finding))


class _Watched:
    """A shard, and somebody who is told of each input before it is."""

    def __init__(self, shard: CheckShard, taken: Callable[[ShardInput | TimerFired], None]) -> None:
        self._shard = shard
        self._taken = taken
        self.deadline = shard.deadline

    def handle(self, now: Instant, input_: ShardInput | TimerFired, /) -> list[ShardEffect]:
        """See Machine."""
        self._taken(input_)
        return self._shard.handle(now, input_)
