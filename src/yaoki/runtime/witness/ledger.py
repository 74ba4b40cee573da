"""What the witness has promised, on disk: one line for each write of a key, in a file that is only ever appended to.

A line that was cut short by a loss of power was never answered for, and is left out. A file that is gone is no danger:
revisions then begin at the milliseconds since 1970, above all that were ever given, owners find their keys gone and
fall silent, and challengers wait. An *older* copy of the file is one: it may name an owner that has been replaced.
So it is never to be restored, from a backup or with a machine's snapshot.

Invariant: the file on disk is always whole but for its last line; `keep` returns when the writes are on the disk.
"""

import fcntl
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import UsageError
from yaoki.election.store import KeyState

FILE_NAME = "witness.ledger"
LOCK_NAME = "witness.lock"
MAX_LINES = 20_000
"""Lines after which the file is written anew with the newest write of each key; about 3 MB."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a key."""

    key: str
    revision: int
    value: bytes


class Ledger:
    """The file of one witness, open and locked until closed. `keys` is what is in it, and `revision` the last one that
    was given when it was opened. Raises UsageError if another witness has it, or it is damaged; OSError if it cannot be
    read or written."""

    def __init__(self, directory: Path, max_lines: int = MAX_LINES) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._max_lines = max_lines
        self._path = directory / FILE_NAME
        self._codec = Codec()
        self._lock = _locked(directory / LOCK_NAME)
        self._newest: dict[str, Write] = {}
        self.revision = time.time_ns() // 1_000_000
        if self._path.exists():
            self._read()
        self._rewrite()

    @property
    def keys(self) -> dict[str, KeyState]:
        return {write.key: KeyState(write.revision, write.value) for write in self._newest.values()}

    def keep(self, writes: Iterable[Write]) -> None:
        """Append, and wait for the disk. Raises OSError; what is on the disk then is not known."""
        for write in writes:
            self._newest[write.key] = write
            self._file.write(self._line(write))
            self._lines += 1
        self._file.flush()
        os.fdatasync(self._file.fileno())
        if self._lines > self._max_lines + len(self._newest):
            self._file.close()
            self._rewrite()

    def close(self) -> None:
        self._file.close()
        os.close(self._lock)

    def _read(self) -> None:
        *lines, _cut_short = self._path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                write = self._codec.decode(line, Write)
            except Undecodable as error:
                why = f"{self._path}:{number}: {error}; remove the file: owners then fall silent, and nobody owns twice"
                raise UsageError(why) from error
            assert isinstance(write, Write)
            self._newest[write.key] = write
        self.revision = max((write.revision for write in self._newest.values()), default=self.revision)

    def _rewrite(self) -> None:
        """A new file beside the old one, flushed to disk, then renamed over it."""
        new = self._path.with_suffix(".new")
        self._file = new.open("wb")
        os.chmod(new, 0o600)
        for write in self._newest.values():
            self._file.write(self._line(write))
        self._lines = len(self._newest)
        self._file.flush()
        os.fsync(self._file.fileno())
        new.rename(self._path)
        at = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(at)
        finally:
            os.close(at)

    def _line(self, write: Write) -> bytes:
        return self._codec.encode(write) + b"\n"


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(f"{path.parent}: another witness runs with it; give each --state-dir of its own") from None
    return descriptor
