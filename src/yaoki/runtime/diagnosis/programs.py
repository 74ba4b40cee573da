"""Programs of the system, run for a diagnosis: found in the system's own directories, as nobody, with nothing to read.

Invariants: no shell takes part; the environment is ours; what a program and its children write is cut at MAX_OUTPUT
octets and freed of control characters, and all of them are killed when their time is up.
"""

import codecs
import os
import pwd
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DIRECTORIES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
MAX_OUTPUT = 256 * 1024
ACCOUNT = "nobody"
_ENVIRONMENT = {"PATH": ":".join(DIRECTORIES), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TERM": "dumb"}
_AT_ONCE = 4096

Tell = Callable[[str], None]
"""Takes a part of the output as it comes."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a diagnosis ended: whether all is well, and that in a few words."""

    good: bool
    said: str


def find(names: Sequence[str], directories: Sequence[str] = DIRECTORIES) -> Path | None:
    """The first of some programs that is installed."""
    paths = (Path(directory, name) for name in names for directory in directories)
    return next((path for path in paths if path.is_file() and os.access(path, os.X_OK)), None)


def run(argv: Sequence[str], *, within_s: float, as_root: bool, tell: Tell) -> Result:
    """Run a program to its end, or until its time is up."""
    account = None if as_root or os.geteuid() != 0 else pwd.getpwnam(ACCOUNT)
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_ENVIRONMENT,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
            umask=0o077,
            start_new_session=True,
        )
    except OSError as error:
        return Result(False, f"{argv[0]}: {error.strerror}")
    try:
        why = _pass_on(process, time.monotonic() + within_s, tell)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    if why is not None:
        return Result(False, why)
    return Result(status == 0, "done" if status == 0 else f"exit status {status}")


def _pass_on(process: subprocess.Popen[bytes], until: float, tell: Tell) -> str | None:
    """Read all that is written; the result is why it was ended, if it was."""
    assert process.stdout is not None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    left = MAX_OUTPUT
    with process.stdout as output:
        while True:
            wait_s = until - time.monotonic()
            if wait_s <= 0 or not select.select([output], [], [], wait_s)[0]:
                return "its time was up"
            chunk = os.read(output.fileno(), min(_AT_ONCE, left))
            tell(printable(decoder.decode(chunk, final=not chunk)))
            left -= len(chunk)
            if not chunk:
                return None if _ends(process, until) else "its time was up"
            if left <= 0:
                return f"cut at {MAX_OUTPUT} octets"


def _ends(process: subprocess.Popen[bytes], until: float) -> bool:
    """Whether a program that has closed its output ends in time. It is not reaped, so that its group stays its own."""
    watched = os.pidfd_open(process.pid)
    try:
        return bool(select.select([watched], [], [], max(0.0, until - time.monotonic()))[0])
    finally:
        os.close(watched)


def printable(text: str) -> str:
    """A text that cannot steer a terminal, whoever wrote it."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text.replace("\r\n", "\n"))
