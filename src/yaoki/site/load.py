"""From a site file to the model: reads, includes, checks the shape and every reference, keeps every position.

`read_site` collects all problems and gives what could be made of the file; `load_site` gives a Site or raises SiteError
with all of them. What only the whole can tell (duplicate addresses, timers in the wrong order) is lint's business:
yaoki.site.examine joins both.
"""

from collections.abc import Mapping as Texts
from dataclasses import dataclass, field
from pathlib import Path

from yaoki.core.error import Problem, SiteError
from yaoki.site.allocation import collector_paused
from yaoki.site.build import SiteBuilder
from yaoki.site.document import Mapping, Node
from yaoki.site.include import Includer
from yaoki.site.model import Site
from yaoki.site.partial import without_dangling
from yaoki.site.reading import Reader, TooManyProblems, Value, nearest
from yaoki.site.shapes import names_given
from yaoki.site.source_map import SourceMap
from yaoki.site.vocabulary import SITE

_SECTIONS = ("networks", "nodes", "hosts", "checks", "vips", "sync-groups", "services", "hooks")
_SINGLE = ("store", "balancer")
"""Sections that are one object."""


@dataclass(frozen=True, slots=True)
class LoadedSite:
    """A site and where each part of it was written.

    `acknowledged`: the lint rules that each object (section and name, or the section alone) accepts findings of.
    """

    site: Site
    source_map: SourceMap
    acknowledged: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteReading:
    """All problems of a file's shape and references, and what could be made of it.

    `stopped`: there were too many of them to go on. With problems, `loaded` holds only objects that are right in
    themselves and refer to such; None if nothing is.
    """

    loaded: LoadedSite | None
    problems: tuple[Problem, ...]
    stopped: bool = False


def load_site(path: Path) -> LoadedSite:
    """The site of a file. Raises SiteError with every problem of its shape and its references."""
    reading = read_site(path)
    if reading.problems:
        raise SiteError(reading.problems)
    assert reading.loaded is not None, "a file without problems makes a site"
    return reading.loaded


def read_site(path: Path, instead: Texts[Path, bytes] | None = None) -> SiteReading:
    """Whatever can be read of a file; never raises. `instead`: see Includer."""
    problems: list[Problem] = []
    loaded = None
    stopped = False
    try:
        with collector_paused():
            root = Includer(problems, instead).read(path)
            if root is not None:
                loaded = _load(root, problems)
    except TooManyProblems:
        stopped = True
    return SiteReading(loaded, tuple(sorted(problems, key=_place)), stopped)


def _load(root: Mapping, problems: list[Problem]) -> LoadedSite:
    names = {name: names_given(_section(root, name)) for name in _SECTIONS}
    values = SITE.read(root, "the file", Reader(problems, names))
    source_map = SourceMap(root)
    site = SiteBuilder(source_map, problems).build(values)
    return LoadedSite(without_dangling(site) if problems else site, source_map, _acknowledged(values))


def _section(root: Mapping, name: str) -> Node | None:
    """A section, or the one that was most likely meant to be it: its names are no dangling references too."""
    if name in root.items:
        return root.items[name][1]
    misspelt = (key for key in root.items if key not in SITE.keys and nearest(key, _SECTIONS) == name)
    found = next(misspelt, None)
    return None if found is None else root.items[found][1]


def _acknowledged(values: dict[str, Value]) -> dict[tuple[str, ...], tuple[str, ...]]:
    objects: dict[tuple[str, ...], dict[str, Value]] = {
        (section, name): value for section in _SECTIONS for name, value in values.get(section, {}).items()
    }
    objects |= {(section,): values[section] for section in _SINGLE if section in values}
    return {path: value["acknowledge"] for path, value in objects.items() if value.get("acknowledge")}


def _place(problem: Problem) -> tuple[str, int, int]:
    where = problem.where
    return where.file, where.line, where.column
