"""What leases report to the event stream."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from yaoki.core.event import EventBody, Severity


class LossReason(StrEnum):
    """Why a lease is over. `given-up`: its holder asked for that; `holder-silent`: the holder did not repeat its wish,
    so the lease was let run out; `expired`: no renewal succeeded in time; `taken`: the store says it is not ours."""

    GIVEN_UP = "given-up"
    HOLDER_SILENT = "holder-silent"
    EXPIRED = "expired"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class LeaseTaken(EventBody):
    """This node holds the lease. `resumed`: nobody else held it since this node did, so the epoch is the old one.
    `from_node` is who held it before, empty for nobody."""

    key: str
    epoch: int
    resumed: bool
    from_node: str


@dataclass(frozen=True, slots=True)
class LeaseLost(EventBody):
    """This node no longer holds the lease, and did not want that."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    key: str
    epoch: int
    reason: LossReason


@dataclass(frozen=True, slots=True)
class LeaseReleased(EventBody):
    """The lease was given up and the store knows: a successor need not wait."""

    key: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ReleaseNotStored(EventBody):
    """The lease was given up, but the store could not be told (`why`): a successor waits until it has run out."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    key: str
    epoch: int
    why: str


@dataclass(frozen=True, slots=True)
class LeaseUnreadable(EventBody):
    """Under the lease's key stands what no Yaoki of this version wrote."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    key: str
    revision: int
    why: str


@dataclass(frozen=True, slots=True)
class StoreLost(EventBody):
    """The store of leases does not answer; said once. Leases that are held run out unless it returns."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str


@dataclass(frozen=True, slots=True)
class StoreReturned(EventBody):
    """The store of leases answers again."""
