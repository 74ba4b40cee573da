"""What the Brain asks of the flow copier, and which VIPs are left to their owner while flows are still being told."""

import sys
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.node.scene import ROUTER, Scene, address, mac, of, plan, server, service
from yaoki.cli.output import Paint
from yaoki.cli.status import print_node
from yaoki.core.instant import Instant
from yaoki.core.secret import SecretRef
from yaoki.lb.flow import CopiedService, DirectService
from yaoki.lb.schedulers import Pick
from yaoki.lb.service import Forward, Scheduler
from yaoki.node.brain_events import Part
from yaoki.node.brain_messages import ApplyBalancer, CopierLost, CopierReached, NeighbourFound, NewPlan
from yaoki.node.flow_messages import ChangeServices, ConfigureFlows, CopyState, FlowStatus, PeerCopy, RepeatFlowStatus
from yaoki.node.flow_wish import FIRST_WORD, TABLES_WITHIN
from yaoki.node.messages import RouterState, RouterStatus, SetPriority
from yaoki.node.snapshot import view
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef
from yaoki.pool.member import Health
from yaoki.runtime.metrics import Picture, Tally, exposition
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath
from yaoki.vrrp.standing import LEAST_PRIORITY

PEER = PeerParams("lb2", ("web-vip",), (PeerPath("eth0", IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")),))
ALL = tuple((address(number), 80) for number in (1, 2, 3))


def copied(*, forward: Forward = Forward.NAT, scheduler: Scheduler = Scheduler.ROUND_ROBIN) -> NodePlan:
    web = replace(service(servers=[server(number, forward=forward) for number in (1, 2, 3)]), scheduler=scheduler)
    site = plan(replace(web, copied=forward in (Forward.NAT, Forward.DIRECT)), tracked="")
    return replace(site, heartbeat=HeartbeatParams("lb1", "g1", peers=(PEER,)))


def status(state: RouterState, scene: Scene) -> RouterStatus:
    return RouterStatus(ROUTER, "web-vip", state, scene.now, 150, "", None, None, None)


def copying(state: CopyState, scene: Scene) -> FlowStatus:
    return FlowStatus(state is not CopyState.FOLLOWING, (PeerCopy("lb2", state, scene.now),))


def started(site: NodePlan, state: RouterState = RouterState.BACKUP) -> Scene:
    scene = Scene()
    scene.start(site)
    scene.all_up()
    scene.give(status(state, scene))
    return scene


def priorities(scene: Scene) -> list[int]:
    return [order.priority for order in of(SetPriority, scene.log)]


@pytest.mark.req("B-14")
def test_the_copier_is_told_of_servers_that_may_have_flows_before_the_plane_deletes_any() -> None:
    scene = started(copied())
    (key,) = {found.key for each in of(ConfigureFlows, scene.log) for found in each.services}
    assert of(ConfigureFlows, scene.log)[-1] == ConfigureFlows((PEER,), (CopiedService(key, ALL),))
    effects = scene.verdict(2, Health.DOWN)
    orders = [effect for effect in effects if isinstance(effect, ConfigureFlows | ChangeServices | ApplyBalancer)]
    assert orders[0] == ChangeServices((CopiedService(key, (ALL[0], ALL[2])),))
    assert isinstance(orders[1], ApplyBalancer)


@pytest.mark.req("B-14")
@pytest.mark.parametrize(("keys", "told"), [(None, 1), (AuthenticationParams((KeyRef(1, SecretRef("k")),)), 2)])
def test_where_copies_are_signed_a_new_plan_has_their_keys_read_anew(
    keys: AuthenticationParams | None, told: int
) -> None:
    """A secret may hold another key than before under the same name."""
    signed = replace(copied(), heartbeat=HeartbeatParams("lb1", "g1", peers=(replace(PEER, authentication=keys),)))
    scene = started(signed)
    assert len(of(ConfigureFlows, scene.log)) == 1
    scene.give(NewPlan(replace(signed, generation="g2")))
    orders = of(ConfigureFlows, scene.log)
    assert len(orders) == told
    assert orders[-1] == orders[0]
    scene.verdict(2, Health.DOWN)
    assert len(of(ConfigureFlows, scene.log)) == told
    assert len(of(ChangeServices, scene.log)) == 1


DIRECT = copied(forward=Forward.DIRECT)
MACS = tuple(mac(number) for number in (1, 2, 3))


def wishes(scene: Scene) -> list[CopiedService]:
    return [found for each in of(ConfigureFlows, scene.log) for found in each.services]


@pytest.mark.req("B-14")
def test_direct_return_is_asked_for_when_the_plane_has_it_and_the_macs_are_known() -> None:
    scene = started(DIRECT)
    scene.give(NeighbourFound(address(1), mac(1)), NeighbourFound(address(2), mac(2)))
    assert wishes(scene) == []
    assert priorities(scene) == [LEAST_PRIORITY]
    scene.give(NeighbourFound(address(3), mac(3)))
    (told,) = wishes(scene)
    assert (told.servers, told.direct) == (ALL, DirectService(MACS))
    scene.give(copying(CopyState.FOLLOWING, scene))
    assert priorities(scene) == [LEAST_PRIORITY, 150]


def test_a_server_that_is_dead_needs_no_mac() -> None:
    scene = started(DIRECT)
    scene.give(NeighbourFound(address(1), mac(1)), NeighbourFound(address(2), mac(2)))
    scene.verdict(3, Health.DOWN)
    (told,) = wishes(scene)
    assert told.servers == ALL[:2]


@pytest.mark.req("B-14")
def test_neither_a_mac_that_is_never_known_nor_a_plane_that_refuses_is_waited_for_long() -> None:
    scene = started(DIRECT)
    scene.pass_time(TABLES_WITHIN)
    assert wishes(scene)[0].direct == DirectService((None, None, None))
    scene.pass_time(FIRST_WORD)
    assert priorities(scene)[-1] == 150
    refused = Scene()
    refused.refusal = "no room"
    refused.start(DIRECT)
    for number in (1, 2, 3):
        refused.give(NeighbourFound(address(number), mac(number)))
    assert wishes(refused) == []
    refused.pass_time(TABLES_WITHIN)
    assert [each.direct for each in wishes(refused)] == [DirectService(MACS)]


@pytest.mark.parametrize(
    ("scheduler", "found_by"), [(Scheduler.MAGLEV, Pick.BY_FLOW), (Scheduler.SOURCE_HASH, Pick.BY_SOURCE)]
)
def test_of_a_hash_it_is_told_who_takes_new_flows(scheduler: Scheduler, found_by: Pick) -> None:
    scene = started(copied(forward=Forward.DIRECT, scheduler=scheduler))
    scene.give(*(NeighbourFound(address(number), mac(number)) for number in (1, 2, 3)))
    assert wishes(scene)[0].direct == DirectService(MACS, found_by, (1000, 1000, 1000))
    scene.verdict(2, Health.DOWN)
    assert of(ChangeServices, scene.log)[-1].services[0].direct == DirectService(
        (MACS[0], MACS[2]), found_by, (1000, 1000)
    )


def test_nothing_is_asked_where_nothing_is_copied() -> None:
    assert of(ConfigureFlows, started(copied(forward=Forward.FULLNAT)).log) == []


def test_a_node_that_shares_other_vips_is_no_peer_of_the_copier() -> None:
    site = copied()
    other = replace(PEER, node="lb3", vips=("lan-vip",))
    scene = started(replace(site, heartbeat=replace(site.heartbeat, peers=(PEER, other))))
    assert of(ConfigureFlows, scene.log)[-1].peers == (PEER,)


def test_a_copier_that_comes_back_is_told_everything_again() -> None:
    scene = started(copied())
    told = of(ConfigureFlows, scene.log)[-1]
    effects = scene.give(CopierReached())
    assert [effect for effect in effects if isinstance(effect, ConfigureFlows | RepeatFlowStatus)] == [
        told,
        RepeatFlowStatus(),
    ]
    assert scene.brain.parts[Part.FLOWS][0]


@pytest.mark.req("B-14")
def test_a_vip_is_left_to_its_owner_until_the_flows_are_told() -> None:
    scene = started(copied())
    assert priorities(scene) == [LEAST_PRIORITY]
    scene.give(copying(CopyState.COPYING, scene))
    scene.pass_time(2 * FIRST_WORD)
    assert priorities(scene) == [LEAST_PRIORITY]
    scene.give(copying(CopyState.FOLLOWING, scene))
    assert priorities(scene) == [LEAST_PRIORITY, 150]


@pytest.mark.req("B-14")
def test_a_vip_that_nobody_owned_is_kept_by_whoever_took_it() -> None:
    scene = started(copied())
    scene.give(copying(CopyState.COPYING, scene))
    scene.give(status(RouterState.ACTIVE, scene))
    assert priorities(scene) == [LEAST_PRIORITY, 150]


def test_an_owner_is_never_made_the_least() -> None:
    scene = started(copied(), RouterState.ACTIVE)
    scene.give(copying(CopyState.ASKED, scene))
    assert priorities(scene) == []


def test_a_copier_that_says_nothing_holds_nobody_back_for_long() -> None:
    scene = started(copied())
    scene.pass_time(FIRST_WORD)
    assert priorities(scene) == [LEAST_PRIORITY, 150]


def test_a_copier_that_dies_holds_nobody_back() -> None:
    scene = started(copied())
    scene.give(copying(CopyState.COPYING, scene))
    scene.give(CopierLost("it died"))
    assert priorities(scene) == [LEAST_PRIORITY, 150]


def test_what_moves_with_a_vip_that_is_owned_is_not_held_back() -> None:
    site = copied()
    (web,) = site.routers
    other = replace(web, vip="lan-vip", key=replace(web.key, vrid=52))
    grouped = replace(site, routers=tuple(replace(router, group="both") for router in (web, other)))
    wish = Scene().brain.flows
    wish.note(FlowStatus(catching_up=True))
    at = Instant(0)
    statuses = [
        RouterStatus(web.key, "web-vip", RouterState.ACTIVE, at, 150, "", None, None, None),
        RouterStatus(other.key, "lan-vip", RouterState.BACKUP, at, 150, "", None, None, None),
    ]
    assert wish.held_back(grouped, statuses) == frozenset()
    assert wish.held_back(replace(site, routers=(web, other)), statuses) == {"lan-vip"}
    assert wish.held_back(grouped, [replace(each, state=RouterState.BACKUP) for each in statuses]) == {
        "web-vip",
        "lan-vip",
    }


def test_a_server_that_is_dead_here_is_listed_again_when_it_lives() -> None:
    scene = started(copied())
    scene.verdict(2, Health.DOWN)
    scene.pass_time(timedelta(seconds=1))
    scene.verdict(2, Health.UP)
    assert of(ChangeServices, scene.log)[-1].services[0].servers == ALL
    told = of(ConfigureFlows, scene.give(CopierReached()))
    assert told[0].services[0].servers == ALL


def test_status_and_metrics_tell_how_the_copying_stands(capsys: pytest.CaptureFixture[str]) -> None:
    scene = started(copied())
    scene.give(CopierReached())
    peer = PeerCopy("lb2", CopyState.FOLLOWING, scene.now, scene.now, 12, scene.now, 40, 3)
    scene.give(FlowStatus(catching_up=False, peers=(peer,), told=7, refused=1))
    seen = view(scene.brain, scene.now)
    print_node(seen, (), Paint(sys.stdout))
    said = capsys.readouterr().out
    assert "copied flows  following, 7 told, 1 refused" in said
    assert "lb2  following  heard" in said
    assert "40 taken  3 datagrams lost  told all its 12 flows" in said
    exposed = exposition(Picture(seen), Tally(), "")[0].decode().splitlines()
    for line in (
        "yaoki_flows_catching_up 0.0",
        "yaoki_flows_told_total 7.0",
        "yaoki_flows_refused_total 1.0",
        'yaoki_flows_following{peer="lb2"} 1.0',
        'yaoki_flows_taken_total{peer="lb2"} 40.0',
        'yaoki_flows_datagrams_lost_total{peer="lb2"} 3.0',
        'yaoki_part_up{part="flows"} 1.0',
    ):
        assert line in exposed
    assert view(started(copied(forward=Forward.FULLNAT)).brain, scene.now).flows is None
