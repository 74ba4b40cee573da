"""A site file with the files it includes, as one tree.

`include: [nodes/*.yaml]` names files relative to the file that says so; those of one pattern are read in the order of
their names. An included file has the sections of a site file and may include others. Sections are joined; a name that
two files give is a problem with both places. Depth and number of files are bounded; a file is read once, however many
include it, and a circle is refused.
"""

import re
from collections.abc import Mapping as Texts
from glob import glob
from pathlib import Path

from yaoki.core.error import Location, Problem
from yaoki.site.document import Mapping, Node, Scalar, Sequence, location
from yaoki.site.kinds import refuse_type
from yaoki.site.reading import Reader
from yaoki.site.strict_yaml import MAX_BYTES, parse

MAX_INCLUDE_DEPTH = 8
MAX_FILES = 1_000


class Includer:
    """Reads the files of one site. `problems` gets what is wrong with them.

    `instead`: what is taken for the content of files, by their resolved paths, in place of what they hold.
    """

    def __init__(self, problems: list[Problem], instead: Texts[Path, bytes] | None = None) -> None:
        self._problems = problems
        self._instead = instead or {}
        self._read: set[Path] = set()
        self._reader = Reader(problems, {})

    def read(self, path: Path) -> Mapping | None:
        """The joined tree of a file and all that it includes, or None if the file itself cannot be used."""
        root = self._file(path, str(path), asked_by=None)
        if root is None:
            return None
        whole = Mapping(root.file, root.line, root.column, {})
        self._join(whole, root)
        self._follow(whole, root, path, chain=(_resolved(path),))
        return whole

    def _file(self, path: Path, name: str, *, asked_by: Scalar | None) -> Mapping | None:
        try:
            held = self._instead.get(_resolved(path))
            data = _beginning(path) if held is None else held
        except OSError as error:
            what = f"cannot read {name}: {error.strerror}"
            where = Location(name, 1, 1) if asked_by is None else location(asked_by)
            self._problems.append(Problem("file", where, what, "check the path and its permissions"))
            return None
        self._read.add(_resolved(path))
        root = parse(data, name, self._problems)
        if isinstance(root, Mapping):
            return root
        if root is None:
            if not any(problem.where.file == name for problem in self._problems):
                where = Location(name, 1, 1)
                self._problems.append(Problem("yaml-syntax", where, "the file is empty", "begin with version: 1"))
        else:
            refuse_type(root, name, "the sections of a site file", self._reader)
        return None

    def _join(self, whole: Mapping, part: Mapping) -> None:
        """Add the keys of one file to the whole; sections that several files have become one."""
        for name, (key, value) in part.items.items():
            if name == "include":
                whole.items.setdefault(name, (key, value))
                continue
            held = whole.items.get(name)
            if held is None:
                # A copy of the section's top, so that joining another file changes no file's own tree.
                whole.items[name] = (key, _copy(value))
            elif isinstance(held[1], Mapping) and isinstance(value, Mapping):
                self._join_section(held[1], value)
            else:
                what = f'the key "{name}" is given in two files'
                self._reader.refuse("duplicate-key", key, what, "keep one of the two", other=location(held[0]))

    def _join_section(self, section: Mapping, part: Mapping) -> None:
        for name, entry in part.items.items():
            if name in section.items:
                other = location(section.items[name][0])
                what = f'the name "{name}" is given in two files'
                self._reader.refuse("duplicate-key", entry[0], what, "rename one of the two", other=other)
            else:
                section.items[name] = entry

    def _follow(self, whole: Mapping, part: Mapping, path: Path, *, chain: tuple[Path, ...]) -> None:
        if "include" not in part.items:
            return
        for pattern in _patterns(part.items["include"][1]):
            for found in self._matches(path.parent, pattern):
                place = _resolved(found)
                if place in chain:
                    self._reader.refuse("include", pattern, f"{found} includes itself", "break the circle")
                elif len(chain) > MAX_INCLUDE_DEPTH:
                    what = f"files include each other more than {MAX_INCLUDE_DEPTH} deep"
                    self._reader.refuse("include", pattern, what, "include the files from one place")
                elif len(self._read) >= MAX_FILES:
                    self._reader.refuse("include", pattern, f"more than {MAX_FILES} files", "join some of them")
                    return
                elif place not in self._read:
                    root = self._file(found, str(found), asked_by=pattern)
                    if root is not None:
                        self._join(whole, root)
                        self._follow(whole, root, found, chain=(*chain, place))

    def _matches(self, folder: Path, pattern: Scalar) -> list[Path]:
        """The files of a pattern, sorted. A pattern without wildcard must name a file; one with, may find none."""
        text = pattern.text
        if not any(mark in text for mark in "*?["):
            return [folder / text]
        try:
            return [folder / found for found in sorted(glob(text, root_dir=folder)) if (folder / found).is_file()]
        except (ValueError, OSError, re.error) as error:
            self._reader.refuse("include", pattern, f'"{text}" is no usable pattern: {error}', "write nodes/*.yaml")
            return []


def _beginning(path: Path) -> bytes:
    """A file's octets, or so many that `parse` refuses it: a device or a mistaken name may have no end."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _resolved(path: Path) -> Path:
    """The file that a path means; a link that leads to itself is left as it is, for `open` to refuse."""
    try:
        return path.resolve()
    except RuntimeError:
        return path.absolute()


def _copy(value: Node) -> Node:
    return Mapping(value.file, value.line, value.column, dict(value.items)) if isinstance(value, Mapping) else value


def _patterns(value: Node) -> list[Scalar]:
    """Those parts of `include` that are texts; the vocabulary reports the others."""
    items = value.items if isinstance(value, Sequence) else [value]
    return [item for item in items if isinstance(item, Scalar) and item.text and "\0" not in item.text]
