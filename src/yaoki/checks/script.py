"""The script check: exit status 0 passes; what it printed first is the evidence.

Exit statuses 126 and 127 are the shell's "cannot execute" and "not found": the script did not run.
"""

from collections.abc import Mapping
from datetime import timedelta

from yaoki.checks.check import CheckSpec, Finding, Outcome
from yaoki.checks.failure import passed

MAX_OUTPUT = 4096
"""Octets of output that are read; more is discarded."""
_SHOWN = 120
"""Characters of its first line that are shown as evidence."""


def environment(spec: CheckSpec, path: str) -> Mapping[str, str]:
    """All that the script finds in its environment: nothing of the daemon's own but PATH."""
    return {
        "PATH": path,
        "LANG": "C.UTF-8",
        "YAOKI_CHECK": spec.name,
        "YAOKI_TARGET": str(spec.id.target),
        "YAOKI_SOURCE": "" if spec.id.source is None else str(spec.id.source),
        "YAOKI_TIMEOUT_MS": str(spec.schedule.timeout // timedelta(milliseconds=1)),
    }


def judge(status: int, output: bytes, took: timedelta) -> Finding:
    """Of a script that ended by itself. A negative status is the signal that killed it."""
    first_line = output.decode(errors="replace").strip().partition("\n")[0][:_SHOWN]
    said = f": {first_line}" if first_line else ""
    if status == 0:
        return passed(first_line or "exit status 0", took)
    if status < 0:
        return Finding(Outcome.WRONG_ANSWER, f"killed by signal {-status}{said}", took)
    outcome = Outcome.NOT_RUN if status in (126, 127) else Outcome.WRONG_ANSWER
    return Finding(outcome, f"exit status {status}{said}", took)
