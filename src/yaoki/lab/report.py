"""Rows as people and programs read them: a table that fits its terminal, JSON, and the comparison with an earlier run.

JSON is that of the rehearsal's contract: {"scenarios": [{name, outage_ms, probes, vips, streams_cut, detection_ms,
switch_ms, slo_ms, survivable, why, ok}]}; durations in milliseconds, null where there was nothing to measure. The
`failures` of a probe are the kinds that there were: timeout, reset, refused, unreachable, short, status N.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yaoki.core.address import Family
from yaoki.lab.row import Expectation, Row, VipFigures
from yaoki.lab.wording import reasons, word

GROWN_SHARE = 1.25
GROWN_MS = 50.0
"""An outage has grown when it is longer than before by a quarter and by more than the noise of one machine."""

ENGLISH = 0
_GAP = "  "
_NARROWEST_WHY = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column; of those with a `rank`, the highest goes first where the terminal is too narrow."""

    key: str
    width: int
    right: bool = True
    rank: int = 0


_COLUMNS = (
    Column("scenario", 24, right=False),
    Column("outage", 9),
    Column("lost", 5, rank=2),
    Column("owners", 13, rank=3),
    Column("cut", 4, rank=4),
    Column("detect", 7, rank=5),
    Column("switch", 7, rank=6),
    Column("slo", 5),
    Column("verdict", 6, right=False),
)


class Layout:
    """How a table fits into `width` terminal columns, for rows with these names."""

    def __init__(self, names: Sequence[str], width: int, language: int = ENGLISH) -> None:
        self._language = language
        longest = max((columns_of(name) for name in names), default=0)
        columns = [Column("scenario", max(longest, 8), right=False), *_COLUMNS[1:]]
        while _total(columns) + _NARROWEST_WHY > width and any(column.rank for column in columns):
            columns.remove(max(columns, key=lambda column: column.rank))
        self._columns = columns
        self._why = max(_NARROWEST_WHY, width - _total(columns) - len(_GAP))

    def head(self) -> str:
        """The heading."""
        cells = {column.key: word(column.key, self._language) for column in self._columns}
        return self._line(cells, word("why", self._language))

    def line(self, row: Row) -> str:
        """One row; its verdict stands in it as `verdict` says."""
        owners = [vip.longest_ms for vip in row.vips]
        worst = row.worst
        cells = {
            "scenario": row.scenario.name,
            "outage": "-" if worst is None else _figure(worst.outage.outage_ms),
            "lost": str(sum(figures.outage.lost for figures in row.probes)),
            "owners": _figure(max(owners, default=0.0)),
            "cut": str(row.streams_cut),
            "detect": _figure(row.turning.detection_ms),
            "switch": _figure(row.turning.switch_ms),
            "slo": _figure(slo_ms(row)),
            "verdict": self.verdict(row),
        }
        return self._line(cells, self.why(row))

    def verdict(self, row: Row) -> str:
        """The word that says how the row ended."""
        if row.split:
            return word("missed", self._language)
        if row.void is not None:
            return word("void", self._language)
        if not row.expectation.survivable:
            return word("shown", self._language)
        return word("ok" if row.ok else "missed", self._language)

    def why(self, row: Row) -> str:
        """Why it survives or not, and what was missed."""
        return why(row, self._language)

    def _line(self, cells: Mapping[str, str], last: str) -> str:
        padded = [_padded(cells[column.key], column) for column in self._columns]
        return _GAP.join([*padded, _shortened(last, self._why)]).rstrip()


def why(row: Row, language: int = ENGLISH) -> str:
    """The row's `why`: the reasons computed beforehand, and before them what went wrong."""
    if row.void is not None:
        return "; ".join([*_two_owners(row.split), row.void])
    said = [reasons(row.expectation.why, language)]
    for figures in row.missed[:1]:
        lasted = f"{figures.outage.outage_ms:g} ms" + ("" if figures.outage.recovered else "+")
        how = f" ({', '.join(figures.failures)})" if figures.failures else ""
        said.insert(0, f"{figures.target} out for {lasted}{how}, slo {figures.allowed_ms:g} ms")
    if row.astray is not None:
        said.insert(0, f"all is back, but not {row.astray}")
    return "; ".join([*_two_owners([vip for vip in row.vips if not vip.kept]), *said])


