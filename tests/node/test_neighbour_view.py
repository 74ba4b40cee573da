"""What a reader sees of the neighbour cache."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.node.scene import ROUTER, VIP, mac, plan
from yaoki.core.address import Family
from yaoki.node.neighbour_view import neighbours
from yaoki.vrrp.neighbour_cache import CacheEntry, CacheState, CacheTimers, NeighbourCache
from yaoki.vrrp.wire_params import WireMember, WireParams

SECOND = timedelta(seconds=1)


@pytest.mark.req("B-08")
def test_entries_bear_the_names_of_the_plan_and_those_without_come_last() -> None:
    members = (WireMember("lb2", 100, (IPv4Address("192.0.2.12"),)),)
    wire = WireParams("web-vip", ROUTER, "lb1", SECOND, SECOND, (VIP,), members)
    found = [
        CacheEntry("eth0", IPv4Address(address), mac(number), CacheState.STALE, SECOND)
        for number, address in enumerate(("192.0.2.1", "192.0.2.50", "192.0.2.21", "192.0.2.12"))
    ]
    timers = CacheTimers("eth0", Family.IPV4, 30 * SECOND, 5 * SECOND, SECOND, 3)
    seen = neighbours(replace(plan(), wires=(wire,)), NeighbourCache(tuple(found), (timers,)))
    assert [(each.name, str(each.entry.address)) for each in seen.neighbours] == [
        ("lb2", "192.0.2.12"),
        ("web1", "192.0.2.21"),
        ("web-vip", "192.0.2.50"),
        ("", "192.0.2.1"),
    ]
    assert [(stale.interface, stale.family, stale.longest) for stale in seen.stale] == [
        ("eth0", Family.IPV4, timedelta(seconds=53))
    ]
