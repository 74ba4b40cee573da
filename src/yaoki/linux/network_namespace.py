"""Doing something in another network namespace: a socket belongs for ever to the one in which it was opened.

The calling thread stays where it is; a thread of its own goes there and ends.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from yaoki.core.error import ActuatorError

NAMED = Path("/run/netns")
"""Where `ip netns` keeps those that have names."""

_CLONE_NEWNET = 0x40000000
_Made = TypeVar("_Made")


def inside(name: str, make: Callable[[], _Made]) -> _Made:
    """What `make` returns when it is called in the namespace of that name. Raises ActuatorError if it is not there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter_and_make() -> _Made:
        try:
            descriptor = os.open(NAMED / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ActuatorError(f"enter {name}", error.strerror or str(error), errno=error.errno) from error
        try:
            if libc.setns(descriptor, _CLONE_NEWNET):
                number = ctypes.get_errno()
                raise ActuatorError(f"enter {name}", os.strerror(number), errno=number)
        finally:
            os.close(descriptor)
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter_and_make).result()
