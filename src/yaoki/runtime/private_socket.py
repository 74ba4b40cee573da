"""Sockets between the processes of one node, which only their own account may reach."""

import contextlib
import os
import socket
from pathlib import Path


def listen_privately(path: Path, *, waiting: int) -> socket.socket:
    """A SOCK_SEQPACKET socket, not blocking, that listens at `path` with room for so many `waiting` connections; what a
    process left there before is replaced. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    previous = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(previous)
    listener.listen(waiting)
    return listener
