"""How servers are reached that answer clients themselves: what is watched, kept and told."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.lb.samples import NEXT_HOP, OWN, far, server, service
from yaoki.core.address import MacAddress
from yaoki.lb.service import Desired, Forward
from yaoki.node.brain_events import NeighbourResolved, WayFound
from yaoki.node.brain_messages import NeighbourFound, RouteFound, WatchNeighbours
from yaoki.node.reach import Reach

NEAR, FAR = server(1, Forward.DIRECT), far(2)
WAY = FAR.way
assert WAY is not None
TOLD = WayFound(FAR.address, "lo", WAY.next_hop, NEXT_HOP, WAY.source, 1500)


def test_what_is_watched_is_asked_for_once() -> None:
    reach, wanted = Reach(), WatchNeighbours((("eth0", NEAR.address),), (FAR.address,))
    assert reach.watch(WatchNeighbours(())) == []
    assert reach.watch(wanted) == [wanted]
    assert reach.watch(wanted) == []
    assert reach.watch(WatchNeighbours(())) == [WatchNeighbours(())]


def test_what_is_new_is_told_and_what_is_gone_is_kept() -> None:
    reach = Reach()
    assert reach.hear(NeighbourFound(NEAR.address, OWN)) == NeighbourResolved(NEAR.address, OWN, None)
    assert reach.hear(RouteFound(FAR.address, WAY)) == TOLD
    for found in (NeighbourFound(NEAR.address, OWN), NeighbourFound(NEAR.address, None)):
        assert reach.hear(found) is None
    for lost in (RouteFound(FAR.address, WAY), RouteFound(FAR.address, None)):
        assert reach.hear(lost) is None
    assert (reach.macs, reach.ways) == ({NEAR.address: OWN}, {FAR.address: WAY})


@pytest.mark.parametrize(
    "changed",
    [{"mtu": 1400}, {"mac": MacAddress(bytes((2, 0, 0, 0, 0, 9)))}, {"next_hop": IPv4Address("192.0.2.2")}],
    ids=str,
)
def test_another_way_is_told(changed: dict[str, Any]) -> None:
    assert WAY is not None
    reach, other = Reach(), replace(WAY, **changed)
    reach.hear(RouteFound(FAR.address, WAY))
    assert reach.hear(RouteFound(FAR.address, other)) == WayFound(
        FAR.address, other.interface, other.next_hop, other.mac, other.source, other.mtu
    )


def test_after_a_restart_what_the_plane_has_is_known() -> None:
    reach = Reach()
    reach.adopt(Desired((service(NEAR, FAR, far(3, resolved=False)),)))
    assert (reach.macs, reach.ways) == ({NEAR.address: NEAR.mac}, {FAR.address: WAY})
    assert reach.hear(RouteFound(FAR.address, WAY)) is None
