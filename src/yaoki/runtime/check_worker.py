"""The check worker: one process that runs a node's CheckShard and its probes.

    python -m yaoki.runtime.check_worker --node N --run-dir D

It listens on D/checks.sock. While the node process is away it goes on probing, so that a restarted one finds verdicts
of the right age; after ALONE_LIMIT alone it ends. It ends, too, when it cannot read what it is told, because then it
is a worker of another version: the node process starts the right one.
"""

import argparse
import contextlib
import gc
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from yaoki.checks.check import Finding
from yaoki.checks.events import ProbesTracked
from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import ActuatorError
from yaoki.core.event import Emit, EventNumbering
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.core.machine import TimerFired
from yaoki.linux import probe_rules
from yaoki.node.check_shard import CheckShard
from yaoki.node.messages import (
    ProbeFinished,
    Published,
    ShardEffect,
    ShardInput,
    ShardOrder,
    ShardReport,
    StartProbe,
)
from yaoki.runtime.polled_link import PolledLinkServer
from yaoki.runtime.probes.loop import READABLE, Job, ProbeLoop
from yaoki.runtime.probes.registry import probe_for
from yaoki.runtime.probes.script import adopt_orphans
from yaoki.runtime.signals import readable_on

SOCKET_NAME = "checks.sock"
ALONE_LIMIT = timedelta(seconds=60)
MAX_KEPT_EVENTS = 1000
"""Events kept for a node process that is away; the oldest give way."""
EXIT_UNREADABLE = 76
"""sysexits.h, EX_PROTOCOL: the node process speaks another version."""


class CheckWorker:
    """The process, from its first to its last turn."""

    def __init__(self, node: str, run_dir: Path, *, alone_limit: timedelta = ALONE_LIMIT) -> None:
        self._alone_limit = alone_limit
        self._shard = CheckShard(f"{node}/checks.{os.getpid()}")
        self._own_events = EventNumbering(f"{node}/prober.{os.getpid()}")
        self._probes = ProbeLoop(self._probe_ended)
        self._codec = Codec()
        self._link = PolledLinkServer(
            run_dir / SOCKET_NAME,
            self._probes,
            on_message=self._told,
            on_up=self._reached,
            on_down=lambda _: self._left(),
        )
        self._inputs: deque[ShardInput] = deque()
        self._busy = False
        self._kept: deque[Published] = deque(maxlen=MAX_KEPT_EVENTS)
        self._alone: Deadline | None = None
        self._exit_status: int | None = None

    def run(self) -> int:
        """Work until told to end or left alone; the exit status."""
        self._link.listen()
        self._left()
        with readable_on(signal.SIGTERM, signal.SIGINT) as signals:
            self._probes.attach(signals.fileno(), READABLE, lambda _: self._end(0))
            while self._exit_status is None:
                self._turn()
            self._probes.detach(signals.fileno())
        self._link.close()
        self._probes.close()
        return self._exit_status

    def _turn(self) -> None:
        """Answers come before timeouts, and both before the shard's own timers: see ProbeLoop."""
        until = earliest(self._shard.deadline(), self._alone)
        self._probes.turn(None if until is None else until.at)
        deadline, now = self._shard.deadline(), _now()
        if deadline is not None and deadline.at <= now:
            self._give(TimerFired())
        if self._alone is not None and self._alone.at <= now:
            self._end(0)

    # --- the shard ----------------------------------------------------------------------------------------------------

    def _give(self, input_: ShardInput) -> None:
        """Effects of one input are carried out before the next is handled, also when they bring inputs themselves."""
        self._inputs.append(input_)
        if self._busy:
            return
        self._busy = True
        while self._inputs:
            for effect in self._shard.handle(_now(), self._inputs.popleft()):
                self._perform(effect)
        self._busy = False

    def _perform(self, effect: ShardEffect) -> None:
        if isinstance(effect, StartProbe):
            job = Job(effect.number, effect.check, time.monotonic_ns())
            self._probes.start(job, probe_for(job))
        else:
            self._report(effect)

    def _probe_ended(self, number: int, finding: Finding) -> None:
        self._give(ProbeFinished(number, finding))

    # --- the node process ---------------------------------------------------------------------------------------------

    def _report(self, report: ShardReport) -> None:
        """Verdicts are repeated on request; events would be lost, so some are kept."""
        if self._link.is_up:
            self._link.send(self._codec.encode(report))
        elif isinstance(report, Published):
            self._kept.append(report)

    def _reached(self) -> None:
        self._alone = None
        self._spare_conntrack()
        while self._kept and self._link.is_up:
            self._report(self._kept.popleft())

    def _left(self) -> None:
        self._alone = Deadline(_now() + self._alone_limit, "left alone")

    def _told(self, message: bytes) -> None:
        try:
            order: ShardOrder = self._codec.decode(message, ShardOrder)
        except Undecodable as error:
            sys.stderr.write(f"yaoki check worker: {error}\n")
            self._end(EXIT_UNREADABLE)
            return
        self._give(order)

    def _spare_conntrack(self) -> None:
        """At each new connection: somebody may have flushed the rules meanwhile."""
        try:
            probe_rules.ensure()
        except ActuatorError as error:
            self._report(Published(self._own_events.event(_now(), Emit(ProbesTracked(error.why)))))

    def _end(self, status: int) -> None:
        self._exit_status = status


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of the process."""
    parser = argparse.ArgumentParser(prog="yaoki check-worker")
    parser.add_argument("--node", required=True)
    parser.add_argument("--run-dir", required=True, type=Path)
    parser.add_argument("--alone-limit", type=float, default=ALONE_LIMIT.total_seconds(), metavar="SECONDS")
    options = parser.parse_args(arguments)
    _raise_descriptor_limit()
    adopt_orphans()
    # What is loaded stays; a probe makes some twenty objects and no cycles, so the collector need not look so often.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    alone_limit = timedelta(seconds=options.alone_limit)
    return CheckWorker(options.node, options.run_dir, alone_limit=alone_limit).run()


def _raise_descriptor_limit() -> None:
    """One descriptor per probe in flight; the usual soft limit of 1,024 is made for select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _now() -> Instant:
    return Instant(time.monotonic_ns() // 1000)


if __name__ == "__main__":
    sys.exit(main())
