"""What a reading of the tree shares: the problems found so far, and the names that references may use.

Invariant: reading never stops at a problem; what could not be read becomes INVALID and is left out by who asked for it.
Only the number of problems is bounded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final

from yaoki.core.error import Location, Problem
from yaoki.site.document import Node, location
from yaoki.site.strict_yaml import MAX_PROBLEMS

MAX_COMPARED_NAMES = 2_000
MAX_COMPARISONS = 25
"""So many misspelt words of a file are compared with so many known ones at most: the comparison is slow."""


class Invalid(Enum):
    """The value of what could not be read; it has been reported already."""

    INVALID = "invalid"


INVALID: Final = Invalid.INVALID

Value = Any
"""What a kind makes of a node: each kind has its own type, and the builder of the model knows which."""


class TooManyProblems(Exception):
    """The reading ends here: nobody reads more problems than this."""


class Reader:
    """Collects problems. `names` holds, for each kind of object, its names and where each was given."""

    def __init__(self, problems: list[Problem], names: Mapping[str, Mapping[str, Location]]) -> None:
        self.problems = problems
        self.names = names
        self._comparisons = 0

    def refuse(
        self, rule: str, node: Node, what: str, cure: str = "", *, other: Location | None = None, quoted: bool = True
    ) -> Invalid:
        """Report a problem at a node. `quoted`: whether the line may be shown; one with a secret in it may not."""
        where = location(node)
        self.problems.append(Problem(rule, where if quoted else replace(where, text=""), what, cure, other))
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems
        return INVALID

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """The cure for a misspelt word; for the first few by comparison, for further ones by listing what there is."""
        self._comparisons += 1
        return suggestion(word if self._comparisons <= MAX_COMPARISONS else "", known)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one most likely meant, if any is near."""
    if not word:
        return None
    candidates = [name for _, name in zip(range(MAX_COMPARED_NAMES), known, strict=False)]
    found = get_close_matches(word[:64], candidates, n=1)
    if found:
        return found[0]
    # difflib takes no notice of "gateway" in "gateway-address".
    starts = [name for name in candidates if len(name) > 2 and (word.startswith(name) or name.startswith(word))]
    return starts[0] if starts and len(word) > 2 else None


def suggestion(word: str, known: Iterable[str], *, none: str = "none is defined") -> str:
    """The cure for a misspelt word: the nearest one, or those there are."""
    names = tuple(known)
    found = nearest(word, names)
    if found is not None:
        return f'did you mean "{found}"?'
    if not names:
        return none
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"there are: {shown}"
