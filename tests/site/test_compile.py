"""A site, compiled: every address, port, check and timer of a node's plan as exact values."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from yaoki.checks.check import CheckId, DirectParams, HttpParams, IcmpParams, RouteParams, TcpParams
from yaoki.core.address import Family
from yaoki.lb.service import (
    Encapsulation,
    Forward,
    Protocol,
    Scheduler,
    ServiceKey,
    SourcePersistence,
    Tunnel,
    WhenAllDown,
)
from yaoki.site.compile import compile_node, compile_site, owners
from yaoki.site.load import load_site
from yaoki.site.model import ArpLeak, Site, TrackedService
from yaoki.site.node_plan import TrackedProbe, TrackPlan
from yaoki.vrrp.params import ChecksumForm, Failback, InterfaceTrack, RouterKey, RouterParams
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

EXAMPLE = Path(__file__).parent / "pair.yaml"


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
        others=(100,),
    )
    assert ipv6 == RouterParams(
        vip="web-vip",
        key=RouterKey("eth0", Family.IPV6, 51),
        priority=150,
        interval=timedelta(milliseconds=100),
        addresses=(IPv6Interface("2001:db8:1::50/64"),),
        source=None,
        others=(100,),
    )
    assert [router.priority for router in compile_node(example, "lb2").routers] == [100, 100]


@pytest.mark.req("B-09")
def test_the_wire_observer_is_told_who_may_answer(example: Site) -> None:
    ipv4, ipv6 = compile_node(example, "lb2").wires
    assert (ipv4.vip, ipv4.here, ipv4.router, ipv4.ask_every) == (
        "web-vip",
        "lb2",
        RouterKey("eth0", Family.IPV4, 51),
        timedelta(seconds=1),
    )
    assert (ipv4.addresses, ipv6.addresses) == ((IPv4Address("192.0.2.50"),), (IPv6Address("2001:db8:1::50"),))
    own = {member.node: (member.priority, tuple(map(str, member.addresses))) for member in ipv4.members}
    assert own["lb1"] == (150, ("192.0.2.11", "2001:db8:1::11"))
    assert own["lb2"] == (100, ("192.0.2.12", "2001:db8:1::12"))


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


@pytest.mark.req("B-12")
def test_a_check_is_sent_from_the_nodes_address_on_the_network_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(TWO_ARMED.replace("port: {kind: tcp}", "port: {kind: tcp, source: back}"))
    (app, *_) = compile_node(load_site(file).site, "lb2").services
    found = {
        (server.name, check.params.port): str(check.source)
        for server in app.servers
        for check in server.checks
        if isinstance(check.params, TcpParams)
    }
    assert found == {
        ("near", 53): "198.51.100.12",
        ("near", 8080): "192.0.2.12",
        ("inner", 8080): "198.51.100.12",
        ("distant", 53): "198.51.100.12",
        ("distant", 8080): "192.0.2.12",
    }


def test_tracks_hold_for_the_routers_of_both_families(example: Site) -> None:
    keys = (RouterKey("eth0", Family.IPV4, 51), RouterKey("eth0", Family.IPV6, 51))
    assert compile_node(example, "lb2").tracks == tuple(TrackPlan(key, TrackedService("web"), -60) for key in keys)


def test_who_may_own_an_address_is_who_has_a_router_for_it(example: Site, two_armed: Site) -> None:
    for site in (example, two_armed):
        routers = {name: plan.routers for name, plan in compile_site(site).items()}
        assert owners(site) == {
            name: frozenset(address for router in found for address in router.addresses)
            for name, found in routers.items()
        }


def test_all_nodes_share_one_generation(example: Site) -> None:
    plans = compile_site(example)
    assert len({plan.generation for plan in plans.values()}) == 1
    assert compile_node(example, "lb2") == plans["lb2"]


TWO_ARMED = """version: 1
site: two-armed
networks:
  front: {prefixes: [192.0.2.0/24, "2001:db8:1::/64"]}
  back: {prefixes: [198.51.100.0/24]}
  far: {prefixes: [203.0.113.0/24]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11, "2001:db8:1::11"]},
                     eth1: {network: back, addresses: [198.51.100.11]}}}
  lb2: {interfaces: {ens3: {network: front, addresses: [192.0.2.12, "2001:db8:1::12"]},
                     ens4: {network: back, addresses: [198.51.100.12]}}}
  spare: {interfaces: {eth0: {network: front, addresses: [192.0.2.13]}}}
