"""The processes beside the node process: speaker, check worker, lease keeper and flow copier, their links, what comes
over them.

Lease keeper and flow copier are started by their first order: many nodes need none.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from yaoki.core.codec import Codec, Undecodable
from yaoki.core.event import EventBody
from yaoki.node.brain_events import Part, PartUnfit
from yaoki.node.brain_messages import (
    BrainInput,
    CopierLost,
    CopierReached,
    KeeperLost,
    KeeperReached,
    SpeakerBack,
    SpeakerLost,
    WorkerBack,
    WorkerLost,
)
from yaoki.node.flow_messages import CopierOrder, CopierReport
from yaoki.node.lease_messages import KeeperOrder, KeeperReport
from yaoki.node.messages import CheckStatusReport, GuardPrograms, ShardOrder, ShardReport, SpeakerOrder, SpeakerReport
from yaoki.runtime.check_reports import CheckReports
from yaoki.runtime.part_keeper import PartKeeper

SPEAKER_GRACE = timedelta(seconds=2)
"""How much longer than its routers a speaker may take to leave before it is ended."""
SUCCESSION = timedelta(seconds=25)
"""How long a speaker may take to take another's place; it waits for a virtual router that leaves."""
WORKER_GRACE = timedelta(seconds=2)
KEEPER_GRACE = timedelta(seconds=6)
"""How long a lease keeper may take to tell the store of what is released."""

COPIER_GRACE = timedelta(seconds=2)
_ON_DEMAND = (Part.LEASES, Part.FLOWS)

_REPORTS: dict[Part, Any] = {
    Part.SPEAKER: SpeakerReport,
    Part.CHECKS: ShardReport,
    Part.LEASES: KeeperReport,
    Part.FLOWS: CopierReport,
}
_BACK: dict[Part, type[SpeakerBack] | type[WorkerBack] | type[KeeperReached] | type[CopierReached]] = {
    Part.SPEAKER: SpeakerBack,
    Part.CHECKS: WorkerBack,
    Part.LEASES: KeeperReached,
    Part.FLOWS: CopierReached,
}
_LOST: dict[Part, type[SpeakerLost] | type[WorkerLost] | type[KeeperLost] | type[CopierLost]] = {
    Part.SPEAKER: SpeakerLost,
    Part.CHECKS: WorkerLost,
    Part.LEASES: KeeperLost,
    Part.FLOWS: CopierLost,
}
SOCKETS = {
    Part.SPEAKER: "speaker.sock",
    Part.CHECKS: "checks.sock",
    Part.LEASES: "lease.sock",
    Part.FLOWS: "flows.sock",
}


class Parts:
    """All of them. `commands` start them; `give` takes what they say, `note` what befell them."""

    def __init__(
        self,
        run_dir: Path,
        codec: Codec,
        commands: dict[Part, Sequence[str]],
        *,
        give: Callable[[BrainInput], None],
        note: Callable[[EventBody], None],
    ) -> None:
        self._codec = codec
        self._give = give
        self._note = note
        self._unfit: set[Part] = set()
        self._keepers = {part: self._keeper(part, commands[part], run_dir / SOCKETS[part]) for part in Part}
        self._from_before = [part for part in _ON_DEMAND if (run_dir / SOCKETS[part]).exists()]
        self._started: set[Part] = set()
        self.checks = CheckReports(self.tell_worker)

    def start(self) -> None:
        """Adopt those that live, start the others."""
        for part in Part:
            if part not in _ON_DEMAND or part in self._from_before:
                self._start(part)

    def tell_speaker(self, order: SpeakerOrder | GuardPrograms) -> None:
        """Send it if the speaker is reached; the whole wish is repeated when it is."""
        self._keepers[Part.SPEAKER].send(self._codec.encode(order))

    def tell_worker(self, order: ShardOrder) -> None:
        """As tell_speaker, for the check worker."""
        self._keepers[Part.CHECKS].send(self._codec.encode(order))

    def tell_on_demand(self, order: KeeperOrder | CopierOrder) -> None:
        """As tell_speaker, for the lease keeper or the flow copier, which is started by its first order."""
        part = Part.FLOWS if isinstance(order, CopierOrder) else Part.LEASES
        self._start(part)
        self._keepers[part].send(self._codec.encode(order))

    def _start(self, part: Part) -> None:
        if part not in self._started:
            self._started.add(part)
            self._keepers[part].start()

    async def give_up(self) -> None:
        """The node cannot start: parts of an earlier life go on with what they have, new ones end."""
        for keeper in self._keepers.values():
            if keeper.adopted:
                keeper.leave()
            else:
                await keeper.end(WORKER_GRACE, asked=False)

    async def succeed_speaker(self) -> bool:
        """Have the speaker of this version take the place of the one that runs, without a pause; whether it has."""
        return await self._keepers[Part.SPEAKER].succeed("--succeed", patience=SUCCESSION)

    def leave(self, *, renewed: Sequence[Part]) -> None:
        """The node process restarts. Those `renewed` are killed, without a chance to release: what a part holds in the
        kernel, its successor takes up."""
        for part, keeper in self._keepers.items():
            if part in renewed:
                keeper.kill()
            keeper.leave()

    async def end(self, leaving: timedelta) -> None:
        """The node stops; the speaker has been told to release, for which its routers take up to `leaving`."""
        speaker = self._keepers[Part.SPEAKER]
        await speaker.end(SPEAKER_GRACE + leaving, asked=speaker.is_up)
        # After the speaker, which has fallen silent first.
        await self._keepers[Part.LEASES].end(KEEPER_GRACE, asked=False)
        await self._keepers[Part.FLOWS].end(COPIER_GRACE, asked=False)
        await self._keepers[Part.CHECKS].end(WORKER_GRACE, asked=False)

    def _keeper(self, part: Part, command: Sequence[str], path: Path) -> PartKeeper:
        return PartKeeper(
            part,
            command,
            path,
            on_message=lambda message: self._heard(part, message),
            on_up=lambda: self._reached(part),
            on_down=lambda why: self._give(_LOST[part](why)),
            report=self._note,
        )

    def _reached(self, part: Part) -> None:
        self._unfit.discard(part)
        self._give(_BACK[part]())

    def _heard(self, part: Part, message: bytes) -> None:
        try:
            report: SpeakerReport | ShardReport | KeeperReport | CopierReport = self._codec.decode(
                message, _REPORTS[part]
            )
        except Undecodable as error:
            # Told once for each connection: a part of another version says everything in its own way.
            if part not in self._unfit:
                self._unfit.add(part)
                self._note(PartUnfit(part, str(error)))
            return
        if isinstance(report, CheckStatusReport):
            self.checks.take(report)
        else:
            self._give(report)
