"""Accept_Mode off with real speakers: the owner answers for the VIP, forwards, and takes nothing for itself."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runtime.speakers import MAC, VIP, VIP_6, RunningSpeaker, Segment, eventually, ip, params
from yaoki.core.address import Family
from yaoki.node.messages import RouterState

pytestmark = pytest.mark.netns

BOTH = (Family.IPV4, Family.IPV6)
BEHIND, BEHIND_6 = "203.0.113.7", "2001:db8:7::7"


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        for name, number in (("a", 11), ("b", 12), ("c", 13)):
            segment.add(name, number)
        yield segment


def speaker(segment: Segment, directory: Path, name: str, priority: int) -> RunningSpeaker:
    path = directory / name
    path.mkdir()
    started = segment.speaker(name, path)
    started.configure(*[replace(params(priority, family=family), accept=False) for family in BOTH])
    return started


def owner(*speakers: RunningSpeaker) -> bool:
    first, *others = speakers
    active = all(first.state(family) is RouterState.ACTIVE for family in BOTH)
    return active and all(other.state(family) is RouterState.BACKUP for other in others for family in BOTH)


def answers(segment: Segment, address: str) -> bool:
    words = ["ip", "netns", "exec", segment.namespace("c"), "ping", "-c1", "-W1", address]
    return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode == 0


def router_for_what_is_behind(segment: Segment) -> None:
    """b has addresses that a reaches, and c through the VIP."""
    for family, behind, vip, via in (("-4", BEHIND, VIP, "192.0.2.12"), ("-6", BEHIND_6, VIP_6, "2001:db8:1::12")):
        ip("-n", segment.namespace("b"), family, "address", "add", behind, "dev", "lo")
        ip("-n", segment.namespace("a"), family, "route", "add", behind, "via", via)
        ip("-n", segment.namespace("c"), family, "route", "add", behind, "via", vip.partition("/")[0])
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        segment.sysctl("a", key, "1")


@pytest.mark.req("B-06")
@pytest.mark.rfc("9568", "6.4.3", "accept")
def test_the_owner_is_found_and_forwards_but_takes_nothing_for_itself(segment: Segment, tmp_path: Path) -> None:
    a = speaker(segment, tmp_path, "a", 150)
    eventually(lambda: owner(a), "a owns both")
    b = speaker(segment, tmp_path, "b", 100)
    eventually(lambda: owner(a, b), "b stands by")
    router_for_what_is_behind(segment)
    for vip, behind in ((VIP, BEHIND), (VIP_6, BEHIND_6)):
        address = vip.partition("/")[0]
        assert not answers(segment, address)
        assert MAC.format(11) in ip("-n", segment.namespace("c"), "neighbour", "show", address)
        eventually(lambda behind=behind: answers(segment, behind), f"a forwards to {behind}")  # type: ignore[misc]
    a.configure(*[params(150, family=family) for family in BOTH])
    for vip in (VIP, VIP_6):
        address = vip.partition("/")[0]
        eventually(lambda address=address: answers(segment, address), f"{address} is accepted")  # type: ignore[misc]
    assert a.release() == 0
    assert not answers(segment, VIP.partition("/")[0]), "b owns it, and refuses"
    assert b.release() == 0
    ruleset = ["ip", "netns", "exec", segment.namespace("b"), "nft", "list", "ruleset"]
    left = subprocess.run(ruleset, capture_output=True, text=True, check=True, timeout=30).stdout
    assert "yaoki" not in left
