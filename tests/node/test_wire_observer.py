"""The wire observer inside the Brain: frames in; events, questions and orders to the speaker out."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.node.scene import ROUTER, SECOND, VIP, mac
from tests.node.wire_scene import HERS, INTRUDER, LEAKER, MINE, OWN, PEER, UP, WireScene, claim, told, watched_plan
from yaoki.core.address import BROADCAST, MacAddress
from yaoki.core.event import EventBody
from yaoki.node.brain_messages import NeighbourFound, NewPlan, SpeakerLost
from yaoki.node.messages import AnnounceRouter, Published, RouterState
from yaoki.node.snapshot import view
from yaoki.node.wire_messages import AskWire, ClaimsSeen, FramesDropped, WatchWire
from yaoki.node.wire_view import Evidence
from yaoki.packet.claim import Claim, Form
from yaoki.vrrp.claim_watch import VERIFY_TIME
from yaoki.vrrp.timing import REACTION_GAP
from yaoki.vrrp.wire_events import ArpLeaked, ForeignClaim, TwoOwnersSeen, WireFlooded


def test_the_vip_and_the_members_own_addresses_are_watched() -> None:
    scene = WireScene()
    assert [e for e in scene.effects if isinstance(e, WatchWire)] == [WatchWire((("eth0", (OWN, PEER, VIP)),))]
    assert not [e for e in scene.give(NewPlan(watched_plan())) if isinstance(e, WatchWire)], "nothing has changed"


def test_the_vip_is_asked_for_each_second_and_members_now_and_then() -> None:
    effects = WireScene(RouterState.BACKUP).wait(timedelta(seconds=20), answers=(HERS,))
    asked = [effect.address for effect in effects if isinstance(effect, AskWire)]
    assert 18 <= asked.count(VIP) <= 21
    assert asked.count(PEER) == 2
    assert OWN not in asked


@pytest.mark.req("B-09")
def test_a_foreign_claim_makes_the_owner_announce_at_once_and_is_told() -> None:
    scene = WireScene()
    effects = scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT))
    assert AnnounceRouter(ROUTER) in effects
    assert AskWire("eth0", PEER) in effects
    later = scene.wait(VERIFY_TIME)
    (event,) = told(later, ForeignClaim)
    assert isinstance(event, ForeignClaim)
    assert (event.mac, event.interface, event.count, event.vip) == (INTRUDER, "eth0", 1, "web-vip")
    because = next(e.event.id for e in later if isinstance(e, Published) and e.event.body is event)
    assert AnnounceRouter(ROUTER, because) in later


def test_a_standby_node_tells_and_does_not_announce() -> None:
    scene = WireScene(RouterState.BACKUP)
    effects = scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT)) + scene.wait(VERIFY_TIME)
    assert len(told(effects, ForeignClaim)) == 1
    assert not any(isinstance(effect, AnnounceRouter) for effect in effects)


@pytest.mark.req("B-09")
def test_an_owner_that_waits_to_be_relieved_contradicts_as_well() -> None:
    scene = WireScene(RouterState.LEAVING)
    assert AnnounceRouter(ROUTER) in scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT))


def test_a_storm_of_claims_is_no_storm_of_orders() -> None:
    scene = WireScene()
    orders = 0
    for _ in range(1000):
        orders += sum(isinstance(e, AnnounceRouter) for e in scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT)))
        scene.now += timedelta(milliseconds=1)
    assert 1 < orders <= 1 + timedelta(seconds=1) / REACTION_GAP


@pytest.mark.req("B-09")
def test_the_last_of_several_claims_is_contradicted_too() -> None:
    scene = WireScene()
    scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT))
    scene.now += REACTION_GAP - timedelta(microseconds=1)
    assert AnnounceRouter(ROUTER) not in scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT))
    assert AnnounceRouter(ROUTER) in scene.wait(timedelta(milliseconds=1))
    assert not any(isinstance(effect, AnnounceRouter) for effect in scene.wait(REACTION_GAP))


@pytest.mark.req("D-19")
def test_a_real_server_that_answers_for_the_vip_is_named() -> None:
    scene = WireScene()
    scene.give(NeighbourFound(IPv4Address("192.0.2.21"), LEAKER))
    effects = scene.give(claim(VIP, LEAKER, Form.ANSWER, to=MINE)) + scene.wait(VERIFY_TIME)
    (leaked,) = told(effects, ArpLeaked)
    assert isinstance(leaked, ArpLeaked)
    assert leaked.server == "web1"


@pytest.mark.req("B-21")
def test_the_owner_contradicts_a_second_owner_and_names_the_cause() -> None:
    scene = WireScene()
    effects = scene.wait(timedelta(seconds=3), answers=(HERS,))
    (two,) = told(effects, TwoOwnersSeen)
    assert isinstance(two, TwoOwnersSeen)
    assert two.nodes == ("lb1", "lb2")
    published = [e.event for e in effects if isinstance(e, Published)]
    cause = next(event for event in published if type(event.body).__name__ == "AnsweredUnadvertised")
    assert next(event for event in published if event.body is two).because == cause.id
    assert any(isinstance(effect, AnnounceRouter) for effect in effects)


def test_own_frames_that_come_back_are_nothing() -> None:
    scene = WireScene()
    assert told(scene.give(claim(VIP, MINE, Form.ANNOUNCEMENT)) + scene.wait(SECOND), EventBody) == []


@pytest.mark.rfc("9568", "7.3")
def test_the_virtual_mac_is_a_members() -> None:
    scene = WireScene(RouterState.BACKUP)
    virtual = MacAddress.parse("00:00:5e:00:01:33")
    effects = scene.give(claim(VIP, virtual, Form.ANNOUNCEMENT)) + scene.wait(timedelta(seconds=5), answers=(virtual,))
    assert told(effects, EventBody) == []


def test_a_flood_is_told_once_and_counted() -> None:
    scene = WireScene(RouterState.BACKUP)
    effects = [effect for _ in range(50) for effect in scene.give(FramesDropped("eth0", 1000))]
    assert told(effects, WireFlooded) == [WireFlooded("eth0", 1000)]
    assert view(scene.brain, scene.now).wires[0].dropped == 50_000
    scene.now += timedelta(seconds=10)
    assert told(scene.give(FramesDropped("eth0", 1)), WireFlooded) == [WireFlooded("eth0", 50_001)]


def test_of_an_interface_that_is_not_watched_nothing_is_taken() -> None:
    scene = WireScene()
    elsewhere = ClaimsSeen("eth9", (Claim(VIP, INTRUDER, Form.ANSWER, BROADCAST),))
    for input_ in (elsewhere, FramesDropped("eth9", 1), replace(UP, interface="eth9")):
        assert scene.give(input_) == []


def test_while_the_interface_is_down_nobody_is_asked() -> None:
    scene = WireScene(RouterState.BACKUP)
    scene.give(replace(UP, up=False))
    assert not any(isinstance(effect, AskWire) for effect in scene.wait(timedelta(seconds=20)))
    scene.give(UP)
    assert any(isinstance(effect, AskWire) for effect in scene.wait(SECOND))


def test_a_speaker_out_of_reach_leaves_no_role_to_judge_by() -> None:
    scene = WireScene(RouterState.BACKUP)
    scene.give(SpeakerLost("killed"))
    assert told(scene.wait(timedelta(seconds=60)), EventBody) == []


def test_what_is_not_in_the_plan_any_more_is_forgotten() -> None:
    scene = WireScene()
    scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT))
    effects = scene.give(NewPlan(replace(watched_plan(), wires=(), generation="g2")))
    assert WatchWire(()) in effects
    assert told(scene.wait(timedelta(seconds=60)), ForeignClaim) == []
    assert view(scene.brain, scene.now).wires == ()


# --- what readers see -------------------------------------------------------------------------------------------------


def test_a_reader_sees_who_answers_by_which_evidence_and_how_old_it_is() -> None:
    scene = WireScene(RouterState.BACKUP)
    (before,) = view(scene.brain, scene.now).routers[0].seen
    assert (before.evidence, before.member, before.age) == (Evidence.UNASKED, None, None)
    scene.wait(timedelta(seconds=2), answers=(HERS,))
    (seen,) = view(scene.brain, scene.now).routers[0].seen
    assert (seen.evidence, seen.member, seen.mac, seen.stale) == (Evidence.ANSWERED, "lb2", HERS, False)
    assert seen.age is not None
    assert seen.age <= SECOND
    scene.now += timedelta(seconds=10)
    (old,) = view(scene.brain, scene.now).routers[0].seen
    assert (old.member, old.stale) == ("lb2", True)


def test_a_reader_of_the_owner_sees_that_nobody_else_answers_and_who_claims() -> None:
    scene = WireScene()
    scene.wait(timedelta(seconds=2))
    (alone,) = view(scene.brain, scene.now).routers[0].seen
    assert (alone.evidence, alone.member, alone.mac, alone.foreign) == (Evidence.ALONE, "lb1", MINE, ())
    scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT))
    scene.wait(timedelta(seconds=2), answers=(HERS,))
    router = view(scene.brain, scene.now).routers[0]
    (seen,) = router.seen
    assert (seen.evidence, seen.foreign, router.foreign_claims) == (Evidence.NOT_ALONE, (INTRUDER,), 1)


@pytest.mark.parametrize(("answers", "evidence"), [((), Evidence.NOBODY), ((HERS, mac(12)), Evidence.ANSWERED)])
def test_evidence_of_a_standby_node(answers: tuple[MacAddress, ...], evidence: Evidence) -> None:
    scene = WireScene(RouterState.BACKUP)
    scene.wait(timedelta(seconds=2), answers=answers)
    assert view(scene.brain, scene.now).routers[0].seen[0].evidence is evidence
