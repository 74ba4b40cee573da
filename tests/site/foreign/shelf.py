"""Files of a test as a library, and what is often asked of an import."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from yaoki.core.error import SiteError
from yaoki.core.event import Severity
from yaoki.site.examine import Examination, examine
from yaoki.site.foreign.keepalived import Import, Original, Outcome, Unreadable, import_keepalived
from yaoki.site.load import load_site
from yaoki.site.model import Site


@dataclass(frozen=True, slots=True)
class Shelf:
    """Files by name."""

    files: dict[str, str]

    def read(self, name: str) -> str:
        if name not in self.files:
            raise Unreadable("no such file")
        return self.files[name]

    def find(self, pattern: str, *, beside: str) -> tuple[str, ...]:
        del beside
        return tuple(sorted(name for name in self.files if fnmatch(name, pattern)))


def imported(**texts: str) -> Import:
    """The import of some nodes' files, each called by the node's name."""
    originals = [Original(f"{node}.conf", node) for node in texts]
    return import_keepalived(originals, Shelf({f"{node}.conf": text for node, text in texts.items()}))


def problems(**texts: str) -> list[str]:
    """Why files are refused, as "file:line: what"."""
    try:
        imported(**texts)
    except SiteError as error:
        return [f"{problem.where.file}:{problem.where.line}: {problem.what}" for problem in error.problems]
    raise AssertionError("nothing was refused")


def site_of(made: Import, folder: Path) -> Site:
    """The site that was printed, which a node would run."""
    examination = examined(made, folder)
    assert [problem.what for problem in examination.problems if problem.severity is Severity.ERROR] == []
    return load_site(folder / "site.yaml").site


def examined(made: Import, folder: Path) -> Examination:
    (folder / "site.yaml").write_text(made.text)
    return examine(folder / "site.yaml")


def said_of(made: Import, statement: str) -> list[tuple[Outcome, str]]:
    """The remarks on statements that begin so."""
    return [(remark.outcome, remark.text) for remark in made.remarks if remark.statement.startswith(statement)]
