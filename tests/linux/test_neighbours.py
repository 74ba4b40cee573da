import subprocess
from collections.abc import Iterator

import pytest

from tests.linux.world import PREFIX, World

pytestmark = pytest.mark.netns

S1, S2, NOBODY = ["eth0", "192.0.2.21"], ["eth0", "2001:db8:1::22"], ["eth0", "192.0.2.77"]


@pytest.fixture
def fresh(direct_network: World) -> Iterator[World]:
    """A balancer that knows no neighbours. The servers hold the VIP, and do not answer those who ask from it."""
    direct_network.ip("lb", "neigh flush dev eth0")
    yield direct_network
    direct_network.ip("s1", "link set eth0 address 02:00:00:00:00:21")


@pytest.mark.req("D-06")
def test_macs_are_found_and_silence_is_told(fresh: World) -> None:
    heard = fresh.agents["lb"].ask("watch", places=[S1, S2, NOBODY], seconds=10, last=[NOBODY[1], None])
    assert sorted(heard, key=str) == sorted(
        [["192.0.2.21", "02:00:00:00:00:21"], ["2001:db8:1::22", "02:00:00:00:00:22"], ["192.0.2.77", None]], key=str
    )


@pytest.mark.req("D-10")
def test_the_question_is_asked_from_the_nodes_own_address(fresh: World) -> None:
    """A server that holds the VIP leaves a question asked from it unanswered."""
    tcpdump = ["tcpdump", "--immediate-mode", "-lnni", "eth0", "arp and arp[7] == 1"]
    words = ["ip", "netns", "exec", PREFIX + "s1", *tcpdump]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    while "listening on" not in process.stderr.readline():
        pass
    fresh.agents["lb"].ask("watch", places=[S1], seconds=5, last=[S1[1], "02:00:00:00:00:21"])
    first = ""
    while "who-has 192.0.2.21" not in first:
        first = process.stdout.readline()
    process.terminate()
    more, _ = process.communicate(timeout=10)
    asked = [line for line in (first, *more.splitlines()) if "who-has 192.0.2.21" in line]
    assert all("tell 192.0.2.11" in line for line in asked)


@pytest.mark.req("D-06")
def test_a_server_with_a_new_mac_is_noticed(fresh: World) -> None:
    fresh.agents["lb"].ask("watch", places=[S1], seconds=5, last=[S1[1], "02:00:00:00:00:21"])
    fresh.ip("s1", "link set eth0 address 02:00:00:00:01:21")
    fresh.inside("s1", "arping", "-c", "2", "-U", "-I", "eth0", "192.0.2.21", check=False)
    there = [S1[1], "02:00:00:00:01:21"]
    assert fresh.agents["lb"].ask("watch", places=[S1], seconds=5, last=there)[-1] == there


def test_what_is_watched_can_be_replaced_and_is_told_once(fresh: World) -> None:
    heard = fresh.agents["lb"].ask("watch", places=[S1], seconds=4, then=[S1, S2])
    assert heard == [["192.0.2.21", "02:00:00:00:00:21"], ["2001:db8:1::22", "02:00:00:00:00:22"]]


def test_an_interface_that_is_not_there_is_no_error(fresh: World) -> None:
    assert fresh.agents["lb"].ask("watch", places=[["eth9", "192.0.2.21"]], seconds=1) == []
