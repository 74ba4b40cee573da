"""Secrets are read from files of mode 0600, and no message holds anything of a value."""

import os
from pathlib import Path

import pytest

from yaoki.core.secret import SecretRef
from yaoki.runtime.secret_file import MAX_SECRET, SecretUnavailable, read_secret

TOKEN = SecretRef("web-token")


def kept(folder: Path, data: bytes, *, mode: int = 0o600) -> dict[str, str]:
    path = folder / TOKEN.name
    path.write_bytes(data)
    path.chmod(mode)
    return {"YAOKI_SECRETS": str(folder)}


@pytest.mark.parametrize("data", [b"Bearer abc", b"Bearer abc\n", b"Bearer abc\r\n"])
def test_the_value_is_the_one_line_of_the_file(tmp_path: Path, data: bytes) -> None:
    assert read_secret(TOKEN, kept(tmp_path, data)) == "Bearer abc"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SecretUnavailable, match=r"web-token: .* is open to others; chmod 0600 it"):
        read_secret(TOKEN, kept(tmp_path, b"x", mode=mode))


@pytest.mark.parametrize("data", [b"", b"\n", b"two\nlines", b" padded", b"nul\0", b"\xff", b"x" * (MAX_SECRET + 1)])
def test_what_no_header_could_carry_is_refused_without_being_repeated(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        read_secret(TOKEN, kept(tmp_path, data))
    assert str(caught.value) == f"secret web-token: {tmp_path / TOKEN.name} does not hold one line of printable ASCII"


def test_a_missing_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="No such file"):
        read_secret(TOKEN, {"YAOKI_SECRETS": str(tmp_path)})
    os.mkfifo(tmp_path / TOKEN.name, 0o600)
    with pytest.raises(SecretUnavailable, match="is no regular file"):
        read_secret(TOKEN, {"YAOKI_SECRETS": str(tmp_path)})


def test_a_reference_shows_its_name_only() -> None:
    assert repr(TOKEN) == "SecretRef(name='web-token')"
    assert os.environ.get("YAOKI_SECRETS") is None
