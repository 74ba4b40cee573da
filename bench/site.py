"""What an operator waits for: a file of 50 nodes and 1,000 services read, examined by every lint rule, and compiled."""

import tempfile
import time
from pathlib import Path

from bench.big_site import big_site
from bench.row import Row, median_of
from yaoki.site.compile import compile_site
from yaoki.site.examine import examine

GOALS = {3: "<= 1", 20: "<= 3"}


def rows(quick: bool) -> list[Row]:
    """Seconds by the wall clock, medians."""
    return [
        Row(f"check 50 nodes, 1,000 services x {servers} servers", _median(servers, 3 if quick else 7), "s", goal=goal)
        for servers, goal in GOALS.items()
    ]


def _median(servers: int, runs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_text(big_site(servers=servers))
        return median_of(runs, lambda: _once(path))


def _once(path: Path) -> float:
    began = time.perf_counter()
    examination = examine(path)
    assert examination.loaded is not None
    assert examination.problems == ()
    compile_site(examination.loaded.site)
    return time.perf_counter() - began
