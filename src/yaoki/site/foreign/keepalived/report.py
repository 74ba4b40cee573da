"""What became of every statement: one remark on each, and those on what was missing."""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.error import Location
from yaoki.site.foreign.keepalived.blocks import Statement


class Outcome(StrEnum):
    """What became of a statement. A `gap` is no statement, but something that the site needs and no file says."""

    TAKEN = "taken"
    CHANGED = "changed"
    NOT_NEEDED = "not-needed"
    NOT_TAKEN = "not-taken"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Remark:
    """What became of one statement, and as what or why."""

    where: Location
    statement: str
    outcome: Outcome
    text: str


class Report:
    """Gathers remarks; the first on a statement stays, unless a later one says that it was lost or changed."""

    def __init__(self) -> None:
        self._remarks: dict[int, Remark] = {}
        self._kept: list[Statement] = []
        self._others: list[Remark] = []

    def taken(self, statement: Statement, text: str) -> None:
        """It stands in the site as it was meant."""
        self._say(statement, Outcome.TAKEN, text)

    def changed(self, statement: Statement, text: str) -> None:
        """It stands in the site, but means something a little different."""
        self._say(statement, Outcome.CHANGED, text)

    def not_needed(self, statement: Statement, why: str) -> None:
        """The site is the same without it."""
        self._say(statement, Outcome.NOT_NEEDED, why)

    def not_taken(self, statement: Statement, why: str) -> None:
        """The site is without it."""
        self._say(statement, Outcome.NOT_TAKEN, why)

    def whole_not_taken(self, statement: Statement, why: str) -> None:
        """A statement with all that is in it."""
        self._say(statement, Outcome.NOT_TAKEN, why)
        for inner in statement.items:
            self.whole_not_taken(inner, f"it belongs to {statement.keyword}, which is not taken")

    def line(self, where: Location, text: str, outcome: Outcome, why: str) -> None:
        """A line that is no statement."""
        self._others.append(Remark(where, text, outcome, why))

    def gap(self, where: Location, subject: str, text: str) -> None:
        """Something that the site needs and no file says."""
        self._others.append(Remark(where, subject, Outcome.GAP, text))

    def knows(self, statement: Statement) -> bool:
        """Whether something was said of it."""
        return id(statement) in self._remarks

    def why(self, statement: Statement) -> str | None:
        """What was said of it."""
        found = self._remarks.get(id(statement))
        return None if found is None else found.text

    def remarks(self) -> tuple[Remark, ...]:
        """All remarks, in the order of the files."""
        found = (*self._remarks.values(), *self._others)
        order = dict.fromkeys(remark.where.file for remark in found)
        number = {file: index for index, file in enumerate(order)}
        return tuple(sorted(found, key=lambda remark: (number[remark.where.file], remark.where.line)))

    def _say(self, statement: Statement, outcome: Outcome, text: str) -> None:
        held = self._remarks.get(id(statement))
        if held is not None and _GRAVITY[held.outcome] >= _GRAVITY[outcome]:
            return
        self._kept.append(statement)  # so that its id is not given to another object
        self._remarks[id(statement)] = Remark(statement.where, str(statement), outcome, text)


_GRAVITY = {
    Outcome.TAKEN: 1,
    Outcome.NOT_NEEDED: 1,
    Outcome.CHANGED: 2,
    Outcome.NOT_TAKEN: 3,
    Outcome.GAP: 4,
}
