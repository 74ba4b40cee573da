"""What checks report to the event stream."""

from dataclasses import dataclass
from typing import ClassVar

from yaoki.checks.check import CheckId, Finding
from yaoki.core.event import EventBody, Severity
from yaoki.pool.health import Turn


@dataclass(frozen=True, slots=True)
class CheckFell(EventBody):
    """A check's verdict became `down`; `finding` is the failure that tipped it."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    check: CheckId
    name: str
    turn: Turn
    finding: Finding


@dataclass(frozen=True, slots=True)
class CheckRose(EventBody):
    """A check's verdict became `up`, for the first time or again; `finding` is the pass that tipped it."""

    check: CheckId
    name: str
    turn: Turn
    finding: Finding


@dataclass(frozen=True, slots=True)
class ProbesPutOff(EventBody):
    """As many probes are in flight as are allowed, so the next wait; said once until all have been started."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    limit: int


@dataclass(frozen=True, slots=True)
class ProbesCaughtUp(EventBody):
    """No probe waits any more."""


@dataclass(frozen=True, slots=True)
class ProbesTracked(EventBody):
    """Connection tracking could not be told to leave probes alone (`why`); they work, and use up its table."""

    why: str
