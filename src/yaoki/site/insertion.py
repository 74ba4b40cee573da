"""One entry more in a mapping of a YAML text, by insertion alone: every character that was there stays, in its order.

An entry goes behind the last one of its mapping, in the notation of that mapping: in lines where it is written in
lines, within braces where it is written within braces, in quotes where its keys are. Comments stay with what they
stand behind; a comment on a line of its own belongs to the entry before it if it is indented deeper than the entries.

Invariant: what comes out reads as what went in, and the entry; where no such text was found, there is none.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yaoki.core.error import Problem, UsageError
from yaoki.site.document import Mapping, Node
from yaoki.site.marks import Spot, spots
from yaoki.site.notation import block, key_text, meaning, written
from yaoki.site.strict_yaml import parse

WIDTH = 120
"""What would make a line longer than this is put on lines of its own."""
STEP = 2
"""Columns of indentation where the file shows none."""

_BREAK = re.compile(r"\r\n|\r|\n")
_REST_OF_LINE = re.compile(r"(?P<comma>[ \t]*,)?[ \t]*(?:[ \t]#[^\r\n]*)?(?=\r|\n|\Z)")
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is added. In block style, so many levels of `value` are written in lines; what is deeper, within braces."""

    key: str
    value: Node
    lines: int = 0


def with_entry(text: str, path: Sequence[str], entry: Entry) -> str:
    """The text with an entry in the mapping at `path`, which is made if it is missing.

    Raises UsageError if what stands at the path is no mapping, or the text is written in a way that was not foreseen.
    """
    bom, body = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    there = _Text(body)
    place, depth = there.deepest(path)
    whole = entry
    for made in reversed(path[depth:]):
        whole = Entry(made, block({whole.key: whole.value}), whole.lines + 1)
    if isinstance(place, _Hollow):
        pieces = there.below(place, whole)
    elif place.items is None:
        raise UsageError(f"{'.'.join(path[:depth])} is no block of keys, so {entry.key} cannot be added to it")
    else:
        pieces = there.in_braces(place, whole) if place.flow else there.in_lines(place, whole)
    made_of = _joined(body, pieces)
    if _meaning(made_of) != _with(_meaning(body), path, entry):
        said = f"{key_text(entry.key)}: {written(entry.value)}"
        raise UsageError(f"no place was found for it in {'.'.join(path)}; write it there by hand: {said}")
    return bom + made_of


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is put before the character of an offset."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class _Hollow:
    """A key that has no value yet, among others in block style."""

    key: Spot


