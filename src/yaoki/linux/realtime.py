"""Makes this process punctual: a real-time scheduler, memory that is never paged out, no garbage collection.

Each step may be refused (a container, a missing capability); what was refused is returned for telling.
"""

import ctypes
import gc
import os
import time
from datetime import timedelta

_CLOCK_MONOTONIC_COARSE = 6
_MCL_CURRENT, _MCL_FUTURE = 1, 2

SCHEDULER = "SCHED_FIFO"
"""What a refusal of the real-time scheduler begins with."""

# Above ordinary real-time work, below the kernel's own threads (interrupts are at 50 with threadirqs, watchdogs at 99).
FIFO_PRIORITY = 40


def kernel_tick() -> timedelta:
    """How long the kernel's tick is, in which it counts time-outs: 1 to 10 ms (CONFIG_HZ)."""
    return timedelta(seconds=time.clock_getres(_CLOCK_MONOTONIC_COARSE))


def stop_collecting() -> None:
    """No garbage collection from now on; what exists is never looked at again.

    With a heap of half a million objects a collection takes over 100 ms, several intervals of advertising.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def make_punctual() -> tuple[str, ...]:
    """Take a real-time priority and lock the memory. What the kernel refused, with its reason."""
    refused: list[str] = []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(FIFO_PRIORITY))
    except OSError as error:
        refused.append(f"{SCHEDULER}: {error.strerror}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        refused.append(f"mlockall: {os.strerror(ctypes.get_errno())}")
    return tuple(refused)
