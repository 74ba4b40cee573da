"""The site file as a tree of nodes that know where they stand; what strict_yaml makes and the schema reads.

Invariants: a mapping has no key twice; a node's position is that of its first character, for a block under a
key that of the key; both counted from 0. `Broken` stands where something was refused already, so that one mistake is
reported once.
"""

from dataclasses import dataclass, field

from yaoki.core.error import Location


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read: its name as the operator gave it, and its lines for quoting."""

    name: str
    lines: tuple[str, ...]


# Nodes are not frozen: a large site has a hundred thousand of them, and freezing trebles the time to make one.


@dataclass(slots=True)
class Scalar:
    """A text, not yet interpreted. `plain` means that it stands without quotes, so that it may be a number."""

    file: SourceFile = field(repr=False)
    line: int
    column: int
    text: str
    plain: bool


@dataclass(slots=True)
class Sequence:
    """A list of nodes."""

    file: SourceFile = field(repr=False)
    line: int
    column: int
    items: "list[Node]"


@dataclass(slots=True)
class Mapping:
    """Keys in the order of the file, each with the node of the key itself and that of its value."""

    file: SourceFile = field(repr=False)
    line: int
    column: int
    items: "dict[str, tuple[Scalar, Node]]"


@dataclass(slots=True)
class Broken:
    """Something that has been reported and must not be reported again."""

    file: SourceFile = field(repr=False)
    line: int
    column: int


Node = Scalar | Sequence | Mapping | Broken


def location(node: Node) -> Location:
    """Where a node stands, with its line for the caret drawing."""
    lines = node.file.lines
    text = lines[node.line] if node.line < len(lines) else ""
    return Location(node.file.name, node.line + 1, node.column + 1, text)
