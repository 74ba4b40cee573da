"""Events of flows: those of the flow copier, and of tables that fill. Their sentences are in yaoki.node.flow_sentences
and yaoki.node.table_terms."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from yaoki.core.address import IPAddress
from yaoki.core.event import EventBody, Severity
from yaoki.lb.flow_datagram import DatagramFlaw


class NotCaughtUp(StrEnum):
    """Why a peer's flows were not told to the end."""

    SILENT = "silent"
    BROKEN_OFF = "broken-off"
    TOO_MANY = "too-many"


class NotTaken(StrEnum):
    """Why flows that a peer told of were not put into the kernel."""

    RATE = "rate"
    TABLE_FULL = "table-full"
    KERNEL = "kernel"


class FlowTable(StrEnum):
    """A table of flows: of BPF, which all services of a family share; MAP: one service's on nftables."""

    FLOWS = "flows"
    NEW_FLOWS = "new-flows"
    SOURCES = "sources"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class FlowsCaughtUp(EventBody):
    """A peer has told all flows of the VIPs that it owns."""

    SEVERITY: ClassVar[Severity] = Severity.NOTICE
    peer: str
    flows: int
    took: timedelta


@dataclass(frozen=True, slots=True)
class FlowsNotCaughtUp(EventBody):
    """A peer was asked for its flows, and did not tell all of them; what it owns may be taken all the same."""

    SEVERITY: ClassVar[Severity] = Severity.NOTICE
    peer: str
    why: NotCaughtUp
    flows: int


@dataclass(frozen=True, slots=True)
class FlowEventsLost(EventBody):
    """The kernel told of flows more quickly than they were heard; all are read and told anew."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING


@dataclass(frozen=True, slots=True)
class FlowsNotTold(EventBody):
    """More new flows than are told in a second; the rest is told with the next refresh, if it is there still."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING
    limit: int


@dataclass(frozen=True, slots=True)
class FlowsNotTaken(EventBody):
    """Flows that a peer told of are not in this node's kernel: they would be cut if a VIP came here."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING
    why: NotTaken
    flows: int


@dataclass(frozen=True, slots=True)
class FlowDatagramRefused(EventBody):
    """A datagram that is none of a peer's flow copier, or that is not known to be; it changed nothing. `count` of this
    kind from this source so far; told at most once in each flow_copier.TELL_AGAIN."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING
    interface: str
    source: IPAddress
    flaw: DatagramFlaw
    count: int


@dataclass(frozen=True, slots=True)
class FlowKeyUnavailable(EventBody):
    """A key of the flow copies cannot be used. Without the one that signs none are sent to this peer; those that were
    read before serve on."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR
    peer: str
    why: str


@dataclass(frozen=True, slots=True)
class FlowTableFilling(EventBody):
    """A plane's table of flows is nearly full. `whose`: a service, or what all services of a family share."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING
    table: FlowTable
    whose: str
    entries: int
    size: int
