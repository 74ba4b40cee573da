"""What the brain makes of packets whose authentication is wrong, and of a router that has no key to sign with."""

from dataclasses import replace

from tests.node.speaker_scene import KEY, KEY_6, PARAMS, PARAMS_6, Speaker, bodies, packet, sent
from yaoki.node.messages import ConfigureRouters, KeysFound, RouterState
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.events import PacketRejected, Reason


def test_a_packet_that_is_not_authentic_is_told_and_heeded_by_nobody() -> None:
    scene = Speaker(PARAMS)
    scene.run_to(300)
    forged = replace(packet(scene.now, 255), flaw=Rejection.WRONG_HMAC)
    (told,) = [body for body in bodies(scene.tell(forged)) if isinstance(body, PacketRejected)]
    assert (told.reason, told.count) == (Rejection.WRONG_HMAC, 1)
    scene.run_to(400)
    assert scene.state() is RouterState.ACTIVE


def test_a_replay_of_what_was_accepted_does_not_pass_for_the_same_again() -> None:
    scene = Speaker(PARAMS)
    scene.hear(150)
    scene.run_to(300)
    scene.tell(replace(packet(scene.now, 150), flaw=Rejection.REPLAYED))
    scene.run_to(400)
    assert scene.state() is RouterState.ACTIVE, "the owner is dead, whatever is replayed"


def test_a_router_without_its_key_takes_nothing_over_and_the_other_does() -> None:
    scene = Speaker()
    scene.tell(KeysFound((KEY,)))
    scene.tell(ConfigureRouters((PARAMS, PARAMS_6)))
    scene.run_to(5000)
    assert (scene.state(KEY), scene.state(KEY_6)) == (RouterState.BACKUP, RouterState.ACTIVE)
    keyless = next(status for status in scene.brain.statuses() if status.router == KEY)
    assert (keyless.reason, keyless.priority) == (Reason.NO_KEY, 0)
    scene.tell(KeysFound(()))
    scene.run_to(5500)
    assert scene.state(KEY) is RouterState.ACTIVE


def test_an_owner_that_loses_its_key_says_so_with_the_least_priority() -> None:
    scene = Speaker(PARAMS)
    scene.run_to(400)
    assert sent(scene.tell(KeysFound((KEY,)))) == [1]
    assert scene.state() is RouterState.ACTIVE