hosts:
  near: {interfaces: {eth0: {network: back, addresses: [198.51.100.21]},
                      eth1: {network: front, addresses: [192.0.2.21, "2001:db8:1::21"]}}}
  inner: {interfaces: {eth0: {network: back, addresses: [198.51.100.22]}}}
  distant: {interfaces: {eth0: {network: far, addresses: [203.0.113.23]}}}
checks:
  alive: {kind: icmp, interval: 2s}
  again: {kind: icmp, interval: 9s}
  port: {kind: tcp}
  fixed: {kind: tcp, port: 8080, interval: 5s}
vips:
  gate:
    network: front
    addresses: [192.0.2.50, "2001:db8:1::50", 192.0.2.51]
    vrid: 7
    version: 3
    advertise: 1s
    failback: manual
    checksum: message-only
    members: {lb1: {priority: 254}, lb2: {priority: 1}}
services:
  app:
    vip: gate
    listen: udp/53
    forward: fullnat
    scheduler: sh
    persistence: {source: {ipv4-mask: 24, ipv6-mask: 56, timeout: 90s}}
    check: [alive, port, fixed, again]
    servers: {near: {forward: nat}, inner: {weight: 0, port: 8080}, distant: {}}
    when-all-down: last-known
    slow-start: 30s
    idle-timeout: 90s
    arp-leak: remove
    panic-threshold: 50%
    enabled: false
