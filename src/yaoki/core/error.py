"""The error tree.

    YaokiError
    ├── SiteError        the operator's file is wrong: located, with the cure; collected, never the first only
    ├── LocalError       our own mistake or misuse of an engine: crashes the process, its supervisor restarts it
    ├── ActuatorError    the kernel or a peer product said no: carries what was being done; retried with back-off
    └── UsageError       the command line asks for what does not exist: one sentence and the cure

A peer's malformed packet is no exception: codecs return `Malformed(reason, offset)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from yaoki.core.event import Severity


class YaokiError(Exception):
    """Base of every error that Yaoki raises on purpose."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file: line and column count from 1; `text` is the whole line, for the caret drawing."""

    file: str
    line: int
    column: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a site file: where, what, how to mend it, and the other line that it clashes with.

    `rule` is the stable id under which it can be looked up and acknowledged.
    """

    rule: str
    where: Location
    what: str
    cure: str = ""
    other: Location | None = None
    severity: Severity = Severity.ERROR

    @property
    def fatal(self) -> bool:
        """Whether the file is refused because of it."""
        return self.severity is Severity.ERROR


class SiteError(YaokiError):
    """A site file was refused. `problems` holds every finding, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{p.where}: {p.what}" for p in self.problems))


class LocalError(YaokiError):
    """A promise between our own parts was broken; not to be caught below the supervisor."""


class ActuatorError(YaokiError):
    """The kernel or a supervised program refused one change.

    `change` says what was attempted, `errno` is the kernel's number or None.
    """

    def __init__(self, change: str, why: str, *, errno: int | None = None) -> None:
        self.change = change
        self.why = why
        self.errno = errno
        super().__init__(f"{change}: {why}")


class UsageError(YaokiError):
    """The command line cannot be carried out as typed; the text names the cure."""
