"""A node of which only the lease keeper is a process of its own: the Brain's and the holder's parts are played here."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from yaoki.core.codec import Codec
from yaoki.core.instant import Instant
from yaoki.election.lease_holder import LeaseHolder
from yaoki.election.lease_params import LeaseParams
from yaoki.election.store import StoreSpec
from yaoki.node.events import EVENT_KINDS
from yaoki.node.holder_messages import (
    HolderReport,
    HoldLeases,
    LeaseOver,
    LeaseSeen,
    LeaseValid,
    LeaseWish,
)
from yaoki.node.lease_messages import (
    ConfigureLeases,
    KeeperOrder,
    KeeperReport,
    LeaseState,
    LeaseStatus,
)
from yaoki.node.messages import Published
from yaoki.runtime.driver import monotonic_now
from yaoki.runtime.lease_keeper import HOLDER_SOCKET_NAME, SOCKET_NAME
from yaoki.runtime.link import LinkClient

WISH_EVERY_S = 0.1
WISH_FOR = timedelta(seconds=30)


async def until(condition: Callable[[], bool], *, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


def figure(text: str) -> None:
    """What was measured, for those who run with -s."""
    print(text)  # noqa: T201 - it is no part of the test


class KeeperNode:
    """One node with one lease. `others` are asked, with each grant, whether they answer too: see `conflicts`."""

    def __init__(self, name: str, run_dir: Path, store: StoreSpec, params: LeaseParams) -> None:
        self.name = name
        self.others: list[KeeperNode] = []
        self.conflicts: list[str] = []
        self.holder = LeaseHolder()
        self.wanting = False
        self.heard: list[tuple[Instant, HolderReport]] = []
        self.reports: list[LeaseStatus | Published] = []
        self._run_dir = run_dir
        self._key = params.key
        self._configuration = ConfigureLeases(store, (params,))
        self._codec = Codec(EVENT_KINDS)
        self._process: asyncio.subprocess.Process | None = None
        self._wishing: asyncio.Task[None] | None = None
        self._make_links()

    # --- the process --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the keeper, or start it again."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        words = ("-m", "yaoki.runtime.lease_keeper", "--node", self.name, "--run-dir", str(self._run_dir))
        self._process = await asyncio.create_subprocess_exec(sys.executable, *words)
        self.main.connect()
        self.link.connect()
        if self._wishing is None:
            self._wishing = asyncio.get_running_loop().create_task(self._go_on_wishing())
        await until(lambda: any(isinstance(each, LeaseStatus) for each in self.reports))

    async def start_anew(self) -> None:
        """After `die`: a keeper and a holder that know nothing."""
        await self.exit_status()
        self.holder = LeaseHolder()
        self.reports.clear()
        self._make_links()
        self.wanting = True
        await self.start()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def exit_status(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(20):
            return await self._process.wait()

    async def close(self) -> None:
        if self._wishing is not None:
            self._wishing.cancel()
        self.main.close()
        self.link.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    # --- what it is told ----------------------------------------------------------------------------------------------

    def order(self, order: KeeperOrder) -> None:
        """As the Brain."""
        self.main.send(self._codec.encode(order))

    def wish(self) -> None:
        """As the holder."""
        if self.wanting:
            self.holder.want()
        wishes = (LeaseWish(self._key, self.holder.claim),) if self.holder.wanted else ()
        self.link.send(self._codec.encode(HoldLeases(wishes, monotonic_now() + WISH_FOR)))

    def give_up(self) -> None:
        """As the holder: silent first, then say so."""
        self.wanting = False
        self.holder.gave_up()
        self.wish()

    def die(self) -> None:
        """Keeper and holder are gone at once."""
        self.signal(signal.SIGKILL)
        self.wanting = False
        self.main.close()
        self.link.close()

    # --- what it says -------------------------------------------------------------------------------------------------

    @property
    def answers(self) -> bool:
        return self.holder.answers(monotonic_now())

    @property
    def state(self) -> LeaseState:
        return next(each.state for each in reversed(self.reports) if isinstance(each, LeaseStatus))

    def losses(self) -> list[LeaseOver]:
        return [report for _, report in self.heard if isinstance(report, LeaseOver)]

    def longest_gap(self, since: Instant) -> timedelta:
        """The longest time between two grants, of which the second came after `since`."""
        grants = [at for at, report in self.heard if isinstance(report, LeaseValid)]
        return max(later - earlier for earlier, later in pairwise(grants) if later >= since)

    def _main_hears(self, message: bytes) -> None:
        self.reports.append(self._codec.decode(message, KeeperReport))

    def _holder_hears(self, message: bytes) -> None:
        report: HolderReport = self._codec.decode(message, HolderReport)
        self.heard.append((monotonic_now(), report))
        match report:
            case LeaseValid():
                self.holder.granted(claim=report.claim, epoch=report.epoch, valid_until=report.valid_until)
            case LeaseOver():
                self.holder.over()
            case LeaseSeen():
                pass
        answering = [node.name for node in (self, *self.others) if node.answers]
        if len(answering) > 1:
            self.conflicts.append(f"{' and '.join(answering)} answer at {monotonic_now()}")

    async def _go_on_wishing(self) -> None:
        while True:
            self.wish()
            await asyncio.sleep(WISH_EVERY_S)

    def _make_links(self) -> None:
        self.main = self._link(SOCKET_NAME, self._main_hears, lambda: self.order(self._configuration))
        self.link = self._link(HOLDER_SOCKET_NAME, self._holder_hears, self.wish)

    def _link(self, name: str, on_message: Callable[[bytes], None], on_up: Callable[[], None]) -> LinkClient:
        return LinkClient(self._run_dir / name, on_message=on_message, on_up=on_up, on_down=lambda _: None)
