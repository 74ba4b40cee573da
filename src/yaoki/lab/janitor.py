"""Removes a rehearsal's lab when the rehearsal itself has died: `python -m yaoki.lab.janitor BASE SITE PID`.

It holds the reading end of a pipe whose writing end only the rehearsal has. The end of the pipe without the word
`done` means that the rehearsal, process PID, was killed. A lab that somebody else holds is left alone.
"""

import os
import subprocess
import sys
from pathlib import Path

from yaoki.lab.lab import remove_lab
from yaoki.lab.state import recall

_DONE = b"done"


class Janitor:
    """The rehearsal's side: keep it while the lab is up, dismiss it when the lab has been removed."""

    def __init__(self, *, base: Path, site: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "yaoki.lab.janitor", str(base), site, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The lab has been removed by its maker."""
        self._process.communicate(_DONE)


def main(base: str, site: str, holder: str) -> None:
    """Wait for the end of the rehearsal."""
    if sys.stdin.buffer.read() == _DONE:
        return
    state = recall(site, base=Path(base))
    if state is not None and state.holder == int(holder):
        remove_lab(site, base=Path(base))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
