"""Interfaces that a virtual router tracks, at the speaker's assembly: it follows them without the Brain."""

from dataclasses import replace

import pytest

from tests.node.speaker_scene import ETH0, KEY, ORDER, PARAMS, Speaker, bodies, sent
from yaoki.node.messages import ConfigureRouters, InterfaceFound, Published, RouterState, SetPriority, SpeakerEffect
from yaoki.vrrp.events import (
    Barred,
    BecameActive,
    InterfaceCameUp,
    InterfaceWentDown,
    NoBetterOwner,
    PriorityChanged,
    Reason,
    Unbarred,
)
from yaoki.vrrp.params import InterfaceTrack, RouterParams

pytestmark = pytest.mark.req("B-24")

UPLINK, DOWN = InterfaceFound("eth1", True, None, None), InterfaceFound("eth1", False, None, None)
WEIGHED = replace(PARAMS, tracks=(InterfaceTrack("eth1", -60),))
STRICT = replace(PARAMS, tracks=(InterfaceTrack("eth1"),))


def started(params: RouterParams, *, uplink: InterfaceFound = UPLINK) -> Speaker:
    speaker = Speaker(interface=ETH0)
    speaker.tell(uplink)
    speaker.tell(ConfigureRouters((params,)))
    return speaker


def priority(speaker: Speaker) -> int:
    return speaker.brain.statuses()[0].priority


def events(effects: list[SpeakerEffect]) -> list[Published]:
    return [effect for effect in effects if isinstance(effect, Published)]


def test_an_interface_that_goes_down_takes_its_weight_at_once_and_names_itself() -> None:
    speaker = started(WEIGHED)
    speaker.run_to(400)
    lost, changed = events(effects := speaker.tell(DOWN))
    assert lost.event.body == InterfaceWentDown("eth1")
    assert changed.event.body == PriorityChanged(KEY, "web-vip", 100, 40)
    assert changed.event.because == lost.event.id
    assert sent(effects) == [40]
    speaker.tell(UPLINK)
    assert priority(speaker) == 100


@pytest.mark.parametrize(
    ("track", "found", "expected"),
    [
        (InterfaceTrack("eth1", -60), UPLINK, 100),
        (InterfaceTrack("eth1", -60), DOWN, 40),
        (InterfaceTrack("eth1", 20, reverse=True), UPLINK, 120),
        (InterfaceTrack("eth1", 20, reverse=True), DOWN, 100),
        (InterfaceTrack("eth1"), UPLINK, 100),
        (InterfaceTrack("eth1"), DOWN, 0),
        (InterfaceTrack("eth1", reverse=True), UPLINK, 0),
        (InterfaceTrack("eth2", -60), UPLINK, 40),
    ],
)
def test_what_a_tracked_interface_does_to_the_priority(
    track: InterfaceTrack, found: InterfaceFound, expected: int
) -> None:
    assert priority(started(replace(PARAMS, tracks=(track,)), uplink=found)) == expected


def test_the_brains_weights_and_the_interfaces_are_added_before_the_sum_is_kept_in_range() -> None:
    speaker = started(WEIGHED, uplink=DOWN)
    speaker.tell(SetPriority(KEY, -20, ORDER))
    assert priority(speaker) == 1
    speaker.tell(SetPriority(KEY, 280, ORDER))
    assert priority(speaker) == 220
    speaker.tell(SetPriority(KEY, 100, ORDER, barred=True))
    assert priority(speaker) == 0
    speaker.tell(SetPriority(KEY, 100, ORDER))
    assert priority(speaker) == 40


def test_a_sum_of_255_does_not_make_an_owner_of_the_addresses() -> None:
    speaker = started(PARAMS)
    speaker.tell(SetPriority(KEY, 255, ORDER))
    assert priority(speaker) == 254


def test_a_backup_that_may_not_own_stays_out_until_the_interface_is_back() -> None:
    speaker = started(STRICT, uplink=DOWN)
    speaker.run_to(2000)
    assert speaker.state() is RouterState.BACKUP
    assert speaker.brain.statuses()[0].reason == Reason.BARRED.value
    came, unbarred = events(speaker.tell(UPLINK))
    assert (came.event.body, unbarred.event.body) == (InterfaceCameUp("eth1"), Unbarred(KEY, "web-vip", 100))
    took = [each.event for each in events(speaker.run_to(2001)) if isinstance(each.event.body, BecameActive)]
    assert [event.because for event in took] == [unbarred.event.id]
    assert speaker.state() is RouterState.ACTIVE


def test_an_owner_that_may_not_own_says_why_it_keeps() -> None:
    speaker = started(STRICT)
    speaker.run_to(400)
    effects = speaker.tell(DOWN)
    assert [type(body) for body in bodies(effects)] == [InterfaceWentDown, Barred, NoBetterOwner]
    assert sent(effects) == [1]
    assert (speaker.state(), priority(speaker)) == (RouterState.ACTIVE, 0)
    assert speaker.brain.statuses()[0].reason == Reason.KEPT.value
    speaker.hear(2)
    speaker.run_to(450)
    assert speaker.state() is RouterState.BACKUP


def test_another_configuration_keeps_what_the_interfaces_say() -> None:
    speaker = started(WEIGHED, uplink=DOWN)
    speaker.tell(ConfigureRouters((replace(WEIGHED, priority=200),)))
    assert priority(speaker) == 140
    speaker.tell(ConfigureRouters((replace(PARAMS, priority=200),)))
    assert priority(speaker) == 200


def test_an_interface_that_nobody_tracks_is_nobodys_news() -> None:
    speaker = started(PARAMS)
    assert speaker.tell(DOWN) == []
