"""The one typed stream of what happened, each event naming what caused it, so that an incident is a chain.

Logs, metrics, the event stream and the lab's reports are renderings of these values; no engine formats text.
Event bodies are frozen dataclasses that live in the domain they speak of and inherit EventBody.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from yaoki.core.instant import Instant


class Severity(StrEnum):
    """How loud an event is. `notice` is a state change; `warning` wakes somebody; `error`: a function has stopped."""

    TRACE = "trace"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class EventId:
    """Names one event: the assembly that emitted it ("lb1/speaker") and its count there, from 1."""

    source: str
    number: int

    def __str__(self) -> str:
        return f"{self.source}:{self.number}"


@dataclass(frozen=True, slots=True)
class EventBody:
    """Base of every event body. A body holds values (names, addresses, reasons), never finished sentences."""

    SEVERITY: ClassVar[Severity] = Severity.NOTICE


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, as published by an assembly. `at` is on that assembly's own clock."""

    id: EventId
    at: Instant
    body: EventBody
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """The effect by which a machine reports something; its assembly makes the Event of it."""

    body: EventBody
    because: EventId | None = None


class EventNumbering:
    """Turns the Emits of one assembly into Events with consecutive ids."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0

    def event(self, now: Instant, emit: Emit) -> Event:
        """The next event of this source."""
        self._count += 1
        return Event(EventId(self._source, self._count), now, emit.body, emit.because)
