"""`yaoki verify`, the direct check and a capture, through tunnels in namespaces: what is right, and what is not."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.linux.test_capture import judged, recorded
from tests.linux.test_tunnel_ways import TUNNELS, behind
from tests.linux.tunnel_world import FAR, VIP
from tests.linux.world import PREFIX, World, listening
from yaoki.checks.check import DirectParams
from yaoki.cli.verify_text import sentence
from yaoki.lb.capture import Way, frames_of, hops_of, scene_of
from yaoki.lb.proof import Finding, Result, Saying, findings
from yaoki.lb.service import Encapsulation, Tunnel
from yaoki.linux.network_namespace import inside
from yaoki.runtime.prover import Prover
from yaoki.site.compile import compile_node
from yaoki.site.load import load_site
from yaoki.site.proof_task import proof_task

pytestmark = [pytest.mark.netns, pytest.mark.req("D-05")]

SITE = load_site(Path(__file__).with_name("tunnel-site.yaml")).site
OWN = {4: "192.0.2.11", 6: "2001:db8:1::11"}
LENGTH = {4: 32, 6: 128}


@pytest.fixture
def faulty(tunnel_network: World) -> Iterator[World]:
    """The world whose ways and server may be spoilt; they are as they should be again afterwards."""
    yield tunnel_network
    tunnel_network.sysctl("router", "net/ipv4/conf/all/rp_filter", "0")
    tunnel_network.ip("lb", "route del blackhole 203.0.113.0/24", check=False)
    for family, vip in VIP.items():
        tunnel_network.ip("far", f"addr replace {vip}/{LENGTH[family]} dev lo nodad")


def verify(service: str) -> tuple[Finding, ...]:
    task = proof_task(SITE, service, "lb")
    return findings(*inside(PREFIX + "lb", lambda: Prover(task).run()))


def wrong(found: tuple[Finding, ...], version: int) -> list[Saying]:
    return [one.saying for one in found if one.result is not Result.RIGHT and one.address.version == version]


# --- verify


@pytest.mark.req("D-11", "D-23")
@pytest.mark.parametrize(("service", "tunnel"), [("web", "ipip"), ("datagrams", "gue port 6081")])
def test_a_server_across_a_router_is_asked_through_its_tunnel(tunnel_network: World, service: str, tunnel: str) -> None:
    assert tunnel_network.agents
    found = verify(service)
    assert wrong(found, 4) == wrong(found, 6) == []
    # It is not beside the VIP, so it is not asked whether it claims it.
    assert [one.saying for one in found] == [Saying.THIS_NODE_ALONE, Saying.TAKEN, Saying.LISTENING, Saying.PLAIN] * 2
    assert f"through {tunnel} to {FAR[4]}" in sentence(found[1])
    assert sentence(found[3]) == f"far answers from {VIP[4]} outside any tunnel, by way of 02:00:00:00:00:01"


@pytest.mark.req("D-11")
def test_a_server_without_the_vip_a_router_that_filters_and_no_way_at_all(faulty: World) -> None:
    faulty.ip("far", f"addr del {VIP[4]}/32 dev lo")
    faulty.ip("far", f"addr del {VIP[6]}/128 dev lo")
    found = verify("web")
    assert wrong(found, 4) == wrong(found, 6) == [Saying.NOT_TAKEN]
    for family, vip in VIP.items():
        faulty.ip("far", f"addr add {vip}/{LENGTH[family]} dev lo nodad")
    # The router lets nothing pass that comes as the VIP from where the VIP is not.
    faulty.sysctl("router", "net/ipv4/conf/all/rp_filter", "1")
    found = verify("web")
    assert (wrong(found, 4), wrong(found, 6)) == ([Saying.NOT_TAKEN], [])
    assert settled(faulty, set()), "what may have been accepted is reset"
    faulty.sysctl("router", "net/ipv4/conf/all/rp_filter", "0")
    faulty.ip("lb", "route add blackhole 203.0.113.0/24")
    found = verify("web")
    assert (wrong(found, 4), wrong(found, 6)) == ([Saying.NO_WAY], [])


@pytest.mark.req("D-23")
def test_a_service_behind_a_tunnel_that_listens_on_its_own_address_only(tunnel_network: World) -> None:
    assert tunnel_network.agents
    with listening("far", FAR[4], 81):
        found = verify("other")
    assert (wrong(found, 4), wrong(found, 6)) == ([Saying.OWN_ADDRESS_ONLY], [Saying.NOWHERE])


# --- the direct check


def check(world: World, family: int, tunnel: Tunnel, *, port: int = 80, source: str = "") -> list[str]:
    params = {"kind": "direct", "port": port, "vip": VIP[family], "tunnel": [tunnel.encapsulation, tunnel.port]}
    answer: list[str] = world.agents["lb"].ask("probe", target=FAR[family], params=params, source=source or OWN[family])
    if answer[0] == "unreachable":
        # The first question makes the kernel ask for the next hop.
        world.agents["lb"].ask("ways", addresses=[FAR[family]], seconds=0.5)
        answer = world.agents["lb"].ask("probe", target=FAR[family], params=params, source=source or OWN[family])
    return answer


@pytest.mark.req("D-11")
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("tunnel", TUNNELS, ids=str)
def test_the_direct_check_goes_through_the_tunnel(faulty: World, tunnel: Tunnel, family: int) -> None:
    through = f"through {tunnel} to {FAR[family]}"
    assert [check(faulty, family, tunnel) for _ in range(3)] == [
        ["passed", f"connected to {VIP[family]} {through}"]
    ] * 3
    assert check(faulty, family, tunnel, port=81) == ["refused", f"connection to {VIP[family]} refused"]
    faulty.ip("far", f"addr del {VIP[family]}/{LENGTH[family]} dev lo")
    own = faulty.agents["lb"].ask("probe", target=FAR[family], params={"kind": "tcp", "port": 80}, source=OWN[family])
    assert own == ["passed", "connected"]
    assert check(faulty, family, tunnel) == ["timed-out", f"no answer from {VIP[family]} {through} within 500 ms"]


def test_without_a_way_or_an_address_to_ask_from_it_says_so(faulty: World) -> None:
    assert check(faulty, 4, TUNNELS[0])[0] == "passed"
    assert check(faulty, 4, TUNNELS[0], source="192.0.2.99")[0] == "not-run"
    faulty.ip("lb", "route add blackhole 203.0.113.0/24")
    assert check(faulty, 4, TUNNELS[0]) == ["unreachable", f"no way to {FAR[4]} is known"]


def test_a_connection_that_the_server_was_not_told_to_forget_does_not_fail_the_next(faulty: World) -> None:
    """Its MAC is a router's; which server it is tells the number of the question that it still answers."""
    before = half_open(faulty)
    deaf = "table inet deaf { chain in { type filter hook input priority 0; tcp flags & rst == rst drop; }; }"
    faulty.inside("far", "nft", deaf)
    try:
        assert check(faulty, 4, TUNNELS[0])[0] == "passed"
    finally:
        faulty.inside("far", "nft", "delete table inet deaf")
    assert half_open(faulty) > before
    assert [check(faulty, 4, TUNNELS[0])[0] for _ in range(2)] == ["passed"] * 2
    assert settled(faulty, before)


