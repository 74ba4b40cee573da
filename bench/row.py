"""One line of a benchmark's table, and the table itself."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

_OURS = "ours "


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of ours beside a peer's. `goal` bounds `ratio` if there is a peer, else `ours`: "<= 1.05", ">= 10";
    "ours <= 75" bounds `ours` beside a peer, too. `ours` None: it could not be measured, which meets nothing; a peer
    that is named and has no figure could not be measured either."""

    row: str
    ours: float | None
    unit: str
    peer: float | None = None
    peer_name: str | None = None
    goal: str | None = None

    @property
    def ratio(self) -> float | None:
        """Ours divided by the peer's; None without either, or where the peer's figure is zero."""
        return self.ours / self.peer if self.peer and self.ours is not None else None

    @property
    def ok(self) -> bool | None:
        """Whether the goal is met; None where there is none. What could not be measured is not met."""
        if self.ours is None:
            return False
        if self.goal is None:
            return None
        sign, bound = self.goal.removeprefix(_OURS).split()
        value = self.ours if self.peer_name is None or self.goal.startswith(_OURS) else self.ratio
        if value is None:
            if self.peer is None:
                return False
            value = 0.0 if self.ours == 0 else float("inf")
        return value <= float(bound) if sign == "<=" else value >= float(bound)

    def as_json(self) -> dict[str, object]:
        """The form of bench/results/NAME.json."""
        return asdict(self) | {"ratio": self.ratio, "ok": self.ok}


def median_of(runs: int, measure: Callable[[], float]) -> float:
    """The median of `runs` measurements."""
    return statistics.median(measure() for _ in range(runs))


def table(rows: Sequence[Row]) -> str:
    """The rows as text, columns aligned."""
    head = ("row", "ours", "peer", "unit", "ratio", "goal", "ok")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(_joined(line, widths) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    peer = "-" if row.peer_name is None else f"{_figure(row.peer)} ({row.peer_name})"
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    verdict = {None: "-", True: "yes", False: "NO"}[row.ok]
    return (row.row, _figure(row.ours), peer, row.unit, ratio, row.goal or "-", verdict)


def _figure(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _joined(cells: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
