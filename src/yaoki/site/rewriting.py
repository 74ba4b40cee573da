"""One line for a site file: `replaces: OLD` at the node that takes OLD's place, and nothing else changed.

Whether the node's block is written in lines or within braces is not asked: the line is put both ways, and the way that
reads as the site that is wanted is taken. So comments, order and notation of everything else stay as they are.
"""

from dataclasses import dataclass
from pathlib import Path

from yaoki.core.error import LocalError, Problem
from yaoki.site.document import Mapping, Scalar
from yaoki.site.load import LoadedSite
from yaoki.site.strict_yaml import parse

ANCHOR = "standby-for"
"""The key that the line is written above; without it nobody takes a place."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A file's text as it is, and as it shall be. `line` is the changed part of it, for people."""

    file: Path
    before: str
    text: str
    line: str


def with_replaces(loaded: LoadedSite, old: str, new: str) -> Rewriting:
    """The file that has the block of `new`, saying that it replaces `old`. Its text is read anew."""
    block = _block(loaded, new)
    anchor = block.items[ANCHOR][0]
    file = Path(anchor.file.name)
    text = file.read_bytes().decode()
    lines = text.split("\n")
    line, at = lines[anchor.line], anchor.column
    for between in (", ", "\n" + line[:at]):
        said = f"replaces: {old}"
        changed = line[:at] + said + between + line[at:]
        candidate = "\n".join((*lines[: anchor.line], changed, *lines[anchor.line + 1 :]))
        if _replaces(candidate, new) == old:
            return Rewriting(file, text, candidate, changed)
    raise LocalError(f"{file}: no way was found to write replaces: {old} at {new}")


def _block(loaded: LoadedSite, node: str) -> Mapping:
    root = loaded.source_map.root
    assert isinstance(root, Mapping), "a site that was read is made of sections"
    nodes = root.items["nodes"][1]
    assert isinstance(nodes, Mapping), "the loader has refused anything else"
    block = nodes.items[node][1]
    assert isinstance(block, Mapping), "the loader has refused anything else"
    return block


def _replaces(text: str, node: str) -> str | None:
    """What a file says of a node; None if it cannot be read, or says nothing."""
    problems: list[Problem] = []
    found = parse(text.encode(), "", problems)
    for step in ("nodes", node, "replaces"):
        if problems or not isinstance(found, Mapping) or step not in found.items:
            return None
        found = found.items[step][1]
    return found.text if isinstance(found, Scalar) else None
