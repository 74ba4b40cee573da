"""The plan of a lab, as exact values."""

from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import PAIR, pair, site_with
from yaoki.core.address import MacAddress
from yaoki.core.error import UsageError
from yaoki.lab.topology import Route, namespace_name, plan_lab, tunnels_to
from yaoki.site.load import load_site


def route(destination: str, via: str) -> Route:
    return Route(ip_network(destination), ip_interface(via).ip)


def test_every_machine_and_the_switch_have_a_namespace_named_after_the_site() -> None:
    plan = plan_lab(pair())
    machines = ("lb1", "lb2", "router", "web1", "web2", "app1", "app2", "alice")
    assert plan.all_namespaces == ("yk-tokyo-sw", *(f"yk-tokyo-{name}" for name in machines))
    assert [bridge.network for bridge in plan.bridges] == ["front", "clients"]


def test_equal_sites_give_equal_plans() -> None:
    assert plan_lab(pair()) == plan_lab(pair())


def test_mac_addresses_and_ports_are_those_of_one_interface_only() -> None:
    ports = [port for namespace in plan_lab(pair()).namespaces for port in namespace.ports]
    assert len({port.mac for port in ports}) == len({port.switch_port for port in ports}) == len(ports) == 9
    assert all(len(port.switch_port) <= 15 for port in ports)


def test_whose_a_mac_address_is_can_be_told() -> None:
    plan = plan_lab(pair())
    assert plan.machine_of(plan.port("router", "eth1").mac) == "router"
    assert plan.machine_of(MacAddress.parse("02:00:00:00:00:01")) is None


@pytest.mark.parametrize(
    ("machine", "routes"),
    [
        ("alice", (route("0.0.0.0/0", "198.51.100.1"), route("::/0", "2001:db8:2::1"))),
        ("web1", (route("0.0.0.0/0", "192.0.2.1"), route("::/0", "2001:db8:1::1"))),
        ("app1", (route("0.0.0.0/0", "192.0.2.50"), route("::/0", "2001:db8:1::50"))),
        ("router", ()),
    ],
)
def test_the_default_route_leads_over_the_networks_gateway_or_the_hosts_own(
    machine: str, routes: tuple[Route, ...]
) -> None:
    assert plan_lab(pair()).namespace(machine).routes == routes


def test_a_server_of_direct_return_holds_the_vip_on_its_loopback_and_keeps_quiet_about_it() -> None:
    plan = plan_lab(pair())
    web, app = plan.namespace("web1"), plan.namespace("app1")
    assert web.loopback == (ip_interface("192.0.2.50/32"), ip_interface("2001:db8:1::50/128"))
    assert dict(web.sysctls)["net.ipv4.conf.all.arp_ignore"] == "1"
    assert dict(web.sysctls)["net.ipv4.conf.all.arp_announce"] == "2"
    assert app.loopback == ()
    assert "net.ipv4.conf.all.arp_ignore" not in dict(app.sysctls)


def test_only_a_machine_that_forwards_is_made_a_router() -> None:
    plan = plan_lab(pair())
    assert dict(plan.namespace("router").sysctls)["net.ipv4.ip_forward"] == "1"
    assert "net.ipv4.ip_forward" not in dict(plan.namespace("lb1").sysctls)


def test_a_router_reaches_far_networks_by_the_shortest_way(tmp_path: Path) -> None:
    def with_a_second_router(plain: dict[str, Any]) -> None:
        plain["networks"]["far"] = {"prefixes": ["203.0.113.0/24"], "gateway": "border"}
        plain["hosts"]["border"] = {
            "forwards": True,
            "interfaces": {
                "eth0": {"network": "clients", "addresses": ["198.51.100.2", "2001:db8:2::2"]},
                "eth1": {"network": "far", "addresses": ["203.0.113.1"]},
            },
        }

    plan = plan_lab(site_with(tmp_path, with_a_second_router))
    assert plan.namespace("router").routes == (route("203.0.113.0/24", "198.51.100.2"),)
    border = plan.namespace("border").routes
    assert route("192.0.2.0/24", "198.51.100.1") in border
    assert route("2001:db8:1::/64", "2001:db8:2::1") in border


def test_a_machine_may_not_have_the_name_of_the_switch(tmp_path: Path) -> None:
    def with_a_machine_named_sw(plain: dict[str, Any]) -> None:
        plain["hosts"]["sw"] = {"interfaces": {"eth0": {"network": "front", "addresses": ["192.0.2.99"]}}}

    with pytest.raises(UsageError, match='needs the name "sw"'):
        plan_lab(site_with(tmp_path, with_a_machine_named_sw))


def test_namespaces_carry_the_prefix_by_which_they_are_recognised() -> None:
    assert namespace_name("tokyo", "lb1") == "yk-tokyo-lb1"


@pytest.mark.req("D-05")
def test_a_server_behind_a_tunnel_holds_the_vip_and_ends_the_tunnel() -> None:
    site = load_site(PAIR.with_name("tunnel.yaml")).site
    assert [str(address.ip) for address in plan_lab(site).namespace("web1").loopback] == [
        "192.0.2.50",
        "2001:db8:1::50",
    ]
    assert [str(tunnel) for tunnel in tunnels_to(site, "web1")] == ["ipip", "gue port 6080"]
    assert tunnels_to(site, "router") == tunnels_to(load_site(PAIR).site, "web1") == ()