def _two_owners(vips: Sequence[VipFigures]) -> list[str]:
    return [f"{vip.vip} had two owners for {vip.longest_ms:g} ms" for vip in vips]


def slo_ms(row: Row) -> float | None:
    """The promise that the row is held against: that of the probe which came nearest to breaking it."""
    return None if row.decisive is None else row.decisive.allowed_ms


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """All rows in the form of the contract."""
    return {"scenarios": [_scenario(row) for row in rows]}


def listing(expectations: Sequence[Expectation], language: int = ENGLISH) -> dict[str, Any]:
    """What would be run, in JSON."""
    return {
        "scenarios": [
            {
                "name": expected.scenario.name,
                "survivable": expected.survivable,
                "why": reasons(expected.why, language),
                "covers": [str(element) for element in expected.scenario.covers],
            }
            for expected in expectations
        ]
    }


@dataclass(frozen=True, slots=True)
class Growth:
    """A scenario whose outage is longer than in an earlier run."""

    name: str
    before_ms: float
    after_ms: float


def grown(rows: Sequence[Row], baseline: Mapping[str, Any]) -> tuple[Growth, ...]:
    """The rows that grew. Raises KeyError or TypeError for what is no report of a rehearsal."""
    before = {scenario["name"]: float(scenario["outage_ms"]) for scenario in baseline["scenarios"]}
    found = []
    for row in rows:
        was, worst = before.get(row.scenario.name), row.worst
        if was is None or worst is None or row.void is not None:
            continue
        now = worst.outage.outage_ms
        if now > was * GROWN_SHARE and now > was + GROWN_MS:
            found.append(Growth(row.scenario.name, was, now))
    return tuple(found)


def columns_of(text: str) -> int:
    """How many terminal columns a text takes; ideographs take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _scenario(row: Row) -> dict[str, Any]:
    worst = row.worst
    return {
        "name": row.scenario.name,
        "outage_ms": 0.0 if worst is None else worst.outage.outage_ms,
        "probes": [
            {
                "probe": figures.target.label,
                "client": figures.target.client,
                "vip": figures.target.vip,
                "family": _family(figures.target.family),
                "outage_ms": figures.outage.outage_ms,
                "longest_gap_ms": figures.outage.longest_gap_ms,
                "lost": figures.outage.lost,
                "failures": list(figures.failures),
            }
            for figures in row.probes
        ],
        "vips": [
            {
                "vip": vip.vip,
                "owner": vip.owner,
                "two_owners_ms": _by_family(vip.two_owners_ms),
                "two_owners_on_return_ms": _by_family(vip.return_ms),
            }
            for vip in row.vips
        ],
        "streams_cut": row.streams_cut,
        "detection_ms": row.turning.detection_ms,
        "switch_ms": row.turning.switch_ms,
        "slo_ms": slo_ms(row),
        "survivable": row.expectation.survivable,
        "why": why(row),
        "ok": row.ok,
    }


def _by_family(spans_ms: Mapping[Family, float]) -> dict[str, float]:
    return {_family(family): ms for family, ms in spans_ms.items()}


def _family(family: Family) -> str:
    return f"ipv{family.value}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _padded(text: str, column: Column) -> str:
    fill = " " * max(0, column.width - columns_of(text))
    return fill + text if column.right else text + fill


def _shortened(text: str, width: int) -> str:
    if columns_of(text) <= width:
        return text
    kept = ""
    for character in text:
        if columns_of(kept + character) >= width:
            break
        kept += character
    return kept + "…"


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width + len(_GAP) for column in columns)
