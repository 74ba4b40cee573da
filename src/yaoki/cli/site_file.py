"""A site file is replaced whole, and as it was before it is kept beside it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yaoki.core.error import UsageError


def replace_file(path: Path, text: str, *, before: str) -> Path:
    """Put a text in the place of the old one, with its owner and mode; the result is where the old one is kept.

    Raises UsageError if the file cannot be written, or does not say `before` any more; then it is as it was.
    """
    file = path.resolve()
    try:
        with _alone_in(file.parent):
            if file.read_bytes() != before.encode():
                raise UsageError(f"{path} has been changed meanwhile; say it again")
            return _replaced(file, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be replaced: {error.strerror}") from error


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """While one command replaces files of a directory, the others wait."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replaced(file: Path, text: str) -> Path:
    fresh, kept = file.with_name(f".{file.name}.new"), former(file)
    status = file.stat()
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            os.fchown(out.fileno(), status.st_uid, status.st_gid)
            os.fchmod(out.fileno(), status.st_mode & 0o777)
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        kept.unlink(missing_ok=True)
        os.link(file, kept)
        fresh.rename(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return kept


def former(file: Path) -> Path:
    """Where the file as it was before is kept; hidden, so that no pattern of `include` means it."""
    return file.with_name(f".{file.name}.before")
