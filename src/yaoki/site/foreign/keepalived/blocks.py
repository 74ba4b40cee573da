"""Logical lines to the tree of statements: a keyword with its values, and perhaps a block of further statements.

`{` stands at the end of its statement's line or alone on the next; what follows it on its line is the first statement
within. Nesting and the number of statements are bounded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from yaoki.core.error import Location, Problem
from yaoki.site.foreign.keepalived.lines import Line
from yaoki.site.foreign.keepalived.words import Word

MAX_DEPTH = 16

_SECRETS = {"auth_pass", "password", "key"}


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement. Two that say the same at different uses of one definition are two: they are told apart as objects.

    `block` is None for a statement without braces.
    """

    keyword: str
    values: tuple[str, ...]
    where: Location
    block: tuple["Statement", ...] | None = None

    def __str__(self) -> str:
        """The statement in one line, without its block and without any secret."""
        values = ("***",) if self.keyword in _SECRETS else self.values
        return " ".join((self.keyword, *values))

    @property
    def items(self) -> tuple["Statement", ...]:
        """The statements within; none if it has no block."""
        return self.block or ()

    def first(self) -> str | None:
        """Its first value, or None."""
        return self.values[0] if self.values else None


def every(statements: Iterable[Statement]) -> Iterator[Statement]:
    """These statements and all within them, in the order of the file."""
    for statement in statements:
        yield statement
        yield from every(statement.items)


@dataclass(slots=True)
class _Open:
    """A block that is being read."""

    head: Statement | None
    body: list[Statement]


def read_blocks(lines: Iterable[Line], problems: list[Problem]) -> tuple[Statement, ...]:
    """The statements of the lines. Braces that do not match are problems with their place."""
    tree = _Tree(problems)
    for line in lines:
        tree.take(line)
    return tree.end()


class _Tree:
    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._open = [_Open(None, [])]
        self._too_deep = False

    def take(self, line: Line) -> None:
        if self._too_deep:
            return
        words: list[Word] = []
        for word in _apart(line.words):
            if word.quoted or word.text not in ("{", "}"):
                words.append(word)
                continue
            head = self._statement(words, line.where)
            words = []
            if word.text == "}":
                self._close(line.where)
            else:
                self._begin(head, line.where)
        self._statement(words, line.where)

    def end(self) -> tuple[Statement, ...]:
        while len(self._open) > 1:
            head = self._open[-1].head
            assert head is not None, "only the outermost block has no head"
            self._refuse(head.where, f"the block of {head.keyword} is not closed", "add a }")
            self._close(head.where)
        return tuple(self._open[0].body)

    def _statement(self, words: list[Word], where: Location) -> Statement | None:
        if not words:
            return None
        statement = Statement(words[0].text, tuple(word.text for word in words[1:]), where)
        self._open[-1].body.append(statement)
        return statement

    def _begin(self, head: Statement | None, where: Location) -> None:
        body = self._open[-1].body
        if head is None and body and body[-1].block is None:
            head = body[-1]
        if head is None:
            self._refuse(where, "a { belongs to no statement", "write it after the keyword of its block")
            head = Statement("", (), where)
        else:
            body.pop()
        if len(self._open) > MAX_DEPTH:
            self._refuse(where, f"blocks are nested more than {MAX_DEPTH} deep", "close some of them")
            self._too_deep = True
        self._open.append(_Open(head, []))

    def _close(self, where: Location) -> None:
        if len(self._open) == 1:
            self._refuse(where, "a } closes nothing", "remove it, or open its block")
            return
        closed = self._open.pop()
        assert closed.head is not None, "only the outermost block has no head"
        head = closed.head
        whole = Statement(head.keyword, head.values, head.where, tuple(closed.body))
        if head.keyword:
            self._open[-1].body.append(whole)

    def _refuse(self, where: Location, what: str, cure: str) -> None:
        self._problems.append(Problem("keepalived-syntax", where, what, cure))


def _apart(words: Iterable[Word]) -> Iterator[Word]:
    """The words with braces that touch them taken off: `global_defs{` and `1}`; a ${NAME} is left whole."""
    for word in words:
        text = word.text
        if word.quoted or len(text) < 2 or "${" in text:
            yield word
        elif text.endswith("{"):
            yield from (Word(text[:-1]), Word("{"))
        elif text.startswith("{"):
            yield from (Word("{"), *_apart((Word(text[1:]),)))
        elif text.endswith("}"):
            yield from (Word(text[:-1]), Word("}"))
        else:
            yield word
