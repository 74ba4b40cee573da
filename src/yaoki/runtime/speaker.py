"""The speaker: one small process that runs a node's virtual routers, and nothing else.

    python -m yaoki.runtime.speaker --node N --run-dir D [--succeed]

It listens on D/speaker.sock for the node process, goes on without it, and ends only when told to release or by SIGTERM,
which releases. Where a VIP is owned by lease it connects to its keeper, at D/lease-holder.sock. Look before you leap:
before a timer is acted on, everything that has arrived is heard, so that a stall of ours is never taken for a silence
of the peer.

Deliberately absent: threads, subprocesses, blocking writes, garbage collection.
"""

import argparse
import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import LocalError
from yaoki.core.event import Emit, EventBody, EventNumbering
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.linux.grace_periods import GracePeriods
from yaoki.linux.realtime import SCHEDULER, kernel_tick, make_punctual, stop_collecting
from yaoki.node.holder_messages import HolderOrder, HolderReport, KeeperBack, LeasesInherited
from yaoki.node.messages import (
    AbilitiesFound,
    ConfigureRouters,
    GuardPrograms,
    Published,
    ReleaseRouters,
    SendAdvertisement,
    SpeakerInput,
    SpeakerOrder,
    SpeakerReport,
)
from yaoki.node.speaker_brain import SpeakerBrain
from yaoki.node.speaker_events import OrderUnreadable, PunctualityRefused, SpeakerEnded, SpeakerStarted
from yaoki.runtime.polled_link import PolledLinkClient, PolledLinkServer
from yaoki.runtime.select_loop import READABLE, SelectLoop, monotonic_now
from yaoki.runtime.speaker_handover import HandOver, Predecessor
from yaoki.runtime.speaker_kernel import SpeakerKernel

SOCKET_NAME = "speaker.sock"
KEEPER_SOCKET_NAME = "lease-holder.sock"
MAX_KEPT_EVENTS = 1000
"""Events kept for a node process that is away; the oldest give way."""
REFRESH = timedelta(seconds=1)
"""How often every status is repeated to the node process."""
EXIT_RUNS_ALREADY = 75
"""sysexits.h, EX_TEMPFAIL."""
MAX_LOG_LINE = select.PIPE_BUF
"""A pipe that is ready takes so much without blocking."""
_ORDER = SpeakerOrder | GuardPrograms


