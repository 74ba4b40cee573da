"""A spare that runs another generation of the site than the owner takes over last, where the site asks for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.speaker_scene import ETH0, PARAMS, PEER, Speaker, bodies
from tests.node.test_speaker_peering import HEARTBEAT
from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.node.messages import ConfigureRouters, HeartbeatArrived, RouterState, SpeakerEffect
from yaoki.vrrp.events import InStepWithOwner, OutOfStepWithOwner
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord
from yaoki.vrrp.params import OutOfStep, RouterParams

pytestmark = pytest.mark.req("B-03")

CAREFUL = replace(PARAMS, out_of_step=OutOfStep.LAST)


def spare(params: RouterParams = CAREFUL) -> Speaker:
    """A spare that hears the owner's advertisements of priority 150."""
    scene = Speaker(interface=None)
    scene.tell(ConfigureRouters((params,), heartbeat=HEARTBEAT))
    scene.tell(ETH0)
    scene.hear(150)
    return scene


def beat(scene: Speaker, generation: str, *, sequence: int = 1, role: Role = Role.ACTIVE) -> list[SpeakerEffect]:
    word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), role, 150)
    payload = Heartbeat("lb2", generation, 5, sequence, timedelta(milliseconds=100), (word,)).encode()
    return scene.tell(HeartbeatArrived("eth0", PEER, 255, payload, scene.now))


def told(effects: list[SpeakerEffect]) -> list[type[EventBody]]:
    return [type(body) for body in bodies(effects) if isinstance(body, OutOfStepWithOwner | InStepWithOwner)]


def priority(scene: Speaker) -> int:
    return scene.brain.statuses()[0].priority


def test_it_comes_last_while_it_differs_from_the_owner_and_says_so_once() -> None:
    scene = spare()
    assert told(beat(scene, "g2")) == [OutOfStepWithOwner]
    assert priority(scene) == 1
    assert told(beat(scene, "g2", sequence=2)) == []
    assert told(beat(scene, "g1", sequence=3)) == [InStepWithOwner]
    assert priority(scene) == PARAMS.priority


def test_a_peer_that_is_no_owner_is_no_measure() -> None:
    scene = spare()
    assert told(beat(scene, "g2", role=Role.BACKUP)) == []
    assert priority(scene) == PARAMS.priority


def test_without_the_key_it_is_only_told() -> None:
    scene = spare(PARAMS)
    assert told(beat(scene, "g2")) == []
    assert priority(scene) == PARAMS.priority


def test_the_silence_of_the_owner_does_not_put_it_in_step() -> None:
    scene = spare()
    beat(scene, "g2")
    scene.run_to(330)
    assert priority(scene) == 1, "another spare that is in step goes first"
    assert scene.state() is RouterState.BACKUP


def test_when_nobody_else_takes_over_it_does_and_counts_with_its_own_priority_again() -> None:
    scene = spare()
    beat(scene, "g2")
    effects = scene.run_to(1000)
    assert scene.state() is RouterState.ACTIVE
    assert told(effects) == [InStepWithOwner]
    assert priority(scene) == PARAMS.priority


def test_its_own_new_generation_puts_it_in_step() -> None:
    scene = spare()
    beat(scene, "g2")
    effects = scene.tell(ConfigureRouters((CAREFUL,), heartbeat=replace(HEARTBEAT, generation="g2")))
    assert told(effects) == [InStepWithOwner]
    assert priority(scene) == PARAMS.priority