class _Text:
    """A text that is written into."""

    def __init__(self, body: str) -> None:
        self._body = body
        self._root = spots(body)
        self._lines = _BREAK.split(body)
        self._starts = [0, *(found.end() for found in _BREAK.finditer(body))]
        found = _BREAK.search(body)
        self._break = found[0] if found else "\n"
        self._quoted = False

    def deepest(self, path: Sequence[str]) -> tuple[Spot | _Hollow, int]:
        """The innermost thing on a path that is there, and how many steps lead to it."""
        place = self._root
        for depth, step in enumerate(path):
            self._learn(place)
            if place.items is None or step not in place.items:
                return place, depth
            key, value = place.items[step]
            if value.empty and not place.flow:
                return _Hollow(key), depth + 1
            place = value
        self._learn(place)
        return place, len(path)

    def _learn(self, place: Spot) -> None:
        """Whether texts are in quotes here: as the keys are, of this mapping or else of the one around it."""
        if place.items:
            self._quoted = all(key.quoted for key, _ in place.items.values())

    # --- in lines -----------------------------------------------------------------------------------------------------

    def in_lines(self, place: Spot, entry: Entry) -> list[_Piece]:
        """Behind the last entry of a mapping in block style, and its comments; set apart as that is."""
        lines = self._block(entry, place.column)
        if self._is_apart(place):
            lines = ["", *lines]
        return [self._behind(place.after, place.column, lines)]

    def below(self, hollow: _Hollow, entry: Entry) -> list[_Piece]:
        """Below a key that has no value, and the comments there."""
        column = hollow.key.column
        return [self._behind(hollow.key.after, column, self._block(entry, column + self._step()))]

    def _behind(self, line: int, column: int, added: list[str]) -> _Piece:
        for number, text in enumerate(self._lines[line:], line):
            content = text.lstrip(" \t")
            if content.startswith("#") and len(text) - len(content) > column:
                line = number + 1
            elif content:
                break
        if line < len(self._lines):
            return _Piece(self._starts[line], "".join(text + self._break for text in added))
        return _Piece(len(self._body), "".join(self._break + text for text in added) + self._break)

    def _block(self, entry: Entry, column: int) -> list[str]:
        indent = " " * column
        if entry.lines == 0 or not isinstance(entry.value, Mapping) or not entry.value.items:
            first, *more = self._within(entry, column)
            return [indent + first, *more]
        lines = [f"{indent}{self._key(entry)}:"]
        for key, (_, value) in entry.value.items.items():
            lines += self._block(Entry(key, value, entry.lines - 1), column + self._step())
        return lines

    def _step(self) -> int:
        """How much deeper the sections' entries are than the sections."""
        for _, value in (self._root.items or {}).values():
            if value.items and not value.flow and value.column > self._root.column:
                return value.column - self._root.column
        return STEP

    def _is_apart(self, place: Spot) -> bool:
        """Whether an empty line stands before the last entry of several, above its comments."""
        *before, (last, _) = (place.items or {}).values()
        above = last.line - 1
        while above >= 0 and self._lines[above].lstrip(" \t").startswith("#"):
            above -= 1
        return bool(before) and above >= 0 and not self._lines[above].strip()

    # --- within braces ------------------------------------------------------------------------------------------------

    def in_braces(self, place: Spot, entry: Entry) -> list[_Piece]:
        """Before the closing brace, or on a line of its own if the last entry ends one, or the line would be long."""
        if not place.items:
            inside = " " * (_indentation(self._lines[place.line]) + STEP)
            first, *more = self._within(entry, len(inside))
            fits = not more and len(self._lines[place.line]) + len(first) <= WIDTH
            return [_Piece(place.start + 1, first if fits else self._break + self._break.join([inside + first, *more]))]
        (first_key, _), *_ = place.items.values()
        column = first_key.column
        key, value = list(place.items.values())[-1]
        end = key.end if value.empty else value.end
        first, *more = self._within(entry, column)
        own_line = self._break + self._break.join([" " * column + first, *more])
        if (rest := _REST_OF_LINE.match(self._body, end)) is not None:
            if rest["comma"] is not None:
                return [_Piece(rest.end(), own_line + ",")]
            return [_Piece(end, ","), _Piece(rest.end(), own_line)]
        line = self._lines[(key if value.empty else value).after - 1]
        above = [other for other, _ in place.items.values() if other is not key][-1:]
        apart = any(other.line != key.line for other in above)
        if apart or more or len(line) + len(first) + 2 > WIDTH:
            return [_Piece(end, "," + own_line)]
        return [_Piece(end, f", {first}")]

    def _within(self, entry: Entry, column: int) -> list[str]:
        """An entry with its value within braces: one line, or one for each key of the value; the first has no indent,
        for it stands at `column` already."""
        head = f"{self._key(entry)}: "
        whole = head + written(entry.value, quoted=self._quoted)
        value = entry.value
        if column + len(whole) <= WIDTH or not isinstance(value, Mapping) or not value.items:
            return [whole]
        inner = [written(block({key: each}), quoted=self._quoted)[1:-1] for key, (_, each) in value.items.items()]
        lines = [head + "{" + inner[0], *(" " * (column + len(head) + 1) + each for each in inner[1:])]
        return [*(line + "," for line in lines[:-1]), lines[-1] + "}"]

    def _key(self, entry: Entry) -> str:
        return key_text(entry.key, quoted=self._quoted)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _joined(body: str, pieces: Iterable[_Piece]) -> str:
    done, parts = 0, []
    for piece in sorted(pieces, key=lambda piece: piece.at):
        parts += [body[done : piece.at], piece.text]
        done = piece.at
    return "".join([*parts, body[done:]])


def _meaning(text: str) -> object:
    """What a text says; None if it cannot be read."""
    problems: list[Problem] = []
    root = parse(text.encode(), "", problems)
    return None if problems or root is None else meaning(root)


def _with(old: object, path: Sequence[str], entry: Entry) -> object:
    """What a mapping says with the entry added to it, or to the one that a path leads to from it."""
    entries = list(old) if isinstance(old, list) else []
    if not path:
        return [*entries, (entry.key, meaning(entry.value))]
    step, *rest = path
    held = dict(entries)
    if step in held:
        return [(key, _with(value, rest, entry) if key == step else value) for key, value in entries]
    return [*entries, (step, _with(None, rest, entry))]
