"""Two keys, and the directory in which their secrets lie."""

from pathlib import Path

from yaoki.core.secret import SecretRef
from yaoki.packet.authentication_params import KeyRef

FIRST, SECOND = KeyRef(1, SecretRef("first")), KeyRef(2, SecretRef("second"))


def put(directory: Path, name: str, value: str) -> None:
    file = directory / name
    file.write_text(value + "\n")
    file.chmod(0o600)


def put_both(directory: Path) -> None:
    put(directory, "first", "hex:" + bytes(range(32)).hex())
    put(directory, "second", "a passphrase of 32 characters ..")
