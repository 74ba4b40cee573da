"""Servers across a router: the way that the kernel has to them, and requests of real clients through tunnels."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lb.samples import far, service
from tests.linux.tunnel_world import FAR, PORT, VIP
from tests.linux.world import World
from yaoki.core.address import MacAddress, parse_address
from yaoki.lb.service import Encapsulation, Protocol, RealServer, Tunnel, VirtualService, Way

pytestmark = pytest.mark.netns

TUNNELS = [Tunnel(), Tunnel(Encapsulation.GUE, PORT)]
LB, ROUTER = MacAddress.parse("02:00:00:00:00:11"), MacAddress.parse("02:00:00:00:00:01")
WAY = {4: f"eth0 {LB} 192.0.2.1 {ROUTER} 192.0.2.11 1500", 6: f"eth0 {LB} 2001:db8:1::1 {ROUTER} 2001:db8:1::11 1500"}


@pytest.fixture
def live(tunnel_network: World) -> Iterator[World]:
    tunnel_network.agents["lb"].ask("new_balancer", plane="both")
    yield tunnel_network
    tunnel_network.agents["lb"].ask("cleanup")


def behind(tunnel: Tunnel, family: int, *, protocol: Protocol = Protocol.TCP, mtu: int = 1500) -> VirtualService:
    interface, own, next_hop, mac, source, _ = WAY[family].split()
    way = Way(
        interface, MacAddress.parse(own), parse_address(next_hop), MacAddress.parse(mac), parse_address(source), mtu
    )
    server: RealServer = replace(far(1, tunnel, family=family), name="far", way=way)
    return service(server, family=family, protocol=protocol)


# --- the way


@pytest.mark.req("D-06")
def test_the_way_is_the_kernels_and_its_next_hop_is_asked_for(tunnel_network: World) -> None:
    tunnel_network.ip("lb", "neigh flush dev eth0")
    heard = tunnel_network.agents["lb"].ask("ways", addresses=[FAR[4], FAR[6], "192.0.2.77"], seconds=4)
    last = dict(heard)
    assert last == {FAR[4]: WAY[4], FAR[6]: WAY[6], "192.0.2.77": None}


def test_another_route_is_another_way_at_once(tunnel_network: World) -> None:
    """Its MTU is what the route says, and a way that ends is told."""
    narrow = ["route", "add", "203.0.113.0/24", "via", "192.0.2.9", "mtu", "1400"]
    narrowed = [FAR[4], f"eth0 {LB} 192.0.2.9 02:00:00:00:00:09 192.0.2.11 1400"]
    heard = tunnel_network.agents["lb"].ask("ways", addresses=[FAR[4]], seconds=20, then=narrow, last=narrowed)
    tunnel_network.ip("lb", "route del 203.0.113.0/24")
    assert heard[-1] == narrowed
    blackhole = ["route", "add", "blackhole", "203.0.113.0/24"]
    heard = tunnel_network.agents["lb"].ask("ways", addresses=[FAR[4]], seconds=20, then=blackhole, last=[FAR[4], None])
    tunnel_network.ip("lb", "route del blackhole 203.0.113.0/24")
    assert heard[-1] == [FAR[4], None]


# --- requests


@pytest.mark.req("D-05")
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("tunnel", TUNNELS, ids=str)
def test_requests_go_through_a_tunnel_and_answers_come_straight(live: World, tunnel: Tunnel, family: int) -> None:
    live.balance(behind(tunnel, family), behind(tunnel, family, protocol=Protocol.UDP))
    assert live.names(family, "tcp", times=3) == ["far"] * 3
    assert live.names(family, "udp", times=3) == ["far"] * 3
    before = int(live.inside("lb", "cat", "/sys/class/net/eth0/statistics/rx_bytes"))
    assert live.agents["client"].ask("fetch", address=VIP[family], port=80, octets=400_000) == "far"
    assert int(live.inside("lb", "cat", "/sys/class/net/eth0/statistics/rx_bytes")) - before < 200_000


@pytest.mark.req("D-35")
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("tunnel", "mtu"), [(TUNNELS[0], 1500), (TUNNELS[1], 1400)], ids=str)
def test_a_client_that_sends_much_is_told_how_large_its_packets_may_be(
    live: World, tunnel: Tunnel, family: int, mtu: int
) -> None:
    """Segments are merged on the way, and cut again: each of them has to fit."""
    live.balance(behind(tunnel, family, mtu=mtu), behind(tunnel, family, protocol=Protocol.UDP, mtu=mtu))
    assert live.agents["client"].ask("send", address=VIP[family], port=80, octets=300_000) == "far"
    shown = live.ip("client", f"{'-6 ' if family == 6 else ''}route get {VIP[family]}")
    headers = {4: 20, 6: 40}[family] + (8 if tunnel.encapsulation is Encapsulation.GUE else 0)
    assert f"mtu {mtu - headers}" in shown
    asked = live.agents["client"].ask("ask_udp", address=VIP[family], port=80, octets=3000, times=2, timeout=3.0)
    assert [answer.split() for answer in asked][-1][2:] == ["3000"]
    live.ip("client", f"{'-6 ' if family == 6 else ''}route flush cache")


def test_without_bpf_nobody_carries_a_tunnel(live: World) -> None:
    """On the plane of nftables alone there is none; the plane that chooses says so, and carries the rest."""
    live.agents["lb"].ask("new_balancer")
    with pytest.raises(AssertionError, match="nftables has no tunnels"):
        live.balance(behind(TUNNELS[0], 4))
