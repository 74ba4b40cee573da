"""YAML 1.1 text to a tree, strictly: only what JSON can say, and nothing that two readers would read differently.

A plain scalar is true, false, null or a number if JSON writes it so, and a text otherwise. Refused, each with its cure:
plain scalars that other YAML readers take for something else (`no`, `1:30`, `010`, `~`), keys given twice, anchors and
aliases, merge keys, tags, directives, several documents, tabs as indentation.

Invariants: no exception leaves `parse`; nesting, size and the number of problems are bounded by the limits below.
"""

import re
from typing import Any

import yaml

from yaoki.core.error import Location, Problem
from yaoki.site.document import Broken, Mapping, Node, Scalar, Sequence, SourceFile, location

MAX_DEPTH = 32
MAX_BYTES = 16 * 1024 * 1024
MAX_PROBLEMS = 200

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# What YAML 1.1 or 1.2 readers resolve to something else than a text, though JSON does not write it so.
_AMBIGUOUS = re.compile(
    r"""(?: (?P<boolean> [yY]es|YES | [nN]o|NO | [oO]n|ON | [oO]ff|OFF | True|TRUE | False|FALSE)
          | (?P<null> ~ | Null | NULL)
          | (?P<sexagesimal> [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)
          | (?P<number> [-+]?0[0-7_]+ | [-+]?0b[01_]+ | [-+]?0x[0-9a-fA-F_]+ | 0o[0-7]+
              | [-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9]+)? | \+[0-9][0-9_.eE+-]* | [-+]?[0-9][0-9_]*
              | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN))
          | (?P<date> [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ ].*)?)
        )""",
    re.VERBOSE,
)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAB_INDENT = re.compile(r"^ *\t+[ \t]*[^ \t#\r\n]", re.MULTILINE)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def json_value(scalar: Scalar) -> str | int | float | bool | None:
    """What a scalar means by the rules of JSON; quoted scalars are texts."""
    text = scalar.text
    if not scalar.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first not in "-0123456789" or _NUMBER.fullmatch(text) is None:
        return text
    return float(text) if "." in text or "e" in text or "E" in text else _whole(text)


_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "": None}


def _whole(text: str) -> int | float:
    # int() refuses thousands of digits; as a float such a number is infinite, and out of every range.
    return int(text) if len(text) < 100 else float(text)


def parse(data: bytes, name: str, problems: list[Problem]) -> Node | None:
    """The tree of one file. What is wrong is appended to `problems`; None means that nothing of it can be used."""
    if len(data) > MAX_BYTES:
        problems.append(Problem("file", Location(name, 1, 1), f"the file is larger than {MAX_BYTES} bytes"))
        return None
    text = _decode(data, name, problems)
    if text is None:
        return None
    file = SourceFile(name, tuple(_LINE_BREAK.split(text)))
    if (bad := _UNPRINTABLE.search(text)) is not None:
        what = f"the character U+{ord(bad.group()):04X} cannot stand in a site file"
        cure = 'write it escaped in "double quotes"'
        problems.append(Problem("yaml-syntax", _at(file, text, bad.start()), what, cure))
        return None
    if (tab := _TAB_INDENT.search(text)) is not None:
        where = _at(file, text, text.index("\t", tab.start()))
        problems.append(Problem("yaml-syntax", where, "a tab indents nothing in YAML", "indent with spaces"))
        return None
    builder = _Builder(file, problems)
    try:
        return builder.build(yaml.CLoader(text))
    except _Stop:
        return None
    except yaml.YAMLError as error:
        problems.append(_syntax_problem(file, error))
        return None


