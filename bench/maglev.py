"""A Maglev table made anew as a whole: the largest there is, and the one of a pool of up to 51 servers."""

import time

from bench.row import Row, median_of
from yaoki.linux import native_maglev
from yaoki.pool.maglev import SIZES, Share, maglev

GOAL = "<= 20"


def rows(quick: bool) -> list[Row]:
    """Milliseconds by the wall clock, medians."""
    runs = 5 if quick else 21
    small, large = SIZES
    plain = _median(small, 20, runs), _median(large, 100, runs)
    if not native_maglev.use():
        return [_row(large, 100, plain[1], "in Python", goal=GOAL)]
    return [
        _row(small, 20, _median(small, 20, runs), "native"),
        _row(large, 100, _median(large, 100, runs), "native", goal=GOAL),
        _row(small, 20, plain[0], "in Python"),
        _row(large, 100, plain[1], "in Python"),
    ]


def _row(size: int, servers: int, ms: float, how: str, *, goal: str | None = None) -> Row:
    return Row(f"Maglev table of {size:,} slots for {servers} servers, {how}", ms, "ms", goal=goal)


def _median(size: int, servers: int, runs: int) -> float:
    shares = [Share(f"192.0.2.{number}:80", 1000) for number in range(servers)]
    return median_of(runs, lambda: _once(shares, size))


def _once(shares: list[Share], size: int) -> float:
    began = time.perf_counter()
    maglev(shares, size)
    return (time.perf_counter() - began) * 1000
