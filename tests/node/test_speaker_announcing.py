"""IPv6 addresses are announced, and advertised, when the kernel takes packets for them: not before, and not never."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv6Interface

import pytest

from tests.node.speaker_scene import KEY, KEY_6, PARAMS, PARAMS_6, PEER, PEER_6, VIP, VIP_6, Speaker, at, bodies, sent
from yaoki.node.messages import (
    AddressTaken,
    AnnounceAddress,
    ClaimAddress,
    InterfaceFound,
    ReleaseRouters,
    RouterState,
    SendAdvertisement,
    SpeakerEffect,
)
from yaoki.node.speaker_announcing import MAX_WAITING, PATIENCE, SpeakerAnnouncing
from yaoki.node.speaker_events import AddressNotTaken
from yaoki.node.speaker_hushing import SpeakerHushing
from yaoki.node.speaker_peers import SpeakerPeers
from yaoki.vrrp.params import RouterKey, RouterParams

pytestmark = pytest.mark.req("B-05")

TAKEN = AddressTaken("eth0", VIP_6.ip)
ANNOUNCE = AnnounceAddress("eth0", VIP_6.ip)
SENT = AnnounceAddress | SendAdvertisement
ANOTHER = IPv6Interface("2001:db8:1::60/64")


class SlowKernel(Speaker):
    """It holds IPv6 addresses at once, and takes packets for them when it is told to here."""

    takes = False


def out(effects: list[SpeakerEffect]) -> list[str]:
    return [type(effect).__name__ for effect in effects if isinstance(effect, SENT)]


def taking_over(*, relieving: bool = True, params: RouterParams = PARAMS_6) -> SlowKernel:
    """The timer of a Backup has just run out: after the owner has left, or after silence."""
    speaker = SlowKernel(params)
    if relieving:
        speaker.hear(0, source=PEER_6, key=KEY_6)
    down = speaker.brain.deadline()
    assert down is not None
    effects = speaker.run_to(down.at.us / 1000)
    assert speaker.state(KEY_6) is RouterState.ACTIVE
    assert ClaimAddress("eth0", VIP_6, params.mac) in effects
    assert out(effects) == ([] if relieving else ["SendAdvertisement"])
    return speaker


def test_where_nobody_serves_only_the_announcement_waits() -> None:
    """Another Backup is a few milliseconds behind at short intervals."""
    speaker = taking_over(relieving=False)
    assert out(speaker.tell(TAKEN)) == ["AnnounceAddress"]


def test_an_address_is_announced_and_then_advertised_when_it_is_taken() -> None:
    speaker = taking_over()
    effects = speaker.tell(TAKEN)
    assert out(effects) == ["AnnounceAddress", "SendAdvertisement"]
    assert effects[0] == ANNOUNCE
    assert sent(effects) == [100]
    assert out(speaker.run_to(speaker.now.us / 1000 + 19)) == [], "nothing is repeated"


def test_what_is_never_taken_is_announced_all_the_same_and_told_of() -> None:
    speaker = taking_over()
    begun = speaker.now
    assert out(speaker.run_to((begun + PATIENCE).us / 1000 - 0.001)) == []
    effects = speaker.run_to((begun + PATIENCE).us / 1000)
    assert out(effects)[:2] == ["AnnounceAddress", "SendAdvertisement"]
    assert bodies(effects) == [AddressNotTaken("eth0", VIP_6.ip, PATIENCE)]
    assert bodies(speaker.tell(TAKEN)) == []


def test_ipv4_and_other_routers_do_not_wait() -> None:
    other = replace(PARAMS_6, key=RouterKey("eth0", KEY_6.family, 52), addresses=(ANOTHER,), priority=255)
    speaker = SlowKernel(PARAMS, other, PARAMS_6)
    speaker.tell(AddressTaken("eth0", ANOTHER.ip))
    for key, peer in ((KEY, PEER), (KEY_6, PEER_6)):
        speaker.hear(0, source=peer, key=key)
    assert AnnounceAddress("eth0", VIP.ip) in speaker.run_to(62)
    assert speaker.state(KEY_6) is RouterState.ACTIVE
    lists = [effect.payload for effect in speaker.said if isinstance(effect, SendAdvertisement)]
    assert any(VIP.ip.packed in payload for payload in lists)
    assert any(ANOTHER.ip.packed in payload for payload in lists)
    assert not any(VIP_6.ip.packed in payload for payload in lists)


def test_what_waits_for_an_address_that_is_given_up_is_not_sent() -> None:
    speaker = taking_over()
    effects = speaker.tell(InterfaceFound("eth0", False, None, None))
    assert out(effects) == []
    assert out(speaker.tell(TAKEN)) == []


def test_who_gives_way_meanwhile_says_so_in_order() -> None:
    speaker = taking_over()
    assert out(speaker.hear(150, source=PEER_6, key=KEY_6)) == []
    assert sent(speaker.tell(TAKEN)) == [100, 100]


@pytest.mark.parametrize("virtual_mac", [False, True])
def test_who_gives_way_meanwhile_announces_nothing_and_says_so_from_its_own_mac(virtual_mac: bool) -> None:
    """A switch that hears the virtual MAC here would send here what is the other owner's."""
    speaker = taking_over(params=replace(PARAMS_6, virtual_mac=virtual_mac))
    speaker.hear(150, source=PEER_6, key=KEY_6)
    effects = speaker.tell(TAKEN)
    assert sent(effects) == [100, 100]
    assert [effect for effect in effects if isinstance(effect, AnnounceAddress)] == []
    assert {effect.mac for effect in effects if isinstance(effect, SendAdvertisement)} == {None}


def test_a_stop_meanwhile_says_so_in_order() -> None:
    speaker = taking_over()
    assert out(speaker.tell(ReleaseRouters())) == []
    assert sent(speaker.tell(TAKEN)) == [100, 0]


def test_the_longest_waiting_wait_no_more_when_there_are_too_many() -> None:
    announcing = SpeakerAnnouncing(SpeakerHushing(SpeakerPeers()))
    announcing.claimed(at(0), "eth0", VIP_6.ip, relieving=True)
    effects: list[SpeakerEffect] = [ANNOUNCE] * (MAX_WAITING + 3)
    assert announcing.sort(effects) == [ANNOUNCE] * 3
    assert announcing.sort([]) == []
    announcing.taken("eth0", VIP_6.ip)
    assert announcing.sort([]) == [ANNOUNCE] * MAX_WAITING


def test_waiting_is_bounded_and_longer_than_what_kernels_need() -> None:
    assert timedelta(milliseconds=11) < PATIENCE <= timedelta(milliseconds=20)
