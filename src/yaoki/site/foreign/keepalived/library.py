"""The files that a configuration is made of; `include` names more of them. Only this part of the import reads any."""

from glob import glob
from pathlib import Path
from typing import Protocol

MAX_BYTES = 4 * 1024 * 1024


class Unreadable(Exception):
    """A file cannot be read; the text says why."""


class Library(Protocol):
    """Where files come from."""

    def read(self, name: str) -> str:
        """The text of a file. Raises Unreadable."""
        ...

    def find(self, pattern: str, *, beside: str) -> tuple[str, ...]:
        """The files that a pattern of an include means, in the order of their names; relative to the file `beside`."""
        ...


class Disk:
    """The files of this machine, by their paths."""

    def read(self, name: str) -> str:
        try:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
        if len(data) > MAX_BYTES:
            raise Unreadable(f"it is larger than {MAX_BYTES} bytes")
        # Comments may be in any encoding; nothing that is imported needs more than ASCII.
        return data.decode(errors="replace")

    def find(self, pattern: str, *, beside: str) -> tuple[str, ...]:
        folder = Path(beside).parent
        found = (str(folder / name) for name in sorted(glob(pattern, root_dir=folder)))
        return tuple(name for name in found if Path(name).is_file())
