"""The example site, compiled: every address, port, check and timer of a node's plan as exact values."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from yaoki.checks.check import CheckId, HttpParams, IcmpParams, TcpParams
from yaoki.core.address import Family
from yaoki.lb.service import Forward, Protocol, ServiceKey
from yaoki.site.compile import compile_node, compile_site
from yaoki.site.load import load_site
from yaoki.site.model import Site
from yaoki.site.node_plan import TrackPlan
from yaoki.vrrp.params import RouterKey, RouterParams

EXAMPLE = Path(__file__).parents[2] / "examples" / "web-pair" / "site.yaml"


@pytest.fixture(scope="module")
def example() -> Site:
    return load_site(EXAMPLE).site


@pytest.mark.req("Z-01")
def test_a_vip_of_two_families_becomes_two_virtual_routers_with_the_networks_prefix_lengths(example: Site) -> None:
    ipv4, ipv6 = compile_node(example, "lb1").routers
    assert ipv4 == RouterParams(
        vip="web-vip",
        key=RouterKey("eth0", Family.IPV4, 51),
        priority=150,
        interval=timedelta(milliseconds=100),
        addresses=(IPv4Interface("192.0.2.50/24"),),
        source=IPv4Address("192.0.2.11"),
    )
    assert ipv6 == RouterParams(
        vip="web-vip",
        key=RouterKey("eth0", Family.IPV6, 51),
        priority=150,
        interval=timedelta(milliseconds=100),
        addresses=(IPv6Interface("2001:db8:1::50/64"),),
        source=None,
    )
    assert [router.priority for router in compile_node(example, "lb2").routers] == [100, 100]


def test_a_service_becomes_one_plan_for_each_address_of_its_vip(example: Site) -> None:
    plans = compile_node(example, "lb1").services
    assert [(plan.name, str(plan.key)) for plan in plans] == [
        ("web", "tcp/192.0.2.50:80"),
        ("web", "tcp/[2001:db8:1::50]:80"),
        ("api", "tcp/192.0.2.50:8080"),
        ("api", "tcp/[2001:db8:1::50]:8080"),
        ("echo", "udp/192.0.2.50:7"),
        ("echo", "udp/[2001:db8:1::50]:7"),
    ]
    web = plans[0]
    assert web.key == ServiceKey(IPv4Address("192.0.2.50"), Protocol.TCP, 80)
    assert web.interface == "eth0"
    assert [(s.name, s.address, s.port, s.forward, s.weight) for s in web.servers] == [
        ("web1", IPv4Address("192.0.2.21"), 80, Forward.DIRECT, 1000),
        ("web2", IPv4Address("192.0.2.22"), 80, Forward.DIRECT, 1000),
    ]
    assert [(s.address, s.port, s.forward) for s in plans[3].servers] == [
        (IPv6Address("2001:db8:1::31"), 8081, Forward.NAT),
        (IPv6Address("2001:db8:1::32"), 8081, Forward.NAT),
    ]


@pytest.mark.req("B-11")
def test_a_service_without_a_check_gets_tcp_on_the_servers_port_or_icmp_for_udp(example: Site) -> None:
    own = IPv4Address("192.0.2.11")
    plans = {str(plan.key): plan for plan in compile_node(example, "lb1").services}
    first = {key: plan.servers[0].checks for key, plan in plans.items()}
    assert first["tcp/192.0.2.50:80"] == (CheckId(IPv4Address("192.0.2.21"), HttpParams(80, "/healthz"), own),)
    assert first["tcp/192.0.2.50:8080"] == (CheckId(IPv4Address("192.0.2.31"), TcpParams(8081), own),)
    assert first["udp/192.0.2.50:7"] == (CheckId(IPv4Address("192.0.2.21"), IcmpParams(), own),)


def test_checks_are_sent_from_the_nodes_own_address_and_never_from_a_vip(example: Site) -> None:
    for plan in compile_site(example).values():
        vips = {address.ip for router in plan.routers for address in router.addresses}
        assert all(check.id.source is not None and check.id.source not in vips for check in plan.checks)


def test_tracks_hold_for_the_routers_of_both_families(example: Site) -> None:
    keys = (RouterKey("eth0", Family.IPV4, 51), RouterKey("eth0", Family.IPV6, 51))
    assert compile_node(example, "lb2").tracks == tuple(TrackPlan(key, "web", -60) for key in keys)


def test_all_nodes_share_one_generation(example: Site) -> None:
    plans = compile_site(example)
    assert len({plan.generation for plan in plans.values()}) == 1
    assert compile_node(example, "lb2") == plans["lb2"]