def _decode(data: bytes, name: str, problems: list[Problem]) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        where = Location(name, before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        what = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        problems.append(Problem("yaml-syntax", where, what, "save the file as UTF-8"))
        return None


def _at(file: SourceFile, text: str, offset: int) -> Location:
    before = _LINE_BREAK.split(text[:offset])
    return Location(file.name, len(before), len(before[-1]) + 1, file.lines[len(before) - 1])


_Untyped = Any
"""PyYAML's C parser and its events."""


class _Stop(Exception):
    """Nothing more of this file is worth reading."""


class _Builder:
    """Turns the parser's events into the tree. A stack of open collections instead of recursion."""

    def __init__(self, file: SourceFile, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._unambiguous: set[str] = set()
        # The innermost open collection, the key of it that waits for its value, and those of the collections around.
        self._parent: Mapping | Sequence | None = None
        self._waiting: Scalar | Broken | None = None
        self._around: list[tuple[Mapping | Sequence | None, Scalar | Broken | None]] = []

    def build(self, parser: _Untyped) -> Node | None:
        """Reads to the end of the stream. Written for speed: a large site has 150,000 events."""
        file, get_event, unambiguous = self._file, parser.get_event, self._unambiguous
        root: Node | None = None
        while True:
            event = get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                mark = event.start_mark
                text = event.value
                scalar = Scalar(file, mark.line, mark.column, text, not event.style)
                node: Node | None = scalar
                if event.anchor is not None or event.tag is not None or (scalar.plain and text not in unambiguous):
                    node = self._inspect(event, scalar)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._parent, self._waiting = self._around.pop()
                continue
            elif kind is yaml.StreamEndEvent:
                return root
            else:
                node = self._open(event, kind, seen=root is not None)
            if node is not None:
                root = root or node
                self._attach(node)
                if isinstance(node, Mapping | Sequence):
                    self._enter(event, node)

    def _attach(self, node: Node) -> None:
        """Add a node to the innermost open collection; in a mapping, keys and values come in turn."""
        parent, key = self._parent, self._waiting
        if type(parent) is Mapping:
            if key is None:
                self._waiting = self._key(parent, node)
                return
            if type(key) is Scalar:
                if type(node) is Mapping:
                    # What is said about a block is said at the word that it belongs to.
                    node.line, node.column = key.line, key.column
                parent.items[key.text] = (key, node)
            self._waiting = None
        elif type(parent) is Sequence:
            parent.items.append(node)

    def _enter(self, event: _Untyped, node: Mapping | Sequence) -> None:
        if len(self._around) >= MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels", "")
            raise _Stop
        self._around.append((self._parent, self._waiting))
        self._parent, self._waiting = node, None

    def _open(self, event: _Untyped, kind: type, *, seen: bool) -> Node | None:
        """The node that any event but a scalar or an end begins; None if it begins none."""
        mark = event.start_mark
        if kind is yaml.MappingStartEvent:
            self._refuse_properties(event)
            return Mapping(self._file, mark.line, mark.column, {})
        if kind is yaml.SequenceStartEvent:
            self._refuse_properties(event)
            return Sequence(self._file, mark.line, mark.column, [])
        if kind is yaml.AliasEvent:
            return self._refuse(event, "aliases are not supported", "write the value out")
        self._document_event(event, seen=seen)
        return None

    def _key(self, parent: Mapping, node: Node) -> Scalar | Broken:
        if isinstance(node, Broken):
            return node
        if not isinstance(node, Scalar):
            return self._broken(node, "yaml-syntax", "a key must be a single word or a quoted text", "")
        if node.plain and node.text == "<<":
            return self._broken(node, "yaml-syntax", "merge keys are not supported", "write the keys out")
        held = parent.items.get(node.text)
        if held is not None:
            what = f'the key "{node.text}" is given twice'
            return self._broken(node, "duplicate-key", what, "keep one of the two", other=location(held[0]))
        return node

    def _inspect(self, event: _Untyped, scalar: Scalar) -> Node:
        """A scalar with properties, or a plain one of a text not met before: refused if another reader would differ."""
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
            return Broken(self._file, scalar.line, scalar.column)
        text = scalar.text
        if (meaning := _ambiguity(text)) is not None:
            what = f"other YAML readers take {text} without quotes for {meaning}"
            return self._broken(scalar, "ambiguous-scalar", what, _cure_of_ambiguity(text, meaning))
        self._unambiguous.add(text)
        return scalar

    def _refuse_properties(self, event: _Untyped) -> None:
        if event.anchor is not None:
            self._refuse(event, "anchors are not supported", "write the value out where it is used")
        if event.tag is not None:
            self._refuse(event, "tags are not supported", 'remove the tag; put a text in "quotes"')

    def _document_event(self, event: _Untyped, *, seen: bool) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            if seen:
                self._refuse(event, "a site file holds one document", "remove this and what follows, or include a file")
                raise _Stop
            if event.version is not None or event.tags:
                self._refuse(event, "directives are not supported", "remove the line")

    def _refuse(self, event: _Untyped, what: str, cure: str) -> Broken:
        mark = event.start_mark
        return self._broken(Broken(self._file, mark.line, mark.column), "yaml-syntax", what, cure)

    def _broken(self, node: Node, rule: str, what: str, cure: str, *, other: Location | None = None) -> Broken:
        self._problems.append(Problem(rule, location(node), what, cure, other))
        if len(self._problems) >= MAX_PROBLEMS:
            raise _Stop
        return Broken(self._file, node.line, node.column)


def _ambiguity(text: str) -> str | None:
    """What another reader would take a plain scalar for, if that is not what JSON takes it for."""
    if _NUMBER.fullmatch(text):
        return None
    found = _AMBIGUOUS.fullmatch(text)
    if found is None:
        return None
    if found["boolean"]:
        return "true" if text.lower() in ("yes", "on", "true") else "false"
    if found["sexagesimal"]:
        return "a number to base 60"
    return {"null": "null", "number": "another number", "date": "a date"}[str(found.lastgroup)]


def _cure_of_ambiguity(text: str, meaning: str) -> str:
    instead = {
        "null": "leave the key out",
        "another number": "write the number in decimal digits",
        "a number to base 60": "write a duration with its unit, such as 90s",
    }.get(meaning, f"write {meaning}" if meaning in ("true", "false") else "write it in another way")
    return f'{instead}, or "{text}" in quotes for the text'


_CURES = {
    "mapping values are not allowed in this context": 'put a text with ": " in it in quotes, or check the indentation',
    "did not find expected key": "check the indentation, and that quotes and brackets are closed",
    "did not find expected ',' or '}'": 'close the bracket, or put a text that contains ":" or "," in quotes',
    "did not find expected ',' or ']'": 'close the bracket, or put a text that contains ":" or "," in quotes',
    "could not find expected ':'": 'a key is followed by ": "',
    "found unexpected end of stream": "close the quotes",
    "found unexpected ':'": 'put the text in quotes, such as "2001:db8::1"',
}


def _syntax_problem(file: SourceFile, error: yaml.YAMLError) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem("yaml-syntax", Location(file.name, 1, 1), f"not YAML: {error}")
    mark = error.problem_mark
    last = len(file.lines) - 1
    line, column = (mark.line, mark.column) if mark.line <= last else (last, len(file.lines[last]))
    where = Location(file.name, line + 1, column + 1, file.lines[line])
    problem = error.problem or "cannot be read"
    context = f" {error.context}" if error.context else ""
    other = None
    if error.context_mark is not None and error.context_mark.line != mark.line:
        start = error.context_mark
        other = Location(file.name, start.line + 1, start.column + 1, file.lines[start.line])
    return Problem("yaml-syntax", where, f"not YAML: {problem}{context}", _CURES.get(problem, ""), other)
