"""What a rehearsal and its probes say to each other: JSON lines over the probe's stdin and stdout.

    {"do": "go", "targets": [...]}      begin to probe these, forget what was recorded
    {"do": "look"}                      what was seen lately, to know when the lab has settled
    {"do": "mark"}                      the measuring begins: streams that end from now on are cut
    {"do": "halt", "since_us": n}       stop; what was recorded since then

Every command gets one line in answer. All times are whole microseconds of CLOCK_MONOTONIC, which the processes of one
machine share.
"""

import gc
import json
import os
import resource
import sys
import time
from typing import Any

ANSWER_LIMIT_US = 500_000
"""An answer that comes later than this has not come."""

LOOK_BACK_US = 400_000
LOOK_GRACE_US = 60_000
"""`look` tells of items begun between LOOK_BACK and LOOK_GRACE ago; younger ones may still be under way."""

_PRIORITY = 5
_READ = 1 << 16


class Conversation:
    """The probe's side: commands come in whole lines, whenever they come."""

    def __init__(self) -> None:
        os.set_blocking(sys.stdin.fileno(), False)
        self._buffer = b""

    def fileno(self) -> int:
        """For select and epoll."""
        return sys.stdin.fileno()

    def commands(self) -> list[dict[str, Any]]:
        """The commands that have come; exits the process when the rehearsal has closed its end."""
        try:
            data = os.read(sys.stdin.fileno(), _READ)
        except BlockingIOError:
            return []
        if not data:
            sys.exit(0)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def answer(self, value: object) -> None:
        """Answer a command."""
        sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def now_us() -> int:
    """The clock of all records."""
    return time.monotonic_ns() // 1000


def undisturbed() -> None:
    """Real-time priority if it is allowed, and no garbage collection: a late probe sees outages that are not there."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError:
        return


def cpu_us() -> int:
    """CPU time that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1_000_000)


class Lateness:
    """How late the probe itself was, since `begin`."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew."""
        self.worst_us = 0
        self._cpu_us = cpu_us()
        self._began_us = now_us()

    def note(self, late_us: int) -> None:
        """An item was begun this much after its time."""
        self.worst_us = max(self.worst_us, late_us)

    def record(self) -> dict[str, float]:
        """The worst lateness, and the share of one core that the probe took."""
        span = max(1, now_us() - self._began_us)
        return {"late_us": self.worst_us, "cpu": round((cpu_us() - self._cpu_us) / span, 4)}
