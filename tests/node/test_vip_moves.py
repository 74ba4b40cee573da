"""A VIP that a person moves away: who may, what the speaker is asked for, and what a restart remembers."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.node.scene import ROUTER, Scene, of, plan
from tests.node.speaker_scene import KEY, PARAMS, Speaker, bodies, sent
from yaoki.core.codec import Codec
from yaoki.node.brain_events import VipMoved
from yaoki.node.brain_messages import Answer, KeepDecisions, Operate
from yaoki.node.decisions import AdmitVip, Decisions, MoveVip, Refused, decide
from yaoki.node.messages import AdmitRouter, MoveRouter, PeerStatus, Published, RouterState, SetPriority
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.events import BecameActive, NobodyTookOver, Reason
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath
from yaoki.vrrp.wire_params import WireMember, WireParams

OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
PATH = PeerPath("eth0", OWN, PEER)


def shared(*others: int) -> NodePlan:
    """lb1 with priority 150, lb2 and so on with these."""
    alone = plan()
    members = tuple(WireMember(f"lb{n}", priority, ()) for n, priority in enumerate((150, *others), 1))
    wire = WireParams("web-vip", ROUTER, "lb1", timedelta(seconds=1), timedelta(seconds=1), (), members)
    peers = tuple(PeerParams(f"lb{n}", ("web-vip",), (PATH,)) for n in range(2, 2 + len(others)))
    return replace(
        alone,
        routers=tuple(replace(router, others=others) for router in alone.routers),
        wires=(wire,),
        heartbeat=HeartbeatParams("lb1", "g1", peers=peers),
    )


def started(site: NodePlan, decisions: Decisions = Decisions()) -> Scene:
    scene = Scene(decisions=decisions)
    scene.start(site)
    scene.all_up()
    return scene


def answer(scene: Scene, command: MoveVip | AdmitVip) -> Answer:
    (found,) = of(Answer, scene.give(Operate(1, command)))
    return found


@pytest.mark.req("B-05")
def test_a_move_is_kept_told_and_asked_of_the_speaker_before_the_least_priority() -> None:
    scene = started(shared(100))
    effects = scene.give(Operate(1, MoveVip("web-vip")))
    assert of(KeepDecisions, effects) == [KeepDecisions(Decisions(moved=("web-vip",)))]
    (told,) = [effect.event for effect in of(Published, effects)]
    assert told.body == VipMoved("web-vip", None)
    asked = [effect for effect in effects if isinstance(effect, MoveRouter | SetPriority)]
    assert [type(order) for order in asked] == [MoveRouter, SetPriority]
    assert asked[0] == MoveRouter(ROUTER, told.id)
    assert isinstance(asked[1], SetPriority)
    assert asked[1].priority == 1


def test_admission_takes_a_move_back() -> None:
    scene = started(shared(100))
    scene.give(Operate(1, MoveVip("web-vip")))
    effects = scene.give(Operate(2, AdmitVip("web-vip")))
    assert of(KeepDecisions, effects) == [KeepDecisions(Decisions())]
    assert [order.router for order in of(AdmitRouter, effects)] == [ROUTER]
    assert [order.priority for order in of(SetPriority, effects)] == [150]


def test_a_restart_remembers_a_move() -> None:
    scene = started(shared(100), Decisions(moved=("web-vip",)))
    assert [order.priority for order in of(SetPriority, scene.log)] == [1]
    assert of(MoveRouter, scene.log) == []


def test_a_move_said_again_is_asked_again_because_the_vip_may_have_come_back() -> None:
    scene = started(shared(100))
    scene.give(Operate(1, MoveVip("web-vip")))
    effects = scene.give(Operate(2, MoveVip("web-vip")))
    assert len(of(MoveRouter, effects)) == 1
    assert of(KeepDecisions, effects) == []


@pytest.mark.req("Z-04")
def test_a_move_to_nobody_is_refused() -> None:
    assert answer(started(shared()), MoveVip("web-vip")).why == "web-vip has no member but this node"
    scene = started(shared(100))
    scene.give(PeerStatus("lb2", alive=False, since=scene.now, paths=()))
    assert answer(scene, MoveVip("web-vip")).why == "no other member of web-vip is heard (lb2)"
    scene.give(PeerStatus("lb2", alive=True, since=scene.now, paths=()))
    assert answer(scene, MoveVip("web-vip")).why is None


@pytest.mark.parametrize(
    ("others", "to", "why"),
    [
        ((100,), "lb3", "lb3 is no other member of web-vip"),
        ((100,), "lb1", "lb1 is no other member of web-vip"),
        ((100, 120), "lb2", "lb3 comes before lb2 by its priority"),
        ((100, 120), "lb3", None),
        ((100,), "lb2", None),
    ],
)
def test_the_one_that_is_wanted_has_to_be_the_one_that_comes(others: tuple[int, ...], to: str, why: str | None) -> None:
    result = decide(Decisions(), shared(*others), MoveVip("web-vip", to))
    assert (result.why if isinstance(result, Refused) else None) == why


def test_addresses_of_the_nodes_own_are_not_moved() -> None:
    site = shared(100)
    site = replace(site, routers=tuple(replace(router, priority=255) for router in site.routers))
    assert isinstance(decide(Decisions(), site, MoveVip("web-vip")), Refused)


def test_decisions_of_an_older_journal_move_nothing() -> None:
    older = b'{"is":"Decisions","servers":[],"services":[],"paused":false}'
    assert Codec().decode(older, Decisions) == Decisions()


def test_the_speaker_hands_over_and_stands_by_behind_the_others() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    effects = [*speaker.tell(MoveRouter(KEY)), *speaker.tell(SetPriority(KEY, 1))]
    assert sent(effects) == [0]
    assert speaker.state() is RouterState.LEAVING
    speaker.hear(50)
    speaker.run_to(1050)
    assert speaker.state() is RouterState.BACKUP
    speaker.hear(50)
    speaker.run_to(1300)
    assert speaker.state() is RouterState.BACKUP, "it takes nothing back"


def test_the_speaker_keeps_what_nobody_takes() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    speaker.tell(MoveRouter(KEY))
    speaker.tell(SetPriority(KEY, 1))
    effects = speaker.run_to(2000)
    kinds = [type(body) for body in bodies(effects)]
    assert kinds == [NobodyTookOver, BecameActive]
    assert BecameActive(KEY, "web-vip", Reason.NOBODY_TOOK_OVER, 1) in bodies(effects)
    assert speaker.addresses == {("eth0", "192.0.2.50/24")}


def test_a_move_of_one_vip_and_its_admission_are_of_the_whole_sync_group() -> None:
    site = shared(100)
    (router,) = site.routers
    outer = replace(router, vip="outer", key=replace(router.key, interface="eth1"), group="edge")
    alone = replace(router, vip="alone", key=replace(router.key, interface="eth2"))
    scene = started(replace(site, routers=(replace(router, group="edge"), outer, alone)))
    effects = scene.give(Operate(1, MoveVip("web-vip")))
    assert of(KeepDecisions, effects) == [KeepDecisions(Decisions(moved=("outer", "web-vip")))]
    assert [order.router for order in of(MoveRouter, effects)] == [router.key, outer.key]
    effects = scene.give(Operate(2, AdmitVip("outer")))
    assert of(KeepDecisions, effects) == [KeepDecisions(Decisions())]
    assert [order.router for order in of(AdmitRouter, effects)] == [router.key, outer.key]


@pytest.mark.req("B-24")
@pytest.mark.parametrize("barred", [True, False])
def test_a_speaker_that_is_told_only_a_priority_goes_on_owning_or_not_as_it_was_told(barred: bool) -> None:
    """The Brain that moved the VIP does not know yet what its check says, and the earlier one did."""
    speaker = Speaker(PARAMS)
    speaker.tell(SetPriority(KEY, 100, barred=barred))
    speaker.tell(SetPriority(KEY, 1, barred=None))
    (status,) = speaker.brain.statuses()
    assert status.priority == (0 if barred else 1)
    speaker.run_to(2000)
    assert speaker.state() is (RouterState.BACKUP if barred else RouterState.ACTIVE)
