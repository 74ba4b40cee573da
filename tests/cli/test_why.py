"""Words become questions about flows, and answers become sentences."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.node.scene import ROUTER, VIP, Scene, address, mac, plan, server, service
from yaoki.cli.why import explain, flow_of
from yaoki.core.error import UsageError
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason
from yaoki.lb.service import Forward, Protocol, ServiceKey, Tunnel, Way
from yaoki.lb.why import Flow, why
from yaoki.node.brain_messages import RouteFound
from yaoki.node.messages import RouterState, RouterStatus
from yaoki.node.snapshot import view
from yaoki.pool.member import Health
from yaoki.runtime.requests import WhyAnswer, WhyFlow


def test_addresses_of_both_families_with_and_without_ports() -> None:
    web = ServiceKey(IPv4Address("192.0.2.50"), Protocol.TCP, 80)
    assert flow_of("198.51.100.9:51000", "192.0.2.50:80") == WhyFlow(web, IPv4Address("198.51.100.9"), 51000)
    assert flow_of("198.51.100.9", "192.0.2.50:80").port is None
    six = flow_of("[2001:db8:2::9]:4711", "[2001:db8:1::50]:7/udp")
    assert six.key == ServiceKey(IPv6Address("2001:db8:1::50"), Protocol.UDP, 7)
    assert (six.client, six.port) == (IPv6Address("2001:db8:2::9"), 4711)
    assert flow_of("2001:db8:2::9", "[2001:db8:1::50]:7").client == IPv6Address("2001:db8:2::9")


@pytest.mark.parametrize(
    ("client", "where", "why_not"),
    [
        ("198.51.100.9", "192.0.2.50", "names no port"),
        ("alice", "192.0.2.50:80", '"alice" is no address'),
        ("[2001:db8::9", "[2001:db8::50]:80", "is no address"),
        ("198.51.100.9:x", "192.0.2.50:80", '"x" is no port'),
        ("198.51.100.9:²", "192.0.2.50:80", '"²" is no port'),
        (f"198.51.100.9:{'1' * 5000}", "192.0.2.50:80", "is no port"),
        ("198.51.100.9:0", "192.0.2.50:80", '"0" is no port'),
        ("2001:db8::9", "192.0.2.50:80", "2001:db8::9 is of IPv6, so it sends nothing to 192.0.2.50"),
        ("198.51.100.9:70000", "192.0.2.50:80", '"70000" is no port'),
        ("198.51.100.9", "192.0.2.50:80/sctp", '"sctp" is neither tcp nor udp'),
    ],
)
def test_what_is_no_flow_is_refused_with_an_example(client: str, where: str, why_not: str) -> None:
    with pytest.raises(UsageError, match=why_not):
        flow_of(client, where)


@pytest.mark.req("Z-06")
def test_an_answer_names_the_chances_and_every_server_with_its_reason() -> None:
    scene = Scene()
    scene.start(plan(service()))
    scene.all_up()
    scene.verdict(2, Health.DOWN)
    scene.pass_time(timedelta(seconds=5))
    node = view(scene.brain, scene.now)
    question = flow_of("198.51.100.9", f"{VIP}:80")
    placing = why(scene.brain.desired().services[0], Flow(question.client, 0))
    lines = list(explain(question, WhyAnswer(node.routers[0], node.services[0], placing)))
    assert lines[1] == "web: a new flow goes to the next in turn (wrr): web1 50%, web3 50%"
    assert lines[3] == "  web2 is out: its check failed for 5 s (no answer)"
    assert lines[0].startswith("web-vip is not owned here (unknown")


def explained(scene: Scene) -> list[str]:
    """What is said of a flow of the first service, but for the first line."""
    question = flow_of("198.51.100.9", f"{VIP}:80")
    node = view(scene.brain, scene.now)
    placing = why(scene.brain.desired().services[0], Flow(question.client, 0))
    return list(explain(question, WhyAnswer(node.routers[0], node.services[0], placing)))[1:]


@pytest.mark.req("D-30")
def test_an_answer_says_who_stands_in_for_whom() -> None:
    scene = Scene()
    scene.start(plan(service(servers=[replace(server(1), priority=150), server(2), replace(server(3), sorry=True)])))
    scene.all_up()

    assert explained(scene) == [
        "web: web1 (192.0.2.21:80, nat) is the only server that takes new flows",
        "  web1 serves: its checks pass for 0 ms (connected)",
        "  web2 stands by: others come first for 0 ms (connected)",
        "  web3 stands by: others come first for 0 ms (connected)",
    ]
    scene.verdict(1, Health.DOWN)
    assert explained(scene)[:4] == [
        "web: web2 (192.0.2.22:80, nat) is the only server that takes new flows",
        "web: on its backup servers",
        "  web1 is out: its check failed for 0 ms (no answer)",
        "  web2 serves: none of a higher priority can serve for 0 ms (connected)",
    ]
    scene.verdict(2, Health.DOWN)
    assert explained(scene)[:2] == [
        "web: web3 (192.0.2.23:80, nat) is the only server that takes new flows",
        "web: the sorry server answers",
    ]


@pytest.mark.req("D-05")
def test_an_answer_says_the_way_to_a_server_behind_a_tunnel_and_that_nobody_carries_it() -> None:
    scene = Scene()
    behind = [replace(server(number, forward=Forward.TUNNEL), tunnel=Tunnel()) for number in (1, 2)]
    scene.start(plan(service(servers=behind)))
    scene.all_up(2)
    scene.give(RouteFound(address(1), Way("eth1", mac(9), address(9), mac(1), address(8), 1500)))

    assert explained(scene) == [
        "web: web1 (192.0.2.21:80, tunnel) is the only server that takes new flows",
        "  web1 serves: its checks pass for 0 ms (connected); by 192.0.2.29 on eth1, 1500 octets with outer headers",
        "  web2 serves: its checks pass for 0 ms (connected); there is no way to 192.0.2.22",
    ]
    key = scene.brain.desired().services[0].key
    scene.brain.balancer.planes[key] = PlaneChoice(Plane.NONE, PlaneReason.UNABLE, "there is no clang")
    assert explained(scene)[0] == (
        "web: nobody carries it here, for only BPF has tunnels: there is no clang; if somebody did:"
    )


def test_where_nobody_listens_is_said() -> None:
    question = flow_of("198.51.100.9", f"{VIP}:81")
    assert list(explain(question, WhyAnswer(None, None, None))) == [
        "192.0.2.50 is no VIP of this node",
        "no service here listens on tcp/192.0.2.50:81: the node itself answers, or refuses",
    ]


def test_of_a_withdrawn_vip_nobody_is_said_to_be_the_owner() -> None:
    scene = Scene()
    scene.start(replace(plan(replace(service(), enabled=False)), withdrawable=("web-vip",)))
    scene.give(
        RouterStatus(ROUTER, "web-vip", RouterState.INITIALIZE, scene.now, 150, "gone", address(9), 100, scene.now)
    )
    (router,) = view(scene.brain, scene.now).routers
    question = flow_of("198.51.100.9", f"{VIP}:80")
    (first, *_) = explain(question, WhyAnswer(router, None, None))
    assert first == "web-vip is not owned here (initialize for 0 ms: gone); if it were:"
    kept = replace(router, withdrawn=False)
    assert "192.0.2.29 owns it" in next(iter(explain(question, WhyAnswer(kept, None, None))))
