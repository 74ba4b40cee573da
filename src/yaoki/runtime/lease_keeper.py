"""The lease keeper: one process that holds a node's leases in the store, and nothing else.

    python -m yaoki.runtime.lease_keeper --node N --run-dir D

It listens on D/lease.sock for the node process and on D/lease-holder.sock for the speaker. It goes on without the node
process; without both, and with nothing held, it ends after ALONE_LIMIT. SIGTERM ends it when its leases are released,
after END_LIMIT at the latest: a lease that is still held then runs out, which is safe, and takes a successor longer.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from yaoki.core.codec import Codec, Undecodable
from yaoki.core.event import Emit, EventNumbering
from yaoki.core.machine import TimerFired
from yaoki.election.lease_record import Claimant
from yaoki.election.store import KeyState, StoreRequest, StoreResult, StoreSpec
from yaoki.node.holder_messages import (
    HolderOrder,
    LeaseOver,
    LeaseSeen,
    LeaseValid,
)
from yaoki.node.lease_keeper import LeaseKeeper
from yaoki.node.lease_messages import (
    AskStore,
    EndLeases,
    HolderBack,
    HolderGone,
    KeeperEffect,
    KeeperInput,
    KeeperOrder,
    KeySeen,
    LeaseStatus,
    OpenStore,
    RepeatLeaseStatus,
    StoreSaid,
    WatchKeys,
)
from yaoki.node.messages import Published
from yaoki.node.speaker_events import OrderUnreadable
from yaoki.runtime.driver import Driver, monotonic_now
from yaoki.runtime.part_process import AsyncioPoller, Reports, run_part
from yaoki.runtime.polled_link import PolledLinkServer
from yaoki.runtime.stores import StoreDriver
from yaoki.runtime.stores.opening import open_store

SOCKET_NAME = "lease.sock"
HOLDER_SOCKET_NAME = "lease-holder.sock"
LOCK_NAME = "lease.lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ALONE_LIMIT = timedelta(seconds=60)
END_LIMIT = timedelta(seconds=5)


class LeaseKeeperProcess:
    """The process, from its first to its last turn."""

    def __init__(self, node: str, run_dir: Path, boot: str) -> None:
        # The process id keeps event ids of different lives apart.
        self._machine = LeaseKeeper(f"{node}/lease.{os.getpid()}", Claimant(node, boot))
        self._own_events = EventNumbering(f"{node}/lease.{os.getpid()}.process")
        self._driver: Driver[KeeperInput, KeeperEffect] = Driver(self._machine, self._perform)
        self._codec = Codec()
        poller = AsyncioPoller()
        self._main = PolledLinkServer(
            run_dir / SOCKET_NAME,
            poller,
            on_message=lambda message: self._told(message, KeeperOrder),
            on_up=self._reached,
            on_down=lambda _: self._left(),
        )
        self._holder = PolledLinkServer(
            run_dir / HOLDER_SOCKET_NAME,
            poller,
            on_message=lambda message: self._told(message, HolderOrder),
            on_up=self._holder_reached,
            on_down=lambda _: self._holder_left(),
        )
        self._store: StoreDriver | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._reports = Reports(self._main, self._codec)
        self._alone: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Work until told to end or left alone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        self._main.listen()
        self._holder.listen()
        self._left()
        await self._over.wait()
        self._driver.close()
        self._main.close()
        self._holder.close()
        self._close_store()
        await asyncio.gather(*self._closing)

    def _give(self, input_: KeeperInput | TimerFired) -> None:
        self._driver.give(input_)
        if self._machine.ended:
            self._over.set()

    def _perform(self, effect: KeeperEffect) -> None:
        match effect:
            case LeaseValid() | LeaseOver() | LeaseSeen():
                self._holder.send(self._codec.encode(effect))
            case AskStore():
                assert self._store is not None, "leases come after their store"
                self._store.ask(effect.request, effect.limit)
            case WatchKeys():
                assert self._store is not None, "leases come after their store"
                self._store.watch(effect.keys, effect.silence)
            case OpenStore():
                self._open(effect.store)
            case LeaseStatus() | Published():
                self._reports.send(effect)

    # --- the store ----------------------------------------------------------------------------------------------------

    def _open(self, spec: StoreSpec) -> None:
        self._close_store()

        def answered(request: StoreRequest, result: StoreResult) -> None:
            if self._store is store:  # a store that was replaced is not heard any more
                self._give(StoreSaid(request, result))

        def seen(key: str, state: KeyState) -> None:
            if self._store is store:
                self._give(KeySeen(key, state))

        store = self._store = open_store(spec, answered, seen)

    def _close_store(self) -> None:
        if self._store is not None:
            task = asyncio.get_running_loop().create_task(self._store.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._store = None

    # --- the links ----------------------------------------------------------------------------------------------------

    def _told(self, message: bytes, type_: object) -> None:
        try:
            order: KeeperOrder | HolderOrder = self._codec.decode(message, type_)
        except Undecodable as error:
            self._reports.send(Published(self._own_events.event(monotonic_now(), Emit(OrderUnreadable(str(error))))))
            return
        self._give(order)

    def _reached(self) -> None:
        self._stay()
        self._reports.send_kept()
        self._give(RepeatLeaseStatus())

    def _holder_reached(self) -> None:
        self._stay()
        self._give(HolderBack())

    def _holder_left(self) -> None:
        self._left()
        self._give(HolderGone())

    # --- the end ------------------------------------------------------------------------------------------------------

    def _stay(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None

    def _left(self) -> None:
        if not self._main.is_up and not self._holder.is_up and self._alone is None:
            self._alone = asyncio.get_running_loop().call_later(ALONE_LIMIT.total_seconds(), self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().call_later(END_LIMIT.total_seconds(), self._over.set)
        self._give(EndLeases())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; its exit status."""
    return run_part("lease keeper", LOCK_NAME, _run, arguments)


async def _run(node: str, run_dir: Path) -> None:
    await LeaseKeeperProcess(node, run_dir, BOOT_ID.read_text().strip()).run()


if __name__ == "__main__":
    sys.exit(main())
