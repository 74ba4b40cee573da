"""Signals for those who wait for sockets."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def readable_on(*signals: signal.Signals) -> Iterator[socket.socket]:
    """A socket that becomes readable when one of these signals has come, to be waited for like anything else."""
    reading, writing = socket.socketpair()
    with reading, writing:
        writing.setblocking(False)
        previous_fd = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        previous = {each: signal.signal(each, lambda *_: None) for each in signals}
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(previous_fd)
            for each, handler in previous.items():
                signal.signal(each, handler)