class Speaker:
    """The process, from its first to its last turn."""

    def __init__(self, node: str, run_dir: Path) -> None:
        # The process id keeps event ids of different lives apart.
        boot = int.from_bytes(os.urandom(8))
        self._brain = SpeakerBrain(f"{node}/speaker.{os.getpid()}", boot=boot)
        self._own_events = EventNumbering(f"{node}/speaker.{os.getpid()}.process")
        self._loop = SelectLoop()
        self._kernel = SpeakerKernel(self._loop, give=self._give, tell=self._tell)
        self._codec = Codec()
        self._link = PolledLinkServer(
            run_dir / SOCKET_NAME,
            self._loop,
            on_message=self._told,
            on_up=self._reached,
            on_down=lambda _: None,
        )
        self._keeper = PolledLinkClient(
            run_dir / KEEPER_SOCKET_NAME,
            self._loop,
            on_message=self._keeper_says,
            on_up=lambda: self._give(KeeperBack()),
            on_down=lambda _: None,
        )
        self._reports: list[SpeakerReport] = []
        self._kept: deque[Published] = deque(maxlen=MAX_KEPT_EVENTS)
        self._refresh_at = monotonic_now()
        self._run_dir = run_dir
        self._lock: int | None = None
        self._hand_over = HandOver(run_dir, self._loop, self._brain.wishes)
        self._has_advertised = False
        self._grace_periods = GracePeriods()
        self._inherited: list[int] = []

    def begin(self) -> bool:
        """Take the run directory and look around; False if another speaker has it."""
        self._take_run_dir()
        if self._lock is None:
            return False
        self._tell(SpeakerStarted(os.getpid()))
        self._look_around(self._be_punctual())
        self._kernel.look_again()
        stop_collecting()
        return True

    def succeed(self) -> bool:
        """Take the place of the speaker that has the run directory. Raises LocalError if it does not hand over."""
        older = Predecessor(self._run_dir)
        self._tell(SpeakerStarted(os.getpid()))
        punctual = self._be_punctual()
        orders = older.wishes()
        routers = [params for order in orders if isinstance(order, ConfigureRouters) for params in order.routers]
        self._kernel.prepare(routers)
        stop_collecting()
        last = older.relieve()
        self._inherited = older.kept
        self._take_run_dir()
        if self._lock is None:
            return False
        self._look_around(punctual)
        # Before the interfaces, so that what is held is kept, and advertised with the priority that it had.
        self._give(LeasesInherited(last.leases))
        for order in last.orders or orders:
            self._obey(order)
        self._kernel.look_again()
        return True

    def _take_run_dir(self) -> None:
        """The lock of the directory is the speaker's; the kernel takes it back however the process ends."""
        lock = os.open(self._run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            self._lock = lock

    def _be_punctual(self) -> bool:
        refused = make_punctual()
        if refused:
            self._tell(PunctualityRefused(refused))
        return not any(why.startswith(SCHEDULER) for why in refused)

    def _look_around(self, punctual: bool) -> None:
        self._give(AbilitiesFound(self._kernel.find_gate(), punctual, kernel_tick()))

    def run(self) -> None:
        """Work until the VIPs are released, or another speaker has taken this one's place."""
        self._link.listen()
        self._hand_over.listen()
        with _readable_on(signal.SIGTERM, signal.SIGINT) as signals:
            self._loop.attach(signals.fileno(), READABLE, lambda _: self._give(ReleaseRouters()))
            while not self._brain.released:
                self._turn()
                if self._may_hand_over():
                    self._fall_silent()
                    return
            self._loop.detach(signals.fileno())
        self._tell(SpeakerEnded(os.getpid()))
        self._report()
        self._kernel.remove_gate()
        self._close()
        self._grace_periods.shorten(None)
        self._hand_over.close()

    def _close(self) -> None:
        self._link.close()
        self._keeper.close()
        self._kernel.close()

    def _may_hand_over(self) -> bool:
        """A newer one is ready, nothing is under way, and the next advertisement is an interval away."""
        advertised, self._has_advertised = self._has_advertised, False
        return self._hand_over.wanted and self._brain.steady and (advertised or not self._brain.owns)

    def _fall_silent(self) -> None:
        """What the kernel holds stays as it is; from now on the newer one acts."""
        self._link.close()
        if self._lock is not None:
            os.close(self._lock)
        self._hand_over.done(self._brain.leases.held(monotonic_now()))
        # Only now, for the kernel takes some 25 ms to close these.
        self._keeper.close()
        self._kernel.close()

    def _turn(self) -> None:
        self._loop.turn(self._patience())
        now = monotonic_now()
        deadline = self._brain.deadline()
        if deadline is not None and deadline.at <= now:
            self._kernel.hear_all()
            deadline = self._brain.deadline()
            if deadline is not None and deadline.at <= now:
                self._give(TimerFired())
        self._kernel.tend(now)
        if self._brain.needs_keeper():
            self._keeper.tend(now)
        if self._link.is_up and self._refresh_at <= now:
            self._refresh(now)
        self._report()

    def _patience(self) -> float | None:
        deadline = self._brain.deadline()
        refresh_at = self._refresh_at if self._link.is_up else None
        keeper_at = self._keeper.tend_at if self._brain.needs_keeper() else None
        times = (deadline.at if deadline else None, self._kernel.tend_at, refresh_at, keeper_at)
        wanted = [at for at in times if at is not None]
        return max(0, min(at.us for at in wanted) - monotonic_now().us) / 1_000_000 if wanted else None

    def _give(self, input_: SpeakerInput) -> None:
        """What goes to the kernel goes at once; reports, which are slow to encode, at the end of the turn."""
        now = monotonic_now()
        self._kernel.voice.decided(now)
        for effect in self._brain.handle(now, input_):
            if isinstance(effect, SpeakerReport):
                self._reports.append(effect)
            elif isinstance(effect, HolderOrder):
                self._keeper.send(self._codec.encode(effect))
            else:
                self._has_advertised = self._has_advertised or isinstance(effect, SendAdvertisement)
                self._kernel.perform(effect)
        self._kernel.refresh_gates()
        outcomes, self._kernel.outcomes = self._kernel.outcomes, []
        for input_again in outcomes:
            self._give(input_again)

    # --- the node process ---------------------------------------------------------------------------------------------

    def _told(self, message: bytes) -> None:
        try:
            order: SpeakerOrder | GuardPrograms = self._codec.decode(message, _ORDER)
        except Undecodable as error:
            self._tell(OrderUnreadable(str(error)))
            return
        if isinstance(order, GuardPrograms):
            self._kernel.guard_programs()
        else:
            self._obey(order)

    def _obey(self, order: SpeakerOrder) -> None:
        if isinstance(order, ConfigureRouters):
            self._grace_periods.shorten(min((params.interval for params in order.routers), default=None))
            with self._kernel.places_for(order.routers):
                self._kernel.heartbeats.authentication.configure(order.heartbeat.peers)
                self._give(self._kernel.authentication.configure(order.routers))
                self._give(order)
            self._kernel.forget_delivery()
            self._kernel.heartbeats.keep(order.heartbeat)
        else:
            self._give(order)

    def _keeper_says(self, message: bytes) -> None:
        try:
            report: HolderReport = self._codec.decode(message, HolderReport)
        except Undecodable as error:
            self._tell(OrderUnreadable(str(error)))
            return
        self._give(report)

    def _reached(self) -> None:
        while self._kept and self._link.is_up:
            self._link.send(self._codec.encode(self._kept.popleft()))
        self._refresh(monotonic_now())

    def _refresh(self, now: Instant) -> None:
        """Repeat every status: when the peer was last heard is evidence only while it is fresh."""
        self._refresh_at = now + REFRESH
        self._reports += [*self._brain.statuses(), *self._brain.peer_statuses()]

    def _tell(self, body: EventBody) -> None:
        self._reports.append(Published(self._own_events.event(monotonic_now(), Emit(body))))

    def _report(self) -> None:
        """Statuses are repeated on the next connection; events would be lost, so some are kept, and logged here."""
        for report in self._reports:
            if self._link.is_up:
                self._link.send(self._codec.encode(report))
            elif isinstance(report, Published):
                self._kept.append(report)
                _log(self._codec.encode(report.event))
        self._reports.clear()


def _log(line: bytes) -> None:
    """Write a line if that cannot block: whoever reads our log may be stopped."""
    with contextlib.suppress(OSError):
        _, ready, _ = select.select((), (2,), (), 0)
        if ready:
            os.write(2, line[: MAX_LOG_LINE - 1] + b"\n")


@contextlib.contextmanager
def _readable_on(*signals: signal.Signals) -> Iterator[socket.socket]:
    """A socket that becomes readable when one of these signals arrives."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    before = signal.set_wakeup_fd(writer.fileno())
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        reader.close()
        writer.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; its exit status."""
    parser = argparse.ArgumentParser(prog="yaoki speaker", description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--run-dir", required=True, type=Path)
    parser.add_argument("--succeed", action="store_true", help="take the place of the one that runs")
    options = parser.parse_args(arguments)
    speaker = Speaker(options.node, options.run_dir)
    try:
        begun = speaker.succeed() if options.succeed else speaker.begin()
    except LocalError as error:
        sys.stderr.write(f"yaoki speaker: {error}\n")
        return EXIT_RUNS_ALREADY
    if not begun:
        sys.stderr.write(f"yaoki speaker: one runs already in {options.run_dir}; stop it with `yaoki stop`\n")
        return EXIT_RUNS_ALREADY
    speaker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
