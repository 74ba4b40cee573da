"""TCP connections through address translation survive every move of their VIP, because their flows are copied."""

import time
from pathlib import Path

import pytest

from tests.lab.flow_pair import (
    CONNECTIONS,
    connections,
    moved_and_back,
    pair,
    servers_of_sources,
    with_sources,
)
from yaoki.lab.fault import PowerOff, StopNode

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(240)]

SITE = Path(__file__).with_name("flows.yaml")


@pytest.mark.req("B-14", "B-23", "D-31", "D-34")
def test_neither_connections_nor_persistence_end_with_a_stop_a_death_or_a_failback() -> None:
    with pair(SITE) as both:
        with_sources(both)
        with connections(both) as result:
            before = servers_of_sources(both)
            assert set(before.values()) == {"app1", "app2"}
            time.sleep(1)
            moved_and_back(both, StopNode("lb1"))
            both.kill_copiers()
            both.owned_by("lb1")
            both.injector.inject(PowerOff("lb1"))
            both.owned_by("lb2")
            assert servers_of_sources(both, shuffled=True) == before
            both.injector.mend(PowerOff("lb1"))
            both.settled("lb1")
            both.owned_by("lb1")
            time.sleep(2)
            found = result()
    assert found["cut"] == 0, found


@pytest.mark.req("B-14")
def test_without_copying_they_are_cut(tmp_path: Path) -> None:
    text = (
        SITE.read_text()
        .replace("site: ykflow", "site: ykflow2")
        .replace("    scheduler: rr\n", "    scheduler: rr\n    copy-flows: false\n")
    )
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pair(file) as both, connections(both) as result:
        both.injector.inject(PowerOff("lb1"))
        both.owned_by("lb2")
        time.sleep(3)
        found = result()
    assert found["cut"] >= CONNECTIONS // 10, found
