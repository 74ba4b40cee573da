"""Runs hooks and data checks: programs that people want started, each with a time limit, an account and a clean
environment.

Invariants: a hook never holds the node up; it and all it started are killed when its time is over; at most
MAX_RUNNING run and MAX_WAITING wait, in the order of the events. Root only where the site file names root.
"""

import asyncio
import os
import pwd
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from yaoki.core.event import EventBody
from yaoki.node.brain_events import HookFailed, HooksPutOff
from yaoki.site.model import DataCheck, Hook

MAX_RUNNING = 4
MAX_WAITING = 256
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHOWN_OUTPUT = 300
_REAP_LIMIT_S = 1.0


class HookRunner:
    """Starts hooks; `report` is told of those that fail."""

    def __init__(self, report: Callable[[EventBody], None]) -> None:
        self._report = report
        self._waiting: deque[tuple[Hook, dict[str, str]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether a hook runs or waits."""
        return bool(self._running or self._waiting)

    def start(self, hook: Hook, environment: tuple[tuple[str, str], ...]) -> None:
        """Run it now or when another has ended."""
        if len(self._waiting) >= MAX_WAITING:
            self._report(HooksPutOff(hook.name, MAX_WAITING))
            return
        self._waiting.append((hook, dict(environment)))
        self._start_waiting()

    async def close(self) -> None:
        """Forget those that wait, kill those that run."""
        self._waiting.clear()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < MAX_RUNNING:
            task = asyncio.get_running_loop().create_task(self._run(*self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start_waiting()

    async def _run(self, hook: Hook, environment: dict[str, str]) -> None:
        why = await run_program(hook, environment)
        if why is not None:
            self._report(HookFailed(hook.name, why))


async def run_program(program: Hook | DataCheck, environment: Mapping[str, str]) -> str | None:
    """Run it to its end, or to the end of its time; why it failed, None if its exit status was 0."""
    try:
        account = pwd.getpwnam(program.user)
        privileged = os.geteuid() == 0
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": _PATH, "HOME": account.pw_dir, "USER": program.user, **environment},
            cwd="/",
            start_new_session=True,
            # Only root may change the account; run by anybody else, programs run as they.
            user=account.pw_uid if privileged else None,
            group=account.pw_gid if privileged else None,
            extra_groups=() if privileged else None,
        )
    except (OSError, KeyError) as error:
        return f"cannot be started: {error}"
    try:
        async with asyncio.timeout(program.timeout.total_seconds()):
            output, _ = await process.communicate()
    except TimeoutError:
        return f"killed after {program.timeout.total_seconds():g} s"
    finally:
        _kill_group(process.pid)
        await _reap(process)
    if process.returncode:
        said = output[-_SHOWN_OUTPUT:].decode(errors="replace").strip()
        return f"exit status {process.returncode}: {said}"
    return None


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Wait for a process that was killed, or has ended; not for ever, as for one that the kernel holds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP_LIMIT_S):
            await process.wait()


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