"""


@pytest.fixture(scope="module")
def two_armed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    path = tmp_path_factory.mktemp("two-armed") / "site.yaml"
    path.write_text(TWO_ARMED)
    return load_site(path).site


def test_a_peer_has_a_path_for_each_network_that_both_nodes_are_on(two_armed: Site) -> None:
    front = PeerPath("eth0", IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"))
    back = PeerPath("eth1", IPv4Address("198.51.100.11"), IPv4Address("198.51.100.12"))
    plan = compile_node(two_armed, "lb1")
    assert plan.heartbeat == HeartbeatParams(
        "lb1", plan.generation, timedelta(seconds=1), (PeerParams("lb2", ("gate",), (front, back)),)
    )
    [peer] = compile_node(two_armed, "lb2").heartbeat.peers
    assert [(path.interface, path.own, path.peer) for path in peer.paths] == [
        ("ens3", front.peer, front.own),
        ("ens4", back.peer, back.own),
    ]


def test_a_node_that_shares_no_vip_has_no_peers(two_armed: Site) -> None:
    assert compile_node(two_armed, "spare").heartbeat.peers == ()


@pytest.mark.parametrize(
    ("advertise", "interval_ms"), [("10ms", 50), ("50ms", 50), ("100ms", 100), ("1s", 1000), ("5s", 1000)]
)
def test_heartbeats_keep_the_pace_of_the_fastest_vip_within_bounds(
    tmp_path: Path, advertise: str, interval_ms: int
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(TWO_ARMED.replace("advertise: 1s", f"advertise: {advertise}"))
    heartbeat = compile_node(load_site(path).site, "lb1").heartbeat
    assert heartbeat.interval == timedelta(milliseconds=interval_ms)


def test_nodes_without_ipv4_in_common_meet_by_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(TWO_ARMED.replace('addresses: [192.0.2.12, "2001:db8:1::12"]', 'addresses: ["2001:db8:1::12"]'))
    [peer] = compile_node(load_site(path).site, "lb1").heartbeat.peers
    assert peer.paths[0] == PeerPath("eth0", IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::12"))


def test_several_addresses_of_one_family_share_a_virtual_router(two_armed: Site) -> None:
    ipv4, ipv6 = compile_node(two_armed, "lb2").routers
    assert ipv4 == RouterParams(
        vip="gate",
        key=RouterKey("ens3", Family.IPV4, 7),
        priority=1,
        interval=timedelta(seconds=1),
        addresses=(IPv4Interface("192.0.2.50/24"), IPv4Interface("192.0.2.51/24")),
        failback=Failback.MANUAL,
        source=IPv4Address("192.0.2.12"),
        checksum=ChecksumForm.MESSAGE_ONLY,
        others=(254,),
    )
    assert ipv6.addresses == (IPv6Interface("2001:db8:1::50/64"),)


def test_every_option_of_a_service_reaches_its_plan(two_armed: Site) -> None:
    ipv4, ipv6, other = compile_node(two_armed, "lb1").services
    assert [str(plan.key) for plan in (ipv4, ipv6, other)] == [
        "udp/192.0.2.50:53",
        "udp/[2001:db8:1::50]:53",
        "udp/192.0.2.51:53",
    ]
    assert ipv4.scheduler is Scheduler.SOURCE_HASH
    assert ipv4.persistence == SourcePersistence(24, timedelta(seconds=90))
    assert ipv6.persistence == SourcePersistence(56, timedelta(seconds=90))
    assert ipv4.when_all_down is WhenAllDown.LAST_KNOWN
    assert (ipv4.slow_start, ipv4.panic_threshold, ipv4.enabled) == (timedelta(seconds=30), 0.5, False)
    assert ipv4.idle_timeout == timedelta(seconds=90)
    assert ipv4.arp_leak is ArpLeak.REMOVE


@pytest.mark.req("D-30")
def test_priorities_and_the_server_that_says_sorry_reach_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    text = TWO_ARMED.replace("inner: {weight: 0, port: 8080}, distant: {}", "inner: {priority: 150}")
    path.write_text(text.replace("last-known", "{sorry: distant, port: 8053, check: alive}"))
    ipv4, ipv6, _ = compile_node(load_site(path).site, "lb1").services
    assert ipv4.when_all_down is WhenAllDown.SORRY
    assert [(s.name, s.port, s.priority, s.sorry, len(s.checks)) for s in ipv4.servers] == [
        ("near", 53, 100, False, 4),
        ("inner", 53, 150, False, 4),
        ("distant", 8053, 100, True, 1),
    ]
    assert [s.sorry for s in ipv6.servers] == [False] * len(ipv6.servers), "it has no IPv6 address"


def test_servers_are_reached_on_the_vips_network_first_and_translated_to_the_nodes_nearest_address(
    two_armed: Site,
) -> None:
    ipv4, ipv6, _ = compile_node(two_armed, "lb1").services
    assert [(s.name, s.address, s.port, s.forward, s.weight, s.source) for s in ipv4.servers] == [
        ("near", IPv4Address("192.0.2.21"), 53, Forward.NAT, 1000, None),
        ("inner", IPv4Address("198.51.100.22"), 8080, Forward.FULLNAT, 0, IPv4Address("198.51.100.11")),
        ("distant", IPv4Address("203.0.113.23"), 53, Forward.FULLNAT, 1000, IPv4Address("192.0.2.11")),
    ]
    assert [(s.name, s.address) for s in ipv6.servers] == [("near", IPv6Address("2001:db8:1::21"))]


@pytest.mark.req("B-10")
def test_there_is_one_check_for_each_target_kind_and_port_and_the_first_schedule_holds(two_armed: Site) -> None:
    plan = compile_node(two_armed, "lb1")
    assert [(check.name, str(check.id.target), check.id.params) for check in plan.checks] == [
        ("alive on near", "192.0.2.21", IcmpParams()),
        ("port on near", "192.0.2.21", TcpParams(53)),
        ("fixed on near", "192.0.2.21", TcpParams(8080)),
        ("alive on inner", "198.51.100.22", IcmpParams()),
        ("port on inner", "198.51.100.22", TcpParams(8080)),
        ("alive on distant", "203.0.113.23", IcmpParams()),
        ("port on distant", "203.0.113.23", TcpParams(53)),
        ("fixed on distant", "203.0.113.23", TcpParams(8080)),
        ("alive on near", "2001:db8:1::21", IcmpParams()),
        ("port on near", "2001:db8:1::21", TcpParams(53)),
        ("fixed on near", "2001:db8:1::21", TcpParams(8080)),
    ]
    inner = plan.services[0].servers[1]
    assert len(inner.checks) == 4
    assert set(inner.checks) <= {check.id for check in plan.checks}


def test_every_check_that_a_server_names_is_run_and_none_other(two_armed: Site, example: Site) -> None:
    for site in (two_armed, example):
        for plan in compile_site(site).values():
            named = {check for service in plan.services for server in service.servers for check in server.checks}
            assert named == {check.id for check in plan.checks}
            assert len(plan.checks) == len(named)


def test_a_node_that_owns_nothing_has_an_empty_plan(two_armed: Site) -> None:
    plan = compile_node(two_armed, "spare")
    assert (plan.routers, plan.services, plan.checks) == ((), (), ())


def test_the_generation_changes_with_the_meaning_of_the_file_only(tmp_path: Path) -> None:
    def generation(text: str) -> str:
        path = tmp_path / "site.yaml"
        path.write_text(text)
        return compile_node(load_site(path).site, "lb1").generation

    first = generation(TWO_ARMED)
    assert generation("# a comment\n" + TWO_ARMED.replace("advertise: 1s", "advertise: 1000ms")) == first
    assert generation(TWO_ARMED.replace("priority: 1}", "priority: 2}")) != first


def test_a_default_check_gives_way_to_a_named_one_that_asks_the_same(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("servers: {app1: {port: 8081}", "check: port\n    servers: {app1: {port: 8081}")
    text = text.replace("checks:\n", "checks:\n  port: {kind: tcp, interval: 200ms}\n")
    text += "  first: {vip: web-vip, listen: tcp/9, servers: {app1: {port: 8081}}}\n"
    path = tmp_path / "site.yaml"
    path.write_text(
        text.replace("services:  ", "services:\n  zero: {vip: web-vip, listen: tcp/8, servers: {app2: {port: 8081}}}\n")
    )
    plan = compile_node(load_site(path).site, "lb1")
    tcp = {check.name: check.schedule.interval for check in plan.checks if isinstance(check.id.params, TcpParams)}
    assert tcp == {"port on app1": timedelta(milliseconds=200), "port on app2": timedelta(milliseconds=200)}


@pytest.mark.req("B-24")
def test_tracks_become_probes_of_the_routers_family_and_interfaces_of_its_parameters(tmp_path: Path) -> None:
    tracks = (
        "[{check: ping, target: web1, weight: -20}, {check: ping, target: 198.51.100.7}, {route: 0.0.0.0/0},"
        " {interface: eth0, weight: 5, reverse: true}]"
    )
    text = EXAMPLE.read_text().replace("    track: [{service: web, weight: -60}]\n", f"    track: {tracks}\n")
    file = tmp_path / "site.yaml"
    file.write_text(text.replace("checks:\n", "checks:\n  ping: {kind: icmp}\n"))
    plan = compile_node(load_site(file).site, "lb1")
    ipv4, ipv6 = (router.key for router in plan.routers)
    own, own_6 = IPv4Address("192.0.2.11"), IPv6Address("2001:db8:1::11")
    near = TrackedProbe(CheckId(IPv4Address("192.0.2.21"), IcmpParams(), own), "ping on web1")
    near_6 = TrackedProbe(CheckId(IPv6Address("2001:db8:1::21"), IcmpParams(), own_6), "ping on web1")
    far = TrackedProbe(CheckId(IPv4Address("198.51.100.7"), IcmpParams(), own), "ping on 198.51.100.7")
    way = TrackedProbe(CheckId(IPv4Address("0.0.0.1"), RouteParams(0)), "route to 0.0.0.0/0")
    assert plan.tracks == (
        TrackPlan(ipv4, near, -20), TrackPlan(ipv4, far, None), TrackPlan(ipv4, way, None),
        TrackPlan(ipv6, near_6, -20), TrackPlan(ipv6, far, None), TrackPlan(ipv6, way, None),
    )  # fmt: skip
    assert {router.tracks for router in plan.routers} == {(InterfaceTrack("eth0", 5, reverse=True),)}
    probed = {spec.id: spec.name for spec in plan.checks}
    assert {near.check, near_6.check, far.check, way.check} <= probed.keys()
    assert probed[way.check] == "route to 0.0.0.0/0 on lb1"


def test_unicast_goes_to_the_other_members_and_the_peers_of_the_same_family(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace(
        "    advertise: 100ms\n",
        '    advertise: 100ms\n    transport: unicast\n    peers: [192.0.2.13, 192.0.2.12, "2001:db8:1::13"]\n',
    )
    file = tmp_path / "site.yaml"
    file.write_text(text)
    plans = compile_site(load_site(file).site)
    assert {(node, router.source, router.peers) for node, plan in plans.items() for router in plan.routers} == {
        ("lb1", IPv4Address("192.0.2.11"), (IPv4Address("192.0.2.12"), IPv4Address("192.0.2.13"))),
        ("lb1", IPv6Address("2001:db8:1::11"), (IPv6Address("2001:db8:1::12"), IPv6Address("2001:db8:1::13"))),
        ("lb2", IPv4Address("192.0.2.12"), (IPv4Address("192.0.2.11"), IPv4Address("192.0.2.13"))),
        ("lb2", IPv6Address("2001:db8:1::12"), (IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::13"))),
    }


def test_a_hook_that_names_nodes_is_in_their_plans_only(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    hooks = "{one: {events: [became-active], command: [/x], nodes: [lb2]}, all: {events: [paused], command: [/y]}}"
    path.write_text(EXAMPLE.read_text() + f"hooks: {hooks}\n")
    plans = compile_site(load_site(path).site)
    assert [[hook.name for hook in plans[node].hooks] for node in ("lb1", "lb2")] == [["all"], ["one", "all"]]


@pytest.mark.req("B-06")
def test_the_routers_of_a_sync_group_bear_its_name() -> None:
    site = load_site(Path(__file__).parents[1] / "simulation/sites/edge.yaml").site
    groups = {router.key: router.group for router in compile_site(site)["r1"].routers}
    assert {str(key): group for key, group in groups.items()} == {
        "eth0/ipv4/51": "edge",
        "eth0/ipv6/51": "edge",
        "eth1/ipv4/52": "edge",
        "eth0/ipv4/53": "guests",
        "eth1/ipv4/54": "guests",
    }
    pair = load_site(Path(__file__).parent / "pair.yaml").site
    assert {router.group for router in compile_site(pair)["lb1"].routers} == {None}


@pytest.mark.req("D-11")
def test_a_direct_check_asks_for_each_address_of_its_services_vip(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("checks:\n", "checks:\n  path: {kind: direct}\n")
    for name, port in (("more", 81), ("most", 82)):
        text += (
            f"  {name}: {{vip: web-vip, listen: tcp/{port}, forward: direct, check: path, servers: {{web1: {{}}}}}}\n"
        )
    file = tmp_path / "site.yaml"
    file.write_text(text)
    plan = compile_node(load_site(file).site, "lb1")
    found = [(spec.id, spec.name) for spec in plan.checks if isinstance(spec.id.params, DirectParams)]
    own, server, vip = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.21"), IPv4Address("192.0.2.50")
    own_6, server_6, vip_6 = (IPv6Address(f"2001:db8:1::{end}") for end in ("11", "21", "50"))
    assert found == [
        (CheckId(target, DirectParams(port, at, "eth0"), source), "path on web1")
        for port in (81, 82)
        for target, at, source in ((server, vip, own), (server_6, vip_6, own_6))
    ]


@pytest.mark.req("D-11")
def test_a_service_that_names_no_check_is_asked_as_its_clients_would_be(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(EXAMPLE.read_text().replace("    check: page\n", ""))
    plan = compile_node(load_site(file).site, "lb1")
    found = {
        (service.name, str(service.key.address)): [check.params for check in service.servers[0].checks]
        for service in plan.services
    }
    vip, vip_6 = "192.0.2.50", "2001:db8:1::50"
    assert found == {
        ("web", vip): [DirectParams(80, IPv4Address(vip), "eth0")],
        ("web", vip_6): [DirectParams(80, IPv6Address(vip_6), "eth0")],
        ("api", vip): [TcpParams(8081)],
        ("api", vip_6): [TcpParams(8081)],
        ("echo", vip): [IcmpParams()],
        ("echo", vip_6): [IcmpParams()],
    }
    assert {spec.name for spec in plan.checks if isinstance(spec.id.params, DirectParams)} == {
        "direct on web1",
        "direct on web2",
    }


@pytest.mark.req("D-05", "D-11")
def test_servers_behind_tunnels_are_asked_through_them(tmp_path: Path) -> None:
    """Each service through its own, those of direct return beside them as ever."""
    text = EXAMPLE.read_text().replace("checks:\n", "checks:\n  path: {kind: direct}\n")
    more = "vip: web-vip, forward: tunnel, encapsulation"
    text += f"  more: {{{more}: gue, listen: tcp/81, servers: {{web1: {{}}, web2: {{forward: direct}}}}}}\n"
    text += f"  most: {{{more}: ipip, listen: tcp/82, check: path, servers: {{web1: {{}}}}}}\n"
    file = tmp_path / "site.yaml"
    file.write_text(text)
    vip = IPv4Address("192.0.2.50")
    assert {
        (service.name, server.name): [check.params for check in server.checks]
        for service in compile_node(load_site(file).site, "lb1").services
        for server in service.servers
        if service.name in ("more", "most") and service.key.address == vip
    } == {
        ("more", "web1"): [DirectParams(81, vip, "eth0", Tunnel(Encapsulation.GUE))],
        ("more", "web2"): [DirectParams(81, vip, "eth0")],
        ("most", "web1"): [DirectParams(82, vip, "eth0", Tunnel())],
    }


@pytest.mark.req("D-11")
def test_a_service_whose_servers_say_direct_themselves_is_asked_for_its_vip_too(tmp_path: Path) -> None:
    text = (
        EXAMPLE.read_text().replace("    forward: direct    ", "    forward: nat    ").replace("    check: page\n", "")
    )
    file = tmp_path / "site.yaml"
    file.write_text(text.replace("{weight: 1000}", "{forward: direct}"))
    web = next(service for service in compile_node(load_site(file).site, "lb1").services if service.name == "web")
    assert {type(check.params) for server in web.servers for check in server.checks} == {DirectParams}


def test_a_check_that_bears_the_name_of_a_usual_one_is_another(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("  page: {kind: http", "  tcp: {kind: http").replace("check: page", "check: tcp")
    text += "  more: {vip: web-vip, listen: tcp/81, servers: {web1: {port: 80}}}\n"
    file = tmp_path / "site.yaml"
    file.write_text(text)
    services = compile_node(load_site(file).site, "lb1").services
    kinds = {service.name: [type(check.params) for check in service.servers[0].checks] for service in services}
    assert (kinds["web"], kinds["more"]) == ([HttpParams], [TcpParams])
