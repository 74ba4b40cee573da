"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from yaoki.linux.grace_periods import turn_back

# How long one example takes says nothing on a machine that others use as well; whole tests have their own time limit.
settings.register_profile("yaoki", deadline=None)
settings.load_profile("yaoki")


@pytest.fixture(scope="session", autouse=True)
def switches() -> Iterator[None]:
    """A speaker that a test killed leaves the machine's switch for grace periods as it had turned it."""
    yield
    turn_back()
