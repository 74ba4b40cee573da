"""Planned moves between us and a real keepalived, both ways: a stop and the return after it, in a stream of packets."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.peers.test_keepalived import KINDS, Scene, scene
from tests.runtime.speakers import RunningSpeaker, eventually
from yaoki.core.address import Family
from yaoki.node.messages import RouterState
from yaoki.vrrp.events import HandedOver

__all__ = ["scene"]

pytestmark = [pytest.mark.netns, pytest.mark.peers]

UNDERSTOOD = [kind for kind in KINDS if not kind.lines]
# A machine that stutters loses packets by itself; whoever loses them by mistake does so every time.
ATTEMPTS = 3
MANY = 10_000


def under_packets(scene: Scene, move: Callable[[], None]) -> int:
    """How many packets of a stream to the VIP are lost while it moves."""
    pings = scene.segment.pings("c", scene.kind.vips[-1], scene.directory)
    move()
    return pings.lost()


def speaker_of(scene: Scene, priority: int, other: int) -> RunningSpeaker:
    """Ours, which knows that there is one other member."""
    speaker = scene.segment.speaker("y", scene.directory)
    speaker.configure(replace(scene.kind.params(priority), others=(other,)))
    return speaker


@pytest.mark.req("B-05")
@pytest.mark.parametrize("scene", UNDERSTOOD, indirect=True, ids=lambda kind: kind.name)
def test_nothing_is_lost_when_we_stop_and_when_we_return(scene: Scene) -> None:
    speaker = speaker_of(scene, 150, 100)
    scene.only("y")
    keepalived = scene.keepalived(100)
    eventually(keepalived.listens, "it listens")
    lost_by_stop = lost_by_return = MANY
    for _ in range(ATTEMPTS):
        ended: list[int] = []
        lost_by_stop = under_packets(scene, lambda: ended.append(speaker.release()))  # noqa: B023 - called at once
        assert ended == [0]
        assert scene.held_by("k")

        def come_back() -> None:
            nonlocal speaker
            speaker = speaker_of(scene, 150, 100)
            scene.only("y")

        lost_by_return = under_packets(scene, come_back)
        if lost_by_stop == lost_by_return == 0:
            break
    assert (lost_by_stop, lost_by_return) == (0, 0)


@pytest.mark.req("B-05")
@pytest.mark.parametrize("scene", UNDERSTOOD, indirect=True, ids=lambda kind: kind.name)
def test_nothing_is_lost_when_keepalived_returns_and_next_to_nothing_when_it_stops(scene: Scene) -> None:
    keepalived = scene.keepalived(150)
    scene.only("k")
    speaker = speaker_of(scene, 100, 150)
    eventually(lambda: speaker.hears(150), "we hear it")

    def stop() -> None:
        keepalived.stop()
        scene.only("y")

    def come_back() -> None:
        keepalived.start()
        scene.only("k")
        eventually(lambda: speaker.state(scene.kind.family) is RouterState.BACKUP, "we stand by")

    # keepalived announces an IPv6 address a moment before its kernel takes packets for it.
    borne = 2 if scene.kind.family is Family.IPV6 else 0
    lost_by_stop = lost_by_return = MANY
    for _ in range(ATTEMPTS):
        # It gives the address up before it says so. After that we are there at once: waiting for Skew_Time would cost
        # 30 packets at 100 ms, and 300 at 1 s.
        lost_by_stop = under_packets(scene, stop)
        lost_by_return = under_packets(scene, come_back)
        if lost_by_stop <= 10 and lost_by_return <= borne:
            break
    assert (lost_by_stop <= 10, lost_by_return <= borne) == (True, True), (lost_by_stop, lost_by_return)
    assert speaker.told(HandedOver) == [], "giving way is no leaving"
