"""Running things in network namespaces, and finding and ending what runs there.

Invariant: only processes whose network namespace is one of the lab's are ever signalled.
Every wait is bounded by a named limit.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from yaoki.core.error import ActuatorError

_NETNS = Path("/run/netns")
_COMMAND_LIMIT_S = 20.0
_END_LIMIT_S = 5.0


def run(command: Sequence[str], *, text: str | None = None, check: bool = True) -> str:
    """Run a command to its end; the result is its stdout. Raises ActuatorError with its stderr when it fails."""
    try:
        done = subprocess.run(
            list(command), input=text, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S, check=False
        )
    except FileNotFoundError as error:
        raise ActuatorError(command[0], "is not installed; `make setup` installs what the lab needs") from error
    except subprocess.TimeoutExpired as error:
        raise ActuatorError(" ".join(command), f"did not end within {_COMMAND_LIMIT_S:g} s") from error
    if check and done.returncode != 0:
        why = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise ActuatorError(" ".join(command), why, errno=done.returncode)
    return done.stdout


def ip_batch(lines: Iterable[str], *, namespace: str | None = None, force: bool = False) -> None:
    """Run many `ip` commands in one process. With `force`, lines that fail are passed over."""
    text = "".join(line + "\n" for line in lines)
    if not text:
        return
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, *(["-force"] if force else []), "-batch", "-"], text=text, check=not force)


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` in a namespace; `ip` becomes the command, so its pid is the command's."""
    return ["ip", "netns", "exec", namespace, *command]


def start(
    namespace: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a namespace, in a session of its own, its output appended to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            inside(namespace, command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=None if environment is None else {**os.environ, **environment},
        )


def start_talking(namespace: str, command: Sequence[str], *, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that is spoken to over its stdin and stdout."""
    return subprocess.Popen(
        inside(namespace, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
    )


def existing(names: Iterable[str]) -> tuple[str, ...]:
    """Which of these namespaces there are."""
    return tuple(name for name in names if (_NETNS / name).exists())


def processes(namespaces: Iterable[str]) -> tuple[int, ...]:
    """The ids of all processes in these namespaces."""
    wanted = {(s.st_dev, s.st_ino) for s in (_stat(_NETNS / name) for name in namespaces) if s is not None}
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        at = _stat(Path(f"/proc/{entry.name}/ns/net"))
        if at is not None and (at.st_dev, at.st_ino) in wanted:
            found.append(int(entry.name))
    return tuple(found)


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments that a process was started with; empty if it has ended."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal processes; one that has ended is passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_all(namespaces: Sequence[str]) -> None:
    """Kill every process in these namespaces, repeatedly, since they may be starting others. Raises ActuatorError."""
    deadline = time.monotonic() + _END_LIMIT_S
    while left := tuple(pid for pid in processes(namespaces) if not _is_zombie(pid)):
        send_signal(left, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ActuatorError("ending the lab's processes", f"still alive: {', '.join(map(str, left))}")
        time.sleep(0.005)


def end_all_of(pids: Sequence[int]) -> None:
    """Kill these processes and wait until they are gone. Raises ActuatorError."""
    send_signal(pids, signal.SIGKILL)
    deadline = time.monotonic() + _END_LIMIT_S
    while left := [pid for pid in pids if not _is_zombie(pid)]:
        if time.monotonic() > deadline:
            raise ActuatorError("ending processes", f"still alive: {', '.join(map(str, left))}")
        time.sleep(0.002)


def remove(namespaces: Sequence[str]) -> None:
    """End what runs in these namespaces and remove them; those that are not there are passed over."""
    there = existing(namespaces)
    end_all(there)
    ip_batch([f"netns del {name}" for name in there], force=True)
    if left := existing(there):
        raise ActuatorError("removing namespaces", f"still there: {', '.join(left)}")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True
