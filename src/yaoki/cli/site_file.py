"""A site file is replaced whole, and as it was before it is kept beside it."""

import os
from contextlib import suppress
from pathlib import Path

from yaoki.core.error import UsageError


def replace_file(path: Path, text: str, before: str | None = None) -> Path:
    """Put a text in the place of the old one, with its owner and mode; the result is where the old one is kept.

    Raises UsageError if the file cannot be written, or does not say `before` any more; then it is as it was.
    """
    file = path.resolve()
    fresh = file.with_name(f".{file.name}.new")
    try:
        if before is not None and file.read_bytes() != before.encode():
            raise UsageError(f"{path} has been changed meanwhile; say it again")
        status = file.stat()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, status.st_mode & 0o777)
        with os.fdopen(descriptor, "wb") as out:
            os.fchown(out.fileno(), status.st_uid, status.st_gid)
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        kept = former(file)
        kept.unlink(missing_ok=True)
        os.link(file, kept)
        fresh.rename(file)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be replaced: {error.strerror}") from error
    return kept


def former(file: Path) -> Path:
    """Where the file as it was before is kept; hidden, so that no pattern of `include` means it."""
    return file.with_name(f".{file.name}.before")
