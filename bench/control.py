"""The control side: a large site examined, compiled and applied, what checks cost, what an idle node takes."""

from bench import check_cost, idle, lb_apply, lb_verdict, maglev, site
from bench.row import Row

PARTS = (site, lb_apply, lb_verdict, maglev, check_cost, idle)


def rows(quick: bool) -> list[Row]:
    """The rows of all parts."""
    return [row for part in PARTS for row in part.rows(quick)]
