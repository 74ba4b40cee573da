"""The journal: what the kernel cannot tell after a restart, in files of the state directory, written atomically.

journal.json holds what people decided, original sysctls, and how the process fared; last-good.json the last plan that
has proved itself, as compiled, so that it works even when the site file and all it includes are gone. Reading never
fails the start: a damaged file is put aside and said.

Invariant: a file on disk is always whole; a failed write leaves the one before.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from yaoki.core.codec import Codec, Undecodable
from yaoki.node.decisions import Decisions
from yaoki.site.node_plan import NodePlan

_NOTHING = Decisions()


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan that has not proved itself yet: how often in a row the process died with it in force, and of what."""

    generation: str
    crashes: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What is kept. `sysctls` are (name, original value); `starts` counts them since the state directory was made."""

    decisions: Decisions = _NOTHING
    trial: Trial | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    starts: int = 0


class Journal:
    """The journal of one node. `unreadable` says what was wrong with the files found, if anything."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "journal.json"
        self._last_good_path = directory / "last-good.json"
        self._codec = Codec()
        self.unreadable: str | None = None
        content = self._read(self._path, JournalContent)
        self.content = content if isinstance(content, JournalContent) else JournalContent()
        last_good = self._read(self._last_good_path, NodePlan)
        self.last_good = last_good if isinstance(last_good, NodePlan) else None

    def change(
        self,
        *,
        decisions: Decisions | None = None,
        sysctls: tuple[tuple[str, str], ...] | None = None,
        starts: int | None = None,
    ) -> None:
        """Replace what is given and write. Raises OSError; the content in memory is changed all the same."""
        content = self.content
        self._become(
            replace(
                content,
                decisions=content.decisions if decisions is None else decisions,
                sysctls=content.sysctls if sysctls is None else sysctls,
                starts=content.starts if starts is None else starts,
            )
        )

    def try_out(self, trial: Trial | None) -> None:
        """Note the plan on trial, or that none is. Raises OSError as `change` does."""
        self._become(replace(self.content, trial=trial))

    def keep_last_good(self, plan: NodePlan) -> None:
        """Keep the plan as the last good one; of a large site that takes a second. Raises OSError."""
        if plan != self.last_good:
            self._write_file(self._last_good_path, self._codec.encode(plan))
            self.last_good = plan

    def write(self) -> None:
        """Write the content again, after a failure. Raises OSError."""
        self._write_file(self._path, self._codec.encode(self.content))

    def remove(self) -> None:
        """Delete the files and, where nothing else is in it, the directory."""
        for path in (self._path, self._last_good_path):
            path.unlink(missing_ok=True)
            _beside(path).unlink(missing_ok=True)
        try:
            self._directory.rmdir()
        except OSError:
            return

    def _become(self, content: JournalContent) -> None:
        if content != self.content:
            self.content = content
            self.write()

    def _write_file(self, path: Path, data: bytes) -> None:
        """A new file beside the old one, flushed to disk, then renamed over it."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _beside(path).rename(path)

    def _read(self, path: Path, type_: type) -> object:
        try:
            return self._codec.decode(path.read_bytes(), type_)
        except FileNotFoundError:
            return None
        except (OSError, Undecodable) as error:
            self.unreadable = f"{path.name}: {error}"
            _put_aside(path)
            return None


def _beside(path: Path) -> Path:
    return path.with_suffix(".new")


def _put_aside(path: Path) -> None:
    try:
        path.rename(path.with_suffix(".damaged"))
    except OSError:
        return