def settled(world: World, before: set[str]) -> bool:
    """Whether nothing more is half open soon; by itself it would be for a minute."""
    until = time.monotonic() + 5
    while half_open(world) - before:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def half_open(world: World) -> set[str]:
    """The connections of far that nobody has acknowledged."""
    return {line for line in world.inside("far", "ss", "-tan").splitlines() if "SYN-RECV" in line}


def test_a_service_behind_tunnels_has_a_check_for_each_of_its_tunnels() -> None:
    plan = compile_node(SITE, "lb")
    found = [spec.id.params for spec in plan.checks if isinstance(spec.id.params, DirectParams)]
    assert [(str(one.vip), one.tunnel) for one in found] == [(VIP[4], Tunnel()), (VIP[6], Tunnel())]


# --- capture


@pytest.mark.req("D-08", "D-28")
@pytest.mark.parametrize("tunnel", TUNNELS, ids=str)
def test_a_capture_reads_what_is_inside(tunnel_network: World, tunnel: Tunnel) -> None:
    lb, everybody = tunnel_network.agents["lb"], ("lb", "router", "far")
    web, *_ = SITE.services
    port = tunnel.port if tunnel.encapsulation is Encapsulation.GUE else None
    site = replace(SITE, services=(replace(web, encapsulation=tunnel.encapsulation, encapsulation_port=port),))
    lb.ask("new_balancer", plane="both")
    try:
        tunnel_network.balance(behind(tunnel, 4))
        task, recording, _ = recorded(everybody, lambda: tunnel_network.names(4, "tcp", times=5), site=site)
    finally:
        lb.ask("cleanup")
    verdict = judged(task, recording, everybody)
    assert (verdict.way, verdict.flows, verdict.requests, verdict.as_wanted) == (Way.DIRECT, 5, 5, True)
    assert (verdict.through, verdict.past, verdict.unanswered, verdict.lost) == ((), (), (), 0)
    assert [server for server, _ in verdict.straight] == ["far"]
    ((server, sent),) = verdict.sent_on
    assert (server, sent.packets) == ("far", verdict.asked.packets)
    scene = scene_of(task.scene, recording)
    hops = hops_of(scene, frames_of(recording, scene))
    assert [(hop.source.machine, hop.destination.machine, hop.inside is not None) for hop in hops] == [
        ("", "router", False),
        ("router", "lb", False),
        ("lb", "router", True),
        ("router", "far", True),
        ("far", "router", False),
        ("router", "", False),
    ]
