"""What the asyncio processes beside a node's main process share: the lease keeper and the flow copier.

One of a kind to a run directory, by a lock that dies with its holder; what is reported to a main process that is away
is kept.
"""

import argparse
import asyncio
import fcntl
import gc
import os
import select
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from yaoki.core.codec import Codec
from yaoki.node.messages import Published
from yaoki.runtime.polled_link import PolledLinkServer

MAX_KEPT_EVENTS = 1000
"""Events kept for a node process that is away; the oldest give way."""
EXIT_RUNS_ALREADY = 75
"""sysexits.h, EX_TEMPFAIL."""


class AsyncioPoller:
    """asyncio's loop as yaoki.runtime.polled_link wants it."""

    def attach(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call `handler` with the events that `fd` is ready for."""
        loop = asyncio.get_running_loop()
        if events & select.EPOLLIN:
            loop.add_reader(fd, handler, select.EPOLLIN)
        else:
            loop.remove_reader(fd)
        if events & select.EPOLLOUT:
            loop.add_writer(fd, handler, select.EPOLLOUT)
        else:
            loop.remove_writer(fd)

    def detach(self, fd: int) -> None:
        """Call it no more."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(fd)
        loop.remove_writer(fd)


class Reports:
    """Reports to the node process. A status is repeated on the next connection; events would be lost, so some are
    kept."""

    def __init__(self, link: PolledLinkServer, codec: Codec) -> None:
        self._link = link
        self._codec = codec
        self._kept: deque[Published] = deque(maxlen=MAX_KEPT_EVENTS)

    def send(self, report: object) -> None:
        """Now, or if it is an event perhaps later."""
        if self._link.is_up:
            self._link.send(self._codec.encode(report))
        elif isinstance(report, Published):
            self._kept.append(report)

    def send_kept(self) -> None:
        """The node process has connected."""
        while self._kept and self._link.is_up:
            self._link.send(self._codec.encode(self._kept.popleft()))


def run_part(
    title: str,
    lock_name: str,
    work: Callable[[str, Path], Coroutine[None, None, None]],
    arguments: Sequence[str] | None,
) -> int:
    """Do `work` (node, run directory) if no other process holds the lock; the exit status. `title` as in `lease
    keeper`."""
    parser = argparse.ArgumentParser(prog=f"yaoki {title.replace(' ', '-')}")
    parser.add_argument("--node", required=True)
    parser.add_argument("--run-dir", required=True, type=Path)
    options = parser.parse_args(arguments)
    lock = os.open(options.run_dir / lock_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"yaoki {title}: one runs already in {options.run_dir}; stop it with `yaoki stop`\n")
        return EXIT_RUNS_ALREADY
    gc.freeze()
    asyncio.run(work(options.node, options.run_dir))
    return 0
