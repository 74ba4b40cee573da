"""A node that a peer says was replaced owns nothing: it takes nothing over, and leaves what it owns to whoever can."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.speaker_scene import ETH0, KEY, PARAMS, PEER, Speaker, bodies, sent, statuses
from tests.node.test_speaker_peering import HEARTBEAT, LB2, beats, said
from yaoki.core.address import Family
from yaoki.node.messages import ConfigureRouters, HeartbeatArrived, Published, RouterState, SpeakerEffect
from yaoki.node.speaker_events import NodeNotReplaced, NodeReplaced
from yaoki.vrrp.events import BecameActive, NobodyTookOver, Reason
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord, decode
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath
from yaoki.vrrp.standing import LEAST_PRIORITY

pytestmark = pytest.mark.req("B-02")


def speaker(params: RouterParams = PARAMS, heartbeat: HeartbeatParams = HEARTBEAT) -> Speaker:
    scene = Speaker(interface=None)
    scene.tell(ConfigureRouters((params,), heartbeat=heartbeat))
    scene.tell(ETH0)
    return scene


def beat(scene: Speaker, *, replaced: bool, sequence: int = 1, priority: int = 0) -> list[SpeakerEffect]:
    """lb2's heartbeat; with a priority, it tells of the VIP as a Backup that could own it."""
    key = RouterKeyOnWire.of("web-vip", Family.IPV4)
    words = (RouterWord(key, Role.BACKUP, priority),) if priority else ()
    payload = Heartbeat("lb2", "g2", 5, sequence, timedelta(milliseconds=100), words, replaced).encode()
    return scene.tell(HeartbeatArrived("eth0", PEER, 255, payload, scene.now))


def news(effects: list[SpeakerEffect]) -> list[object]:
    return [body for body in bodies(effects) if isinstance(body, NodeReplaced | NodeNotReplaced)]


def test_the_mark_is_a_bit_that_older_versions_do_not_take_for_a_count() -> None:
    heartbeat = Heartbeat("lb2", "g2", 5, 1, timedelta(milliseconds=100), (), replaced=True)
    assert heartbeat.encode()[:4] == bytes.fromhex("59480180")
    assert decode(heartbeat.encode(), hop_limit=255) == heartbeat
    assert replace(heartbeat, replaced=False).encode()[:4] == bytes.fromhex("59480100")


def test_a_peer_that_was_replaced_is_told_so_and_no_other_is() -> None:
    gone = PeerParams("lb0", (), (PeerPath("eth0", ETH0.ipv4 or PEER, PEER + 8),), replaced=True)
    scene = speaker(heartbeat=replace(HEARTBEAT, peers=(LB2, gone)))
    told = {(b.destination, said(b).replaced, len(said(b).routers)) for b in beats(scene.said) if b.interface == "eth0"}
    assert {(PEER, False, 1), (PEER + 8, True, 0)} <= told
    assert not {(PEER, True, 1), (PEER + 8, False, 0)} & told


def test_who_was_replaced_takes_nothing_over_however_long_nobody_owns() -> None:
    scene = speaker()
    assert news(beat(scene, replaced=True)) == [NodeReplaced("lb2", "g2", "g1")]
    effects = scene.run_to(20_000)
    assert scene.state() is RouterState.BACKUP
    assert sent(effects) == []
    (status,) = scene.brain.statuses()
    assert (status.priority, status.reason) == (0, Reason.REPLACED)


def test_it_is_said_once_and_stays_so_while_the_peer_is_silent() -> None:
    scene = speaker()
    beat(scene, replaced=True)
    assert news(beat(scene, replaced=True, sequence=2)) == []
    assert news(scene.run_to(20_000)) == []
    assert scene.state() is RouterState.BACKUP


def test_an_owner_that_learns_it_steps_aside_for_a_peer_that_can_own_and_keeps_what_nobody_takes() -> None:
    scene = speaker()
    scene.run_to(400)
    assert scene.state() is RouterState.ACTIVE
    assert sent(beat(scene, replaced=True)) == [LEAST_PRIORITY]
    assert scene.state() is RouterState.ACTIVE
    effects = beat(scene, replaced=True, sequence=2, priority=100)
    assert scene.state() is RouterState.LEAVING
    assert 0 in sent(effects)
    effects = scene.run_to(2000)
    assert any(isinstance(body, NobodyTookOver) for body in bodies(effects))
    assert scene.state() is RouterState.ACTIVE, "an action never leaves an address without an owner"


def test_it_gives_way_to_any_owner_that_it_hears() -> None:
    scene = speaker()
    scene.run_to(400)
    beat(scene, replaced=True)
    scene.hear(50)
    assert scene.state() is RouterState.LEAVING
    scene.run_to(500)
    assert scene.state() is RouterState.BACKUP
    scene.run_to(20_000)
    assert scene.state() is RouterState.BACKUP


def test_the_peer_that_takes_it_back_ends_it() -> None:
    scene = speaker()
    beat(scene, replaced=True)
    effects = beat(scene, replaced=False, sequence=2)
    assert news(effects) == [NodeNotReplaced()]
    assert [status.priority for status in statuses(effects)][-1] == PARAMS.priority
    scene.run_to(1000)
    assert scene.state() is RouterState.ACTIVE


def test_of_two_peers_it_takes_one_to_say_so() -> None:
    third = PeerParams("lb3", ("web-vip",), (PeerPath("eth0", ETH0.ipv4 or PEER, PEER + 1),))
    scene = speaker(heartbeat=replace(HEARTBEAT, peers=(LB2, third)))
    payload = Heartbeat("lb3", "g1", 5, 1, timedelta(milliseconds=100)).encode()
    beat(scene, replaced=True)
    scene.tell(HeartbeatArrived("eth0", PEER + 1, 255, payload, scene.now))
    scene.run_to(5000)
    assert scene.state() is RouterState.BACKUP


def test_the_node_s_own_new_file_ends_it_until_it_is_said_of_that_one_too() -> None:
    scene = speaker()
    beat(scene, replaced=True)
    scene.tell(ConfigureRouters((PARAMS,), heartbeat=replace(HEARTBEAT, generation="g3")))
    assert [status.priority for status in scene.brain.statuses()] == [PARAMS.priority]
    assert news(beat(scene, replaced=True, sequence=2)) == [NodeReplaced("lb2", "g2", "g3")]
    scene.run_to(5000)
    assert scene.state() is RouterState.BACKUP


def test_a_takeover_that_is_allowed_again_names_what_allowed_it() -> None:
    scene = speaker()
    beat(scene, replaced=True)
    scene.run_to(1000)
    effects = [*beat(scene, replaced=False, sequence=2), *scene.run_to(1001)]
    assert scene.state(KEY) is RouterState.ACTIVE
    (became,) = [e.event for e in effects if isinstance(e, Published) and isinstance(e.event.body, BecameActive)]
    assert became.because is not None
