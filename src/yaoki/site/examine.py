"""Everything that is wrong with a site file: its shape, its references, and what the lint rules find, with places.

`acknowledge: [rule]` at an object says that a finding there is known; it is then kept apart instead of reported. Errors
that cannot work whatever one says (firm rules) are not to be acknowledged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from yaoki.core.error import Problem, SiteError
from yaoki.core.event import Severity
from yaoki.site.lint import RULES, Finding, Rule, View
from yaoki.site.lint.ticks import TICK, unheld_by
from yaoki.site.load import LoadedSite, read_site
from yaoki.site.reading import suggestion
from yaoki.site.source_map import Path as SitePath

MAX_FINDINGS = 100
"""Findings kept of one rule; who has more mends a few and asks again."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The result: `loaded` is None if errors of shape or reference make the file unusable.

    `cut_short` names the rules that found more than MAX_FINDINGS; only so many of each are kept. `stopped`: reading
    ended early, at too many mistakes.
    """

    loaded: LoadedSite | None
    problems: tuple[Problem, ...]
    acknowledged: tuple[Problem, ...] = ()
    cut_short: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def refused(self) -> bool:
        """Whether a node would refuse the file."""
        return any(problem.fatal for problem in self.problems)

    def count(self, severity: Severity) -> int:
        """How many problems are of one severity."""
        return sum(problem.severity is severity for problem in self.problems)


def examine(path: Path, instead: Mapping[Path, bytes] | None = None) -> Examination:
    """All that can be found in one go; never raises. `instead`: what is taken for the content of files, by their
    resolved paths: so a change is examined before it is written."""
    reading = read_site(path, instead)
    if reading.loaded is None:
        return Examination(None, reading.problems, stopped=reading.stopped)
    broken = bool(reading.problems)
    found = lint(reading.loaded, partial=broken)
    ordered = sorted((*reading.problems, *found.problems), key=_order)
    return replace(found, loaded=None if broken else reading.loaded, problems=tuple(ordered))


def accept_site(path: Path) -> LoadedSite:
    """The site of a file that a node may run. Raises SiteError with every error, those of lint included."""
    examination = examine(path)
    if examination.refused or examination.loaded is None:
        raise SiteError(tuple(problem for problem in examination.problems if problem.fatal))
    return examination.loaded


def refuse_tick(loaded: LoadedSite, node: str, tick: timedelta) -> None:
    """Raises SiteError if the kernel of a node counts time-outs in ticks too long for how the site is advertised. Only
    the node itself knows its tick for certain."""
    found = tuple(_problem(loaded, TICK, finding) for finding in unheld_by(loaded.site, node, tick))
    if found:
        raise SiteError(found)


def lint(loaded: LoadedSite, *, partial: bool = False) -> Examination:
    """What the rules find, and apart from it what the file acknowledges. `partial`: only rules fit for half a site."""
    view = View(loaded.site)
    problems = list(_unknown_acknowledgements(loaded))
    acknowledged: list[Problem] = []
    cut_short: list[str] = []
    for rule in RULES:
        if partial and not rule.partial:
            continue
        for count, finding in enumerate(rule.find(view)):
            if count >= MAX_FINDINGS:
                cut_short.append(rule.id)
                break
            known = not rule.firm and _is_acknowledged(loaded, rule, finding)
            (acknowledged if known else problems).append(_problem(loaded, rule, finding))
    return Examination(loaded, tuple(problems), tuple(acknowledged), tuple(cut_short))


def _problem(loaded: LoadedSite, rule: Rule, finding: Finding) -> Problem:
    at = loaded.source_map.at
    other = None if finding.other is None else at(*finding.other)
    return Problem(rule.id, at(*finding.subject), finding.what, finding.cure, other, rule.severity)


def _is_acknowledged(loaded: LoadedSite, rule: Rule, finding: Finding) -> bool:
    ends: Iterable[SitePath] = (finding.subject, finding.other or ())
    objects = [tuple(map(str, end[:length])) for end in ends for length in (1, 2)]
    return any(rule.id in loaded.acknowledged.get(path, ()) for path in objects)


def _unknown_acknowledgements(loaded: LoadedSite) -> Iterable[Problem]:
    known = {rule.id: rule for rule in RULES}
    for path, ids in loaded.acknowledged.items():
        for index, rule in enumerate(ids):
            where = loaded.source_map.at(*path, "acknowledge", index)
            if rule not in known:
                what = f'acknowledge: there is no lint rule "{rule}"'
                yield Problem("unknown-name", where, what, suggestion(rule, known))
            elif known[rule].firm:
                what = f"acknowledge: what {rule} finds cannot work, so it cannot be accepted"
                yield Problem("wrong-value", where, what, "remove it and mend the cause")


def _order(problem: Problem) -> tuple[str, int, int]:
    where = problem.where
    return where.file, where.line, where.column
