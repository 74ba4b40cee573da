"""The tcp check: a connection that is accepted passes, whatever runs behind it."""

from datetime import timedelta

from yaoki.checks.check import Finding
from yaoki.checks.failure import passed


def judge(took: timedelta) -> Finding:
    """Of an established connection. Everything else is a failure of yaoki.checks.failure."""
    return passed("connected", took)
