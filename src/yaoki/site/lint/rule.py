"""What a lint rule is: an id, how bad it is, one sentence for the reference, and the function that finds it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from yaoki.core.event import Severity
from yaoki.site.lint.view import View
from yaoki.site.source_map import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule found. `subject` and `other` are paths in the site: the two ends of a clash."""

    subject: Path
    what: str
    cure: str
    other: Path | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `firm`: what it finds cannot work, so it cannot be acknowledged in the file. `partial`: it finds clashes between
    things that are there, so it may run on what is left of a file with other mistakes.
    """

    id: str
    severity: Severity
    summary: str
    find: Callable[[View], Iterable[Finding]]
    firm: bool = False
    partial: bool = False
