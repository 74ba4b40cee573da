"""A large site is checked and compiled in the time that an operator waits for.

The goals, 1 s and 3 s, are held by `make bench-site` on a quiet machine. Here is twice as much: a busy machine doubles
even the processor time, by its caches.
"""

import time
from pathlib import Path

import pytest

from bench.big_site import big_site
from yaoki.site.compile import compile_site
from yaoki.site.examine import examine

ATTEMPTS = 3
"""What another takes of a virtual machine's processor may count as ours; a slow compiler is slow every time."""


@pytest.mark.req("B-25")
@pytest.mark.parametrize(("servers", "seconds"), [(3, 2.0), (20, 6.0)])
def test_fifty_nodes_with_a_thousand_services(tmp_path: Path, servers: int, seconds: float) -> None:
    path = tmp_path / "big.yaml"
    path.write_text(big_site(servers=servers))
    took: list[float] = []
    while not took or (took[-1] >= seconds and len(took) < ATTEMPTS):
        took.append(check_and_compile(path, servers))
    assert took[-1] < seconds, took


def check_and_compile(path: Path, servers: int) -> float:
    """The processor time that it takes."""
    began = time.process_time()
    examination = examine(path)
    assert examination.problems == ()
    assert examination.loaded is not None
    plans = compile_site(examination.loaded.site)
    took = time.process_time() - began
    assert len(plans) == 50
    assert sum(len(plan.services) for plan in plans.values()) == 4 * 1_000
    assert sum(len(service.servers) for plan in plans.values() for service in plan.services) == 4 * 1_000 * servers
    return took
