"""Short RCU grace periods, while somebody needs them: the dead-man gate at quick advertisements.

A refresh of the gate takes an element out and puts it in again, and what was taken out is freed after a grace period.
Whoever closes a netfilter socket meanwhile, as a process that is killed does, waits for that with nftables locked: 10
to 34 ms as measured, and the next refresh with it. Of three advertisements of 10 ms that is more than the gate stays
open. Expedited, a grace period takes well below a millisecond, and costs every processor an interrupt.

The switch is the machine's, whichever network namespace turns it, so all who need it hold a lock together, and the last
one to leave turns it back, if one of us had turned it. Where it cannot be turned nothing is different from before.
"""

import fcntl
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

SWITCH = Path("/sys/kernel/rcu_expedited")
LOCK = Path("/run/yaoki-grace-periods")
BRISK = timedelta(milliseconds=30)
"""At longer advertisement intervals the gate outlasts a grace period."""

_ON, _OFF = "1", "0"


class GracePeriods:
    """One who may need them short. `lock` says "1" while one of us has turned the `switch`."""

    def __init__(self, switch: Path = SWITCH, lock: Path = LOCK) -> None:
        self._switch = switch
        self._lock_path = lock
        self._lock: int | None = None

    def shorten(self, interval: timedelta | None) -> None:
        """For the shortest advertisement interval there is, None if there is none."""
        wanted = interval is not None and interval <= BRISK
        with suppress(OSError):
            if wanted and self._lock is None:
                self._begin()
            elif not wanted and self._lock is not None:
                self._end(self._lock)

    def _begin(self) -> None:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Who holds it alone is about to leave; it is not waited for, whatever becomes of it.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if self._switch.read_text().strip() == _OFF:
                _turn(lock, self._switch, _ON)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _end(self, lock: int) -> None:
        self._lock = None
        try:
            _turn_back(lock, self._switch)
        finally:
            os.close(lock)


def turn_back(switch: Path = SWITCH, lock: Path = LOCK) -> None:
    """What one of us that was killed has turned, unless another still needs it."""
    with suppress(OSError):
        held = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            _turn_back(held, switch)
        finally:
            os.close(held)


def _turn_back(lock: int, switch: Path) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.pread(lock, 1, 0) == _ON.encode():
            _turn(lock, switch, _OFF)


def _turn(lock: int, switch: Path, to: str) -> None:
    """Whoever is killed in between has said rather too much than too little."""
    os.pwrite(lock, _ON.encode(), 0)
    try:
        switch.write_text(to)
    except OSError:
        to = _OFF
        raise
    finally:
        os.pwrite(lock, to.encode(), 0)
