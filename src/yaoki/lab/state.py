"""What is remembered of a running lab, so that another command, or the next run after a crash, can find and remove it.

BASE/SITE/lab.json names every namespace before the first of them is made. Invariant: the directory exists as long as
anything of the lab may exist; it is removed last. A lab with a holder (a rehearsal's process id) is left over when
that process is gone.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from yaoki.core.error import UsageError

BASE = Path("/run/yaoki-lab")


@dataclass(frozen=True, slots=True)
class LabState:
    """A lab that is up, being built, or left over. `holder_started` tells a process id from its later re-use."""

    site: str
    file: str
    namespaces: tuple[str, ...]
    holder: int | None = None
    holder_started: str = ""

    @property
    def in_use(self) -> bool:
        """Whether a rehearsal is under way in it."""
        return self.holder is not None and not self.left_over

    @property
    def left_over(self) -> bool:
        """Whether the rehearsal that made it has ended without removing it."""
        if self.holder is None:
            return False
        return not self.holder_started or started_at(self.holder) != self.holder_started


def claim(state: LabState, *, base: Path) -> Path:
    """Take the site's directory for a new lab. Raises UsageError if there is one already."""
    directory = base / state.site
    base.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir()
    except FileExistsError:
        raise UsageError(
            f"the lab of {state.site} is up already; `yaoki lab exec {state.site} MACHINE COMMAND` runs something in "
            f"it, `yaoki lab down {state.site}` removes it"
        ) from None
    (directory / "lab.json").write_text(json.dumps(asdict(state)))
    return directory


def recall(site: str, *, base: Path) -> LabState | None:
    """The state of a site's lab, None if there is no lab. A directory without a readable state has no namespaces."""
    directory = base / site
    if not directory.is_dir():
        return None
    try:
        plain = json.loads((directory / "lab.json").read_text())
        return LabState(**{**plain, "namespaces": tuple(plain["namespaces"])})
    except (OSError, ValueError, TypeError, KeyError):
        return LabState(site, "", ())


def forget(site: str, *, base: Path) -> None:
    """Remove the directory of a site's lab; nothing of the lab may be left."""
    shutil.rmtree(base / site, ignore_errors=True)


def all_sites(*, base: Path) -> tuple[str, ...]:
    """The sites that have a lab."""
    return tuple(sorted(entry.name for entry in base.iterdir() if entry.is_dir())) if base.is_dir() else ()


def held_by_others(site: str, namespaces: Iterable[str], *, base: Path) -> dict[str, str]:
    """Those of a site's namespaces that another site's lab has, with that site: names are joined by the hyphens that
    they may have in them, so that `a` with a machine `b-c` and `a-b` with one `c` mean the same."""
    others = {other: recall(other, base=base) for other in all_sites(base=base) if other != site}
    held = {name: other for other, state in others.items() if state is not None for name in state.namespaces}
    return {name: held[name] for name in namespaces if name in held}


def started_at(pid: int) -> str:
    """When a process was started, in the kernel's clock ticks; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
