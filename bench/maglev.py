"""A Maglev table made anew as a whole: the largest there is, and the one of a pool of up to 51 servers."""

import time

from bench.row import Row, median_of
from yaoki.linux import native_maglev
from yaoki.pool.maglev import SIZES, Fill, Share, fill, maglev

GOAL = "<= 20"


def rows(quick: bool) -> list[Row]:
    """Milliseconds by the wall clock, medians."""
    runs = 5 if quick else 21
    small, large = SIZES
    native = native_maglev.native_fill()
    if native is None:
        return [_row(large, 100, _median(large, 100, runs, fill), "in Python", goal=GOAL)]
    return [
        _row(small, 20, _median(small, 20, runs, native), "native"),
        _row(large, 100, _median(large, 100, runs, native), "native", goal=GOAL),
        _row(small, 20, _median(small, 20, runs, fill), "in Python"),
        _row(large, 100, _median(large, 100, runs, fill), "in Python"),
    ]


def _row(size: int, servers: int, ms: float, how: str, *, goal: str | None = None) -> Row:
    return Row(f"Maglev table of {size:,} slots for {servers} servers, {how}", ms, "ms", goal=goal)


def _median(size: int, servers: int, runs: int, filling: Fill) -> float:
    shares = [Share(f"192.0.2.{number}:80", 1000) for number in range(servers)]
    return median_of(runs, lambda: _once(shares, size, filling))


def _once(shares: list[Share], size: int, filling: Fill) -> float:
    began = time.perf_counter()
    maglev(shares, size, filling)
    return (time.perf_counter() - began) * 1000
