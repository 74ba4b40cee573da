"""Files to logical lines: comments, includes, @conditions, $definitions and ~SEQ, as keepalived.conf(5) has them.

"ADVANCED CONFIGURATION" says how these work together: a replacement is made where a parameter is used, its text is
read like any other line (it may hold conditions, further parameters, several lines), and an unknown $PARAMETER stays as
it is.

Invariants: reading ends, whatever the files say (the limits below); every line keeps the place where it was written.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from yaoki.core.error import Location, Problem
from yaoki.site.foreign.keepalived.library import Library, Unreadable
from yaoki.site.foreign.keepalived.words import Unended, Word, split_words, without_comment

MAX_FILES = 256
MAX_INCLUDE_DEPTH = 16
MAX_LINES = 100_000
"""Lines read, counting each use of a definition."""
MAX_REPLACEMENTS = 256
"""Parameters replaced one after the other in what was one line."""
MAX_LINE = 16_384
MAX_SEQUENCE = 4_096
MAX_WORDS = 1_024

_INCLUDES = {"include", "includer", "includem", "includew", "includeb", "includea"}
_CONDITION = re.compile(r"@(\^?)(\S*)\s*")
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=")
_USE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?=\s|$))")
_SEQUENCE = re.compile(r"~SEQ(x?)\(([^()]*)\)\s*")
_ESCAPED_MARKS = {"${_HASH}": "#", "${_BANG}": "!"}


@dataclass(frozen=True, slots=True)
class Line:
    """The words of one line; there is at least one. A passed-over line's words are those of its text."""

    words: tuple[Word, ...]
    where: Location


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A line that says nothing for this node, and why."""

    text: str
    where: Location
    why: str
    known: bool
    """Whether it is right that it says nothing (another node's condition) or something is missing."""


@dataclass(frozen=True, slots=True)
class _Raw:
    """A line as it waits to be read."""

    text: str
    where: Location
    depth: int
    """How many includes lead here."""
    replaced: int = 0
    """How many parameters were replaced on the way to this text."""


class LineReader:
    """Reads one node's configuration. `config_id` is what @conditions are compared with; None: not known."""

    def __init__(self, library: Library, problems: list[Problem], *, config_id: str | None) -> None:
        self._library = library
        self._problems = problems
        self._config_id = config_id
        self._waiting: deque[_Raw] = deque()
        self._definitions: dict[str, tuple[_Raw, ...]] = {}
        self._files = self._lines = 0
        self.passed_over: list[PassedOver] = []

    def read(self, file: str) -> Iterator[Line]:
        """The lines of a file and of all that it includes."""
        self._open(file, Location(file, 1, 1), depth=0)
        while self._waiting:
            self._lines += 1
            if self._lines > MAX_LINES:
                self._refuse(self._waiting[0].where, f"there are more than {MAX_LINES} lines", "import it in parts")
                return
            yield from self._line(self._waiting.popleft())

    def _line(self, raw: _Raw) -> Iterator[Line]:
        raw = replace(raw, text=without_comment(raw.text).strip())
        if len(raw.text) > MAX_LINE:
            self._refuse(raw.where, f"the line is longer than {MAX_LINE} characters", "divide it")
        elif not raw.text:
            return
        elif raw.text.startswith("@"):
            self._condition(raw)
        elif (definition := _DEFINITION.match(raw.text)) is not None:
            self._define(definition[1], replace(raw, text=raw.text[definition.end() :]))
        elif (sequence := _SEQUENCE.match(raw.text)) is not None:
            self._sequence(sequence, raw)
        elif not self._replace(raw):
            yield from self._words(raw)

    def _words(self, raw: _Raw) -> Iterator[Line]:
        words = split_words(raw.text)
        if isinstance(words, Unended):
            self._refuse(raw.where, "a quote is opened and not closed on its line", "close it")
        elif len(words) > MAX_WORDS:
            self._refuse(raw.where, f"there are more than {MAX_WORDS} words on the line", "divide it")
        elif words[0].text in _INCLUDES and len(words) > 1:
            self._include(words[1].text, raw)
        else:
            yield Line(tuple(_marks(word) for word in words), raw.where)

    # --- conditions, definitions, sequences ---

    def _condition(self, raw: _Raw) -> None:
        condition = _CONDITION.match(raw.text)
        assert condition is not None, "the line begins with @"
        if self._config_id is None:
            why = f"it is for the configuration id {condition[2]}, and this node's is not known: write NAME=FILE"
            self._pass_over(raw, why, known=False)
        elif (condition[2] == self._config_id) is bool(condition[1]):
            self._pass_over(raw, f"it is not for {self._config_id}", known=True)
        else:
            self._waiting.appendleft(replace(raw, text=raw.text[condition.end() :]))

    def _define(self, name: str, first: _Raw) -> None:
        pieces = [first]
        while pieces[-1].text.endswith("\\"):
            pieces[-1] = replace(pieces[-1], text=pieces[-1].text[:-1].rstrip())
            if not self._waiting:
                break
            following = self._waiting.popleft()
            pieces.append(replace(following, text=without_comment(following.text).strip()))
        if len(pieces) > 1 and not pieces[0].text:
            del pieces[0]
        self._definitions[name] = tuple(pieces)
        self._pass_over(replace(first, text=f"${name}=..."), "it is used where it is named", known=True)

    def _sequence(self, sequence: re.Match[str], raw: _Raw) -> None:
        values = _values_of(sequence[2])
        if values is None:
            what = "~SEQ takes a name and one to three whole numbers, and not more than {MAX_SEQUENCE} steps"
            self._refuse(raw.where, what.replace("{MAX_SEQUENCE}", str(MAX_SEQUENCE)), "write ~SEQ(N, 1, 1, 10)")
            return
        name, numbers = values
        rest = raw.text[sequence.end() :]
        use = re.compile(rf"\$\{{{re.escape(name)}\}}|\${re.escape(name)}(?=\s|$)")
        texts = [use.sub(f"{number:x}" if sequence[1] else str(number), rest) for number in numbers]
        self._waiting.extendleft(replace(raw, text=text) for text in reversed(texts))

    def _replace(self, raw: _Raw) -> bool:
        """Replace the first parameter that is defined; whether there was one."""
        for use in _USE.finditer(raw.text):
            pieces = self._value(use[1] or use[2], raw)
            if pieces is None:
                continue
            if raw.replaced >= MAX_REPLACEMENTS:
                what = f"${use[1] or use[2]}: more than {MAX_REPLACEMENTS} parameters are replaced on this line"
                self._refuse(raw.where, what, "let no parameter name itself")
                self._waiting.clear()
                return True
            before, after = raw.text[: use.start()], raw.text[use.end() :]
            made = [replace(piece, depth=raw.depth, replaced=raw.replaced + 1) for piece in pieces]
            if len(made) == 1:
                made[0] = replace(made[0], where=raw.where)
            made[0] = replace(made[0], text=before + made[0].text)
            made[-1] = replace(made[-1], text=made[-1].text + after)
            self._waiting.extendleft(reversed(made))
            return True
        return False

    def _value(self, name: str, raw: _Raw) -> tuple[_Raw, ...] | None:
        match name:
            case "_PWD":
                return (replace(raw, text=str(PurePath(raw.where.file).parent)),)
            case "_INSTANCE" if self._config_id is not None:
                return (replace(raw, text=self._config_id),)
            case _:
                return self._definitions.get(name)

    # --- files ---

    def _include(self, pattern: str, raw: _Raw) -> None:
        if raw.depth >= MAX_INCLUDE_DEPTH:
            self._refuse(raw.where, f"files include each other more than {MAX_INCLUDE_DEPTH} deep", "break the circle")
            return
        found = self._library.find(pattern, beside=raw.where.file)
        if not found:
            self._pass_over(raw, "there is no such file", known=False)
        for file in reversed(found):
            self._open(file, raw.where, depth=raw.depth + 1)

    def _open(self, file: str, asked_at: Location, *, depth: int) -> None:
        self._files += 1
        if self._files > MAX_FILES:
            self._refuse(asked_at, f"there are more than {MAX_FILES} files", "break the circle, or join some")
            self._waiting.clear()
            return
        try:
            text = self._library.read(file)
        except Unreadable as error:
            self._refuse(asked_at, f"cannot read {file}: {error}", "check the path and its permissions")
            return
        lines = text.splitlines()
        places = (Location(file, number, 1 + len(line) - len(line.lstrip()), line) for number, line in _numbered(lines))
        self._waiting.extendleft(
            _Raw(line, place, depth) for line, place in reversed(list(zip(lines, places, strict=True)))
        )

    def _pass_over(self, raw: _Raw, why: str, *, known: bool) -> None:
        self.passed_over.append(PassedOver(raw.text, raw.where, why, known))

    def _refuse(self, where: Location, what: str, cure: str) -> None:
        self._problems.append(Problem("keepalived-syntax", where, what, cure))


def _numbered(lines: list[str]) -> Iterator[tuple[int, str]]:
    return enumerate(lines, start=1)


def _marks(word: Word) -> Word:
    """The word with the marks that would have begun a comment."""
    text = word.text
    for escaped, mark in _ESCAPED_MARKS.items():
        text = text.replace(escaped, mark)
    return replace(word, text=text)


def _values_of(arguments: str) -> tuple[str, range] | None:
    """The variable of a ~SEQ and the numbers it takes: (var, start, step, end), step and start may be left out."""
    name, *numbers = (part.strip() for part in arguments.split(","))
    try:
        values = [int(number, 0) for number in numbers]
    except ValueError:
        return None
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None or not 1 <= len(values) <= 3:
        return None
    end = values[-1]
    start = values[0] if len(values) > 1 else (1 if end > 0 else -1)
    step = values[1] if len(values) == 3 else (1 if end >= start else -1)
    if step == 0:
        return None
    steps = range(start, end + (1 if step > 0 else -1), step)
    return (name, steps) if len(steps) <= MAX_SEQUENCE else None
