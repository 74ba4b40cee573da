"""TCP connections through direct return survive every move of their VIP on either plane: those that no hash finds, and
those that it finds elsewhere, because the servers were others when they began."""

import time
from pathlib import Path

import pytest

from tests.lab.flow_pair import Pair, connections, pair, servers_of_sources, with_sources
from yaoki.lab.fault import PowerOff

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(240)]

SITE = Path(__file__).with_name("direct_flows.yaml")
CONNECTIONS = 200
VIPS = "192.0.2.50", "2001:db8:1::50"
ROUND_ROBIN, HASHED = "8080", "8090"
PLACES = tuple(word for port in (ROUND_ROBIN, HASHED) for vip in VIPS for word in (vip, port))


def variant(folder: Path, plane: str, name: str, *changes: tuple[str, str]) -> Path:
    text = SITE.read_text()
    for before, after in (("site: ykdflow", f"site: {name}"), ("plane: bpf", f"plane: {plane}"), *changes):
        assert before in text
        text = text.replace(before, after)
    file = folder / "site.yaml"
    file.write_text(text)
    return file


def drain(both: Pair, file: Path) -> None:
    """Of the service with a hash, give app2 no new flows, on either node: those that it has are app1's by the hash."""
    drained = file.with_name("drained.yaml")
    drained.write_text(file.read_text().replace("app2: {weight: 1000}", "app2: {weight: 0}"))
    for node in ("lb1", "lb2"):
        both.software.apply(node, drained)


@pytest.mark.req("B-14", "B-23", "D-31", "D-34")
@pytest.mark.parametrize("plane", ["bpf", "nftables"])
def test_neither_connections_nor_persistence_end_with_a_death_or_a_failback(tmp_path: Path, plane: str) -> None:
    file = variant(tmp_path, plane, f"ykd{plane[:3]}")
    with pair(file) as both:
        with_sources(both)
        with connections(both, CONNECTIONS, PLACES) as result:
            before = servers_of_sources(both)
            assert set(before.values()) == {"app1", "app2"}
            drain(both, file)
            time.sleep(2)
            both.injector.inject(PowerOff("lb1"))
            both.owned_by("lb2")
            assert servers_of_sources(both, shuffled=True) == before
            time.sleep(2)
            both.injector.mend(PowerOff("lb1"))
            both.settled("lb1")
            both.owned_by("lb1")
            time.sleep(2)
            found = result()
    assert found["cut"] == 0, found


@pytest.mark.req("B-14")
def test_without_copying_they_are_cut(tmp_path: Path) -> None:
    off = ("forward: direct\n", "forward: direct\n    copy-flows: false\n")
    file = variant(tmp_path, "bpf", "ykdoff", off)
    with pair(file) as both, connections(both, CONNECTIONS, PLACES) as result:
        both.injector.inject(PowerOff("lb1"))
        both.owned_by("lb2")
        time.sleep(3)
        found = result()
    # Of those in turn one half would have to be lucky; the hash keeps all of its own.
    assert CONNECTIONS // 10 <= found["cut"] <= CONNECTIONS // 2, found
