"""Kernel parameters that we need, with their originals, so that clean-up puts everything back as it was.

Whoever makes the keeper gives it the originals of an earlier life (from the journal) and writes `originals` down again
after each change; the kernel itself cannot tell what was there before us.
"""

from collections.abc import Mapping
from pathlib import Path

from yaoki.core.error import ActuatorError

ROOT = Path("/proc/sys")


class SysctlKeeper:
    """Sets parameters and remembers the first value that it replaced."""

    def __init__(self, originals: Mapping[str, str] | None = None, *, root: Path = ROOT) -> None:
        self._originals = dict(originals or {})
        self._root = root

    @property
    def originals(self) -> Mapping[str, str]:
        """What was there before us, by name ("net/ipv4/ip_forward"), of every parameter that we changed."""
        return dict(self._originals)

    def set(self, name: str, value: str) -> bool:
        """Give a parameter a value; True if that changed it. Raises ActuatorError."""
        before = self.read(name)
        if before == value:
            return False
        self._originals.setdefault(name, before)
        self._write(name, value)
        return True

    def remember(self, name: str) -> None:
        """Note the present value of a parameter that the kernel will change along with another. Raises
        ActuatorError."""
        self._originals.setdefault(name, self.read(name))

    def restore(self) -> None:
        """Put back every original, the last changed first. Parameters of interfaces that are gone are passed over."""
        for name in reversed(list(self._originals)):
            if self.has(name):
                self._write(name, self._originals[name])
            del self._originals[name]

    def has(self, name: str) -> bool:
        """Whether there is such a parameter; those of an interface come and go with it."""
        return (self._root / name).exists()

    def read(self, name: str) -> str:
        """The present value. Raises ActuatorError for a parameter that does not exist."""
        try:
            return (self._root / name).read_text().strip()
        except OSError as error:
            raise ActuatorError(f"read {name}", error.strerror or str(error), errno=error.errno) from error

    def _write(self, name: str, value: str) -> None:
        try:
            (self._root / name).write_text(value)
        except OSError as error:
            raise ActuatorError(f"set {name} to {value}", error.strerror or str(error), errno=error.errno) from error
