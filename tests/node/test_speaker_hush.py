"""Addresses that another router answers for by now: hushed while they are held, and never longer."""

from dataclasses import replace

import pytest

from tests.node.speaker_scene import ETH0, KEY, PARAMS, VIP, Speaker, sent
from yaoki.node.messages import (
    AnnounceAddress,
    AnswerAgain,
    ClaimAddress,
    ConfigureRouters,
    HushAddresses,
    InterfaceFound,
    MoveRouter,
    ReleaseAddress,
    ReleaseRouters,
    RouterState,
    SpeakerEffect,
)
from yaoki.vrrp.params import RouterKey

pytestmark = pytest.mark.req("B-05")

HUSH, ANSWER = HushAddresses("eth0", (VIP.ip,)), AnswerAgain("eth0", (VIP.ip,))
RELEASE, CLAIM = ReleaseAddress("eth0", VIP), ClaimAddress("eth0", VIP)
OF_ADDRESSES = HushAddresses | AnswerAgain | ReleaseAddress | ClaimAddress


def about(effects: list[SpeakerEffect]) -> list[SpeakerEffect]:
    return [effect for effect in effects if isinstance(effect, OF_ADDRESSES)]


def owner(priority: int = 100) -> Speaker:
    speaker = Speaker(replace(PARAMS, priority=priority))
    speaker.run_to(1000)
    return speaker


def test_who_is_relieved_is_hushed_at_once_and_until_it_has_released() -> None:
    speaker = owner()
    assert about(speaker.tell(ReleaseRouters())) == []
    assert about(speaker.hear(50)) == [HUSH]
    assert about(speaker.run_to(1039)) == []
    assert about(speaker.run_to(1040)) == [RELEASE, ANSWER]


def test_who_gives_way_is_hushed_before_its_last_advertisement() -> None:
    speaker = owner()
    effects = speaker.hear(150)
    assert about(effects) == [HUSH]
    assert effects[0] == HUSH
    assert sent(effects) == [100]
    assert about(speaker.run_to(1040)) == [RELEASE, ANSWER]


def test_who_keeps_after_all_answers_before_it_announces() -> None:
    speaker = owner()
    speaker.hear(150)
    effects = speaker.hear(0)
    assert speaker.state() is RouterState.ACTIVE
    assert about(effects) == [ANSWER, CLAIM]
    assert effects.index(ANSWER) < effects.index(AnnounceAddress("eth0", VIP.ip))


def test_what_somebody_took_from_a_hushed_owner_comes_back_hushed() -> None:
    speaker = owner()
    speaker.tell(MoveRouter(KEY))
    speaker.hear(50)
    assert about(speaker.tell(ETH0)) == [CLAIM]


def test_an_interface_that_is_lost_ends_it() -> None:
    speaker = owner()
    speaker.hear(150)
    assert about(speaker.tell(InterfaceFound("eth0", False, None, None))) == [RELEASE, ANSWER]


def test_what_another_router_here_owns_is_answered_for() -> None:
    """The address has moved to another virtual router of the same node, while the first one leaves."""
    speaker = owner()
    other = replace(PARAMS, key=RouterKey("eth0", KEY.family, 52), priority=200)
    speaker.tell(ConfigureRouters((PARAMS, other)))
    speaker.run_to(2000)
    speaker.tell(ConfigureRouters((other,)))
    assert about(speaker.hear(50)) == []
    assert about(speaker.run_to(2100)) == []


def test_the_interfaces_own_addresses_are_never_hushed() -> None:
    speaker = owner(255)
    speaker.tell(ReleaseRouters())
    assert HUSH not in speaker.hear(50)
