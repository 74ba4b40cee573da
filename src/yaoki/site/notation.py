"""Values in the notation of the site file: read from a word of a command line, and written within braces.

Invariant: what `written` gives reads as the same value, whatever stands around it within braces.
"""

import json
from collections.abc import Mapping as Entries

from yaoki.core.error import Problem, UsageError
from yaoki.site.document import Broken, Mapping, Node, Scalar, Sequence, SourceFile
from yaoki.site.foreign.writing import scalar
from yaoki.site.strict_yaml import json_value, parse

_NOWHERE = SourceFile("", ())


def word(text: str) -> Scalar:
    """A text, whatever it looks like."""
    return Scalar(_NOWHERE, 0, 0, text, plain=False)


def listed(items: list[Node]) -> Sequence:
    """A list of values."""
    return Sequence(_NOWHERE, 0, 0, items)


def block(entries: Entries[str, Node]) -> Mapping:
    """A block of keys, in their order."""
    return Mapping(_NOWHERE, 0, 0, {key: (word(key), value) for key, value in entries.items()})


def read(option: str, text: str) -> Node:
    """What a word of the command line means, read as a value of the file is. Raises UsageError, naming the option."""
    problems: list[Problem] = []
    found = parse(text.encode(errors="surrogateescape"), option, problems)
    if problems:
        cure = f"; {problems[0].cure}" if problems[0].cure else ""
        raise UsageError(f"{option}: {problems[0].what}{cure}")
    if found is None or (isinstance(found, Scalar) and json_value(found) is None):
        raise UsageError(f"{option} needs a value")
    return found


def written(node: Node, *, quoted: bool = False) -> str:
    """A value on one line. `quoted`: every text in quotes, as in a file that is JSON."""
    match node:
        case Mapping():
            entries = (
                f"{key_text(key, quoted=quoted)}: {written(v, quoted=quoted)}" for key, (_, v) in node.items.items()
            )
            return "{" + ", ".join(entries) + "}"
        case Sequence():
            return "[" + ", ".join(written(item, quoted=quoted) for item in node.items) + "]"
        case Scalar():
            value = json_value(node)
            if not isinstance(value, str):
                return node.text or "null"
            return json.dumps(value) if quoted else scalar(value)
        case Broken():
            raise AssertionError("a value with problems is refused when it is read")


def key_text(key: str, *, quoted: bool = False) -> str:
    """A key as it is written."""
    return json.dumps(key) if quoted else scalar(key)


def meaning(node: Node) -> object:
    """A tree as plain values, for comparing: what is written differently and means the same is equal."""
    match node:
        case Mapping():
            return [(key, meaning(value)) for key, (_, value) in node.items.items()]
        case Sequence():
            return (*(meaning(item) for item in node.items),)
        case Scalar():
            value = json_value(node)
            return type(value), value
        case Broken():
            raise AssertionError("a tree with problems is not compared")
