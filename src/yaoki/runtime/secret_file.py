"""The values of secrets: one file each, mode 0600, in one directory, read at the moment of use.

Invariant: no message made here holds anything of a value.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from yaoki.core.secret import SecretRef

DIRECTORY = Path("/etc/yaoki/secrets")
DIRECTORY_VARIABLE = "YAOKI_SECRETS"
"""Environment variable that names another directory: a lab's, a test's."""
MAX_SECRET = 4096

_PRINTABLE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class SecretUnavailable(Exception):
    """The secret cannot be used; the text says why, and nothing of the value."""


def secret_path(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The file of a secret; an absolute path stays as it is."""
    return Path(environment.get(DIRECTORY_VARIABLE) or DIRECTORY) / name


def read_secret(secret: SecretRef, environment: Mapping[str, str] = os.environ) -> str:
    """The value: what the file holds without the line break at its end. Raises SecretUnavailable."""
    path = secret_path(secret.name, environment)
    try:
        # Not blocking: a pipe of that name must not hold up the worker's other checks.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            data = file.read(MAX_SECRET + 1) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise SecretUnavailable(f"secret {secret.name}: {path}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise SecretUnavailable(f"secret {secret.name}: {path} is no regular file")
    if status.st_mode & 0o077:
        raise SecretUnavailable(f"secret {secret.name}: {path} is open to others; chmod 0600 it")
    value = data.removesuffix(b"\n").removesuffix(b"\r")
    if len(data) > MAX_SECRET or _PRINTABLE.fullmatch(value) is None:
        raise SecretUnavailable(f"secret {secret.name}: {path} does not hold one line of printable ASCII")
    return value.decode("ascii")
