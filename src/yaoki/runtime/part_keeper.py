"""Keeps another process of this node running: adopts it if it lives, starts it if not, starts it again when it dies.

A part listens on a socket in the run directory. One that outlived an earlier node process is found by that socket and
watched by its process id; one that dies is started again after a pause that doubles up to LONGEST_PAUSE.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from yaoki.core.event import EventBody
from yaoki.node.brain_events import Part, PartDied, PartHung
from yaoki.runtime.link import PING_EVERY_S, LinkClient

FIRST_PAUSE = timedelta(milliseconds=50)
LONGEST_PAUSE = timedelta(seconds=5)
HUNG_AFTER = 15
"""Unanswered pings in a row after which a part is ended, to be started anew."""
_LOOK_EVERY_S = 0.02
PROVEN_AFTER_S = 10.0
"""A part that has lived so long is started again without a pause."""


class PartKeeper:
    """One part. `command` starts it; `on_up` repeats the whole wish; `report` is told of its deaths. It is asked for a
    sign of life every `ping_every_s` seconds."""

    def __init__(
        self,
        part: Part,
        command: Sequence[str],
        path: Path,
        *,
        on_message: Callable[[bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        report: Callable[[EventBody], None],
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        self.adopted = False
        """Whether it lived already when this keeper started."""
        self._part = part
        self._command = tuple(command)
        self._report = report
        self._on_up = on_up
        self._ping_every_s = ping_every_s
        self._link = LinkClient(
            path,
            on_message=on_message,
            on_up=self._reached,
            on_down=on_down,
            on_silence=self._silent,
            ping_every_s=ping_every_s,
        )
        self._pid: int | None = None
        self._pidfd: int | None = None
        self._successor: int | None = None
        self._started_at = 0.0
        self._pause = FIRST_PAUSE
        self._closed = False
        self._gone = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    @property
    def pid(self) -> int | None:
        """The process id of the part that is watched."""
        return self._pid

    def start(self) -> None:
        """Adopt the part that listens already, or start one."""
        self._link.connect()
        self.adopted = self._link.is_up
        if not self.adopted:
            self._spawn()

    def send(self, message: bytes) -> None:
        """Send if it is reached; on_up repeats what was missed."""
        self._link.send(message)

    async def succeed(self, *options: str, patience: timedelta) -> bool:
        """Start another with these options, which takes the place of the one that runs; whether it has done so."""
        older = self._pid
        if older is None or self._closed:
            return False
        newer = self._successor = self._start_process((*self._command, *options))
        loop = asyncio.get_running_loop()
        until = loop.time() + patience.total_seconds()
        ended = False
        while loop.time() < until and self._successor == newer and not ended:
            await asyncio.sleep(_LOOK_EVERY_S)
            ended = self._pid != newer and _has_ended(newer)
        if self._pid != newer:
            self._successor = None
            if not ended:
                _signal(newer, signal.SIGKILL)
        while self._pid == newer and not self._link.is_up and loop.time() < until:
            await asyncio.sleep(_LOOK_EVERY_S)
        return self._pid == newer

    def kill(self) -> None:
        """End it at once."""
        if self._pid is not None:
            _signal(self._pid, signal.SIGKILL)

    def leave(self) -> None:
        """Go away and let it live: the node process restarts."""
        self._closed = True
        self._link.close()
        self._unwatch()
        if self._timer is not None:
            self._timer.cancel()

    async def end(self, grace: timedelta, *, asked: bool) -> None:
        """End it; one that was `asked` to end by itself is given `grace` first, then SIGTERM, then SIGKILL."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for signal_ in (*((None,) if asked else ()), signal.SIGTERM, signal.SIGKILL):
            if self._pid is None:
                break
            if signal_ is not None:
                _signal(self._pid, signal_)
            try:
                async with asyncio.timeout(grace.total_seconds()):
                    await self._gone.wait()
            except TimeoutError:
                continue
        self._link.close()
        self._unwatch()

    def _spawn(self) -> None:
        if self._closed:
            return
        self._started_at = asyncio.get_running_loop().time()
        self._watch(self._start_process(self._command))
        self._link.connect()

    def _start_process(self, command: tuple[str, ...]) -> int:
        # Its own session: a signal to the node process's group, or its death, does not reach it.
        no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        return os.posix_spawn(command[0], command, os.environ, file_actions=[no_input], setsid=True)

    def _reached(self) -> None:
        peer = self._link.peer_pid()
        if self._pid is None and peer is not None:
            self._started_at = asyncio.get_running_loop().time()
            self._watch(peer)
        self._on_up()

    def _silent(self, unanswered: int) -> None:
        if unanswered >= HUNG_AFTER and self._pid is not None and not self._closed:
            self._report(PartHung(self._part, timedelta(seconds=unanswered * self._ping_every_s)))
            self.kill()

    def _watch(self, pid: int) -> None:
        self._unwatch()
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            asyncio.get_running_loop().call_soon(self._died)
            return
        self._pid = pid
        self._gone.clear()
        asyncio.get_running_loop().add_reader(self._pidfd, self._died)

    def _unwatch(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._pid = None

    def _died(self) -> None:
        pid = self._pid
        self._unwatch()
        status = 0
        if pid is not None:
            # Not our child, but init's, if another process than this one (in whatever life) started it.
            with contextlib.suppress(ChildProcessError):
                status = os.waitstatus_to_exitcode(os.waitpid(pid, os.WNOHANG)[1])
        successor, self._successor = self._successor, None
        if successor is not None and not self._closed:
            self._watch(successor)
            self._link.connect()
            return
        self._gone.set()
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._started_at > PROVEN_AFTER_S:
            self._pause = FIRST_PAUSE
        self._report(PartDied(self._part, status, self._pause))
        self._timer = loop.call_later(self._pause.total_seconds(), self._spawn)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def _has_ended(pid: int) -> bool:
    """Whether a child of ours has ended; if so it is gone for good."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal(pid: int, signal_: signal.Signals) -> None:
    try:
        os.kill(pid, signal_)
    except ProcessLookupError:
        return
