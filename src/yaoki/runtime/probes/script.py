"""The I/O of the script check: a program in a session of its own, killed with all that it started.

When the script has ended, or its time is up, its process group is killed, and then whatever left the group: orphans
come to this process (it is their subreaper) and are known by the number of their probe in their environment.

Invariant: a script's processes end with its probe, or are looked for again at every later end of one.
"""

import contextlib
import ctypes
import os
import pwd
import select
import signal
import subprocess
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from yaoki.checks import script
from yaoki.checks.check import ScriptParams
from yaoki.checks.failure import not_run
from yaoki.runtime.probes.loop import READABLE, Job, Probe, Wait

COOKIE = "YAOKI_PROBE"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_SWEEPS = 8
"""Generations of orphans that are killed at the end of one script; those beyond wait for the next end."""
DEATH_WITHIN_S = 0.02
"""How long the loop may stand still for a killed process to die and hand over its own children."""
_PR_SET_CHILD_SUBREAPER = 36
_AT_ONCE = 4096

_running: dict[int, subprocess.Popen[bytes]] = {}
_dying: dict[int, subprocess.Popen[bytes]] = {}
"""Scripts that were killed and have not been reaped yet; both by process id."""


def adopt_orphans() -> None:
    """Become the parent of everything that scripts leave behind (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def probe(job: Job) -> Probe:
    """Run the program, keep the beginning of its output, wait for its end."""
    params = job.spec.id.params
    assert isinstance(params, ScriptParams)
    cookie = f"{os.getpid()}.{job.number}"
    output, their_end = os.pipe2(os.O_CLOEXEC)
    with _Output(output) as said:
        try:
            process = _start(job, params, cookie, their_end)
        except KeyError:
            return not_run(f"no account {params.user!r}", job.took())
        except OSError as error:
            return not_run(f"{params.command[0]}: {error.strerror}", job.took())
        finally:
            os.close(their_end)
        watched = os.pidfd_open(process.pid)
        try:
            yield from _listening(watched, said)
        finally:
            _end(process, watched, cookie)
            os.close(watched)
        return script.judge(process.returncode, bytes(said.octets), job.took())


class _Output:
    """The reading end of a script's output; keeps the first MAX_OUTPUT octets and drops the rest."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.octets = bytearray()
        self.is_open = True

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self) -> None:
        """Take what is there; at the end of the output, close."""
        try:
            chunk = os.read(self.fd, _AT_ONCE)
        except BlockingIOError:
            return
        if not chunk:
            self._close()
        self.octets += chunk[: script.MAX_OUTPUT - len(self.octets)]

    def _close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.fd)


class _Account(NamedTuple):
    uid: int
    gid: int
    groups: list[int]


@cache
def _account(name: str) -> _Account:
    """Looked up once: the answer may have to come over a network. Raises KeyError, which is asked again."""
    entry = pwd.getpwnam(name)
    return _Account(entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid))


def _start(job: Job, params: ScriptParams, cookie: str, output: int) -> subprocess.Popen[bytes]:
    """Raises KeyError for an unknown account, OSError if the program cannot be run."""
    account = _account(params.user)
    other = account.uid != os.geteuid()
    process = subprocess.Popen(
        params.command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env={**script.environment(job.spec, PATH), COOKIE: cookie},
        user=account.uid if other else None,
        group=account.gid if other else None,
        extra_groups=account.groups if other else None,
        start_new_session=True,
    )
    _running[process.pid] = process
    return process


def _listening(watched: int, said: _Output) -> Generator[Wait, None, None]:
    while not _has_ended(watched):
        if said.is_open:
            yield Wait(said.fd, READABLE, "end of the script", also=watched)
            said.read()
        else:
            yield Wait(watched, READABLE, "end of the script")
    if said.is_open:
        said.read()


def _has_ended(watched: int) -> bool:
    """Without reaping: while the process id is taken, killing its group cannot hit another's."""
    return os.waitid(os.P_PIDFD, watched, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes], watched: int, cookie: str) -> None:
    """Kill all that is left of a script, and reap it and those before it that died late."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    select.select([watched], [], [], DEATH_WITHIN_S)
    _dying[process.pid] = _running.pop(process.pid)
    for pid in [pid for pid, killed in _dying.items() if killed.poll() is not None]:
        del _dying[pid]
    for _ in range(MAX_SWEEPS):
        if not _sweep(cookie):
            return


def _sweep(cookie: str) -> bool:
    """Kill the orphans of a script (of any script, if none runs); True if there were some."""
    found = False
    for pid in _children():
        if pid not in _running and pid not in _dying and (not _running or _has_cookie(pid, cookie)):
            found = True
            _kill_orphan(pid)
    return found


def _kill_orphan(pid: int) -> None:
    """It is our child, so its process id stays its own until reaped here."""
    os.kill(pid, signal.SIGKILL)
    watched = os.pidfd_open(pid)
    try:
        select.select([watched], [], [], DEATH_WITHIN_S)
        os.waitpid(pid, os.WNOHANG)
    finally:
        os.close(watched)


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return []


def _has_cookie(pid: int, cookie: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{COOKIE}={cookie}".encode() in environment.split(b"\0")
