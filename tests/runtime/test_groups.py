"""Sync groups with real speakers on two networks: what becomes of one interface moves the VIPs of both."""

import json
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from tests.runtime.speakers import RunningSpeaker, Segment, eventually, ip
from yaoki.core.address import Family
from yaoki.node.messages import ConfigureRouters
from yaoki.node.speaker_events import GroupFree, GroupHindered, PeerHeard
from yaoki.vrrp.events import NobodyTookOver, Reason
from yaoki.vrrp.params import RouterKey, RouterParams
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

pytestmark = pytest.mark.netns

INTERVAL = timedelta(milliseconds=300)
INNER, INNER_6 = RouterKey("eth0", Family.IPV4, 51), RouterKey("eth0", Family.IPV6, 51)
OUTER = RouterKey("eth1", Family.IPV4, 52)
VIPS = {
    INNER: ("inner", "192.0.2.50/24"),
    INNER_6: ("inner", "2001:db8:1::50/64"),
    OUTER: ("outer", "198.51.100.50/24"),
}
NUMBERS = {"a": 11, "b": 12}


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        for name, number in NUMBERS.items():
            segment.add(name, number)
            segment.plug(name, number, interface="eth1", prefix="198.51.100")
        yield segment


def router(segment: Segment, directory: Path, name: str, priority: int) -> RunningSpeaker:
    """A speaker with a VIP inside, of both families, and one outside, all in one group."""
    path = directory / name
    path.mkdir()
    (peer,) = NUMBERS.keys() - {name}
    paths = tuple(
        PeerPath(interface, *(ip_address(f"{prefix}.{NUMBERS[node]}") for node in (name, peer)))
        for interface, prefix in (("eth0", "192.0.2"), ("eth1", "198.51.100"))
    )
    routers = tuple(
        RouterParams(vip, key, priority, INTERVAL, (ip_interface(address),), group="edge")
        for key, (vip, address) in VIPS.items()
    )
    heartbeat = HeartbeatParams(name, "g1", timedelta(milliseconds=100), (PeerParams(peer, ("inner", "outer"), paths),))
    speaker = segment.speaker(name, path)
    speaker.tell(ConfigureRouters(routers, heartbeat=heartbeat))
    return speaker


def held(segment: Segment, name: str) -> set[str]:
    """The VIPs' addresses that a machine has on any interface."""
    links = json.loads(ip("-n", segment.namespace(name), "-j", "address"))
    found = {f"{a['local']}/{a['prefixlen']}" for link in links for a in link["addr_info"]}
    return found & {address for _, address in VIPS.values()}


ALL = {address for _, address in VIPS.values()}


@pytest.mark.req("B-06")
@pytest.mark.parametrize(("cut", "why"), [("a", INNER), ("a-eth1", OUTER)])
def test_the_cut_of_one_interface_moves_the_vips_of_both_networks(
    segment: Segment, tmp_path: Path, cut: str, why: RouterKey
) -> None:
    a = router(segment, tmp_path, "a", 150)
    eventually(lambda: held(segment, "a") == ALL, "a owns all")
    b = router(segment, tmp_path, "b", 100)
    eventually(lambda: bool(a.told(PeerHeard) and b.told(PeerHeard)), "they hear each other")
    eventually(lambda: b.hears(150), "b hears a's advertisements")
    segment.cut(cut)
    eventually(lambda: held(segment, "b") == ALL and not held(segment, "a"), "b owns all, and a nothing")
    (hindered,) = a.told(GroupHindered)
    assert isinstance(hindered, GroupHindered)
    assert (hindered.router.interface, hindered.reason) == (why.interface, Reason.INTERFACE_DOWN)
    assert b.told(GroupHindered) == a.told(NobodyTookOver) == []
    segment.mend(cut)
    eventually(lambda: held(segment, "a") == ALL and not held(segment, "b"), "a owns all again, and b nothing")
    assert a.told(GroupFree) == [GroupFree("edge")]
