"""The run directory of a node: one process at a time, by a lock that dies with its holder."""

import fcntl
import os
from pathlib import Path

from yaoki.core.error import UsageError


def take_run_dir(run_dir: Path) -> int:
    """Make the directory and lock it for as long as the descriptor is open. Raises UsageError if it is taken."""
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UsageError(f"a node runs with {run_dir} already; `yaoki status` shows it") from None
    return lock
