"""The epoch under which this node owns each leased VIP, as files that applications read.

The file of a VIP is there while the node owns it, and holds the epoch in decimal digits and a line break. An
application that stamps its writes with the epoch can refuse those of an earlier owner (fencing).

Invariant: a reader finds a whole epoch or no file.
"""

import os
from contextlib import suppress
from pathlib import Path


class Epochs:
    """The directory of these files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, vip: str, epoch: int | None) -> None:
        """The node owns `vip` under this epoch, or does not own it."""
        path = self._directory / vip
        if epoch is None:
            path.unlink(missing_ok=True)
            return
        self._directory.mkdir(mode=0o755, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(f"{epoch}\n")
        os.replace(draft, path)

    def remove(self) -> None:
        """Leave nothing behind."""
        with suppress(FileNotFoundError):
            for path in self._directory.iterdir():
                path.unlink()
            self._directory.rmdir()
