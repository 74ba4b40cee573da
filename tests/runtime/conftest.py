"""What several test files here share."""

from pathlib import Path

import pytest

from tests.runtime.signing_keys import put_both


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of secrets, with both signing keys."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    monkeypatch.setenv("YAOKI_SECRETS", str(directory))
    put_both(directory)
    return directory
