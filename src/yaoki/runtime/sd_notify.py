"""Tells systemd how the process is (sd_notify(3)): one datagram to the socket named in NOTIFY_SOCKET.

Does nothing where the process was not started by systemd.
"""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Speaks to the service manager. `watchdog_s` is how often `alive` is due at least, or None."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero octet of the abstract name space.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_s = _watchdog_seconds(environment)

    @property
    def listens(self) -> bool:
        """Whether there is a service manager to be told."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """The node is up; READY=1 ends `systemctl start`'s wait."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def reloading(self, now_us: int) -> None:
        """A new site file is being read; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def alive(self) -> None:
        """The event loop turns."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """What this node holds is being released."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.connect(self._address)
                sock.send(text.encode())
            except OSError:
                # The service manager restarts or is gone; the node serves on.
                return


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    try:
        usec = int(environment.get("WATCHDOG_USEC", ""))
        for_pid = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return None
    # Twice as often as asked, as sd_watchdog_enabled(3) recommends.
    return usec / 2_000_000 if for_pid == os.getpid() and usec > 0 else None
