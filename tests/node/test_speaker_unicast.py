"""Unicast at the speaker's assembly: to whom, in which form, and from whom it is taken."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.speaker_scene import (
    ETH0,
    KEY,
    KEY_6,
    OWN,
    PARAMS,
    PARAMS_6,
    PEER,
    PEER_6,
    VIP,
    Speaker,
    bodies,
    sent,
)
from yaoki.core.address import IPAddress
from yaoki.node.messages import ConfigureRouters, PacketArrived, RouterState, SendAdvertisement, SpeakerEffect
from yaoki.packet.checksum import internet_checksum
from yaoki.vrrp.advertisement import GROUP_IPV4, Advertisement, Rejection, decode
from yaoki.vrrp.events import BecameActive, BecameBackup, PacketRejected, Reason
from yaoki.vrrp.params import ChecksumForm, RouterParams

THIRD = IPv4Address("192.0.2.13")
STRANGER = IPv4Address("192.0.2.99")
GLOBAL_6, GLOBAL_PEER_6 = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::12")
UNICAST = replace(PARAMS, source=OWN, peers=(PEER, THIRD))
UNICAST_6 = replace(PARAMS_6, source=GLOBAL_6, peers=(GLOBAL_PEER_6,))
ETH0_6 = replace(ETH0, ipv6=(GLOBAL_6,))


def carry(effect: SendAdvertisement, speaker: Speaker) -> list[SpeakerEffect]:
    """What a speaker does with what another one sent."""
    return speaker.tell(
        PacketArrived(
            effect.interface, effect.family, effect.source, effect.destination, 255, effect.payload, speaker.now
        )
    )


def adverts(effects: list[SpeakerEffect]) -> list[SendAdvertisement]:
    return [effect for effect in effects if isinstance(effect, SendAdvertisement)]


def test_an_advertisement_goes_to_each_peer_with_a_checksum_of_its_own() -> None:
    effects = adverts(Speaker(UNICAST).run_to(361))
    assert [(effect.source, effect.destination) for effect in effects] == [(OWN, PEER), (OWN, THIRD)]
    assert effects[0].payload != effects[1].payload
    for effect in effects:
        right = decode(effect.payload, source=OWN, destination=effect.destination, hop_limit=255)
        assert isinstance(right, Advertisement)
        assert right.checksum is ChecksumForm.PSEUDO_HEADER
        as_if_to_the_group = decode(effect.payload, source=OWN, destination=GROUP_IPV4, hop_limit=255)
        assert not isinstance(as_if_to_the_group, Advertisement)


def test_the_checksum_of_the_message_only_is_the_same_for_all() -> None:
    speaker = Speaker(replace(UNICAST, checksum=ChecksumForm.MESSAGE_ONLY))
    one, other = adverts(speaker.run_to(361))
    assert one.payload == other.payload
    assert internet_checksum(one.payload) == 0


def test_over_ipv6_it_is_sent_from_the_address_that_the_peers_know() -> None:
    (effect,) = adverts(Speaker(UNICAST_6, interface=ETH0_6).run_to(361))
    assert (effect.source, effect.destination) == (GLOBAL_6, GLOBAL_PEER_6)


def test_without_that_address_the_router_waits_and_with_it_begins() -> None:
    speaker = Speaker(UNICAST_6, interface=ETH0)
    assert speaker.state(KEY_6) is RouterState.INITIALIZE
    assert speaker.brain.statuses()[0].reason == Reason.NO_SOURCE_ADDRESS.value
    speaker.tell(ETH0_6)
    assert speaker.state(KEY_6) is RouterState.BACKUP
    speaker.run_to(400)
    assert speaker.state(KEY_6) is RouterState.ACTIVE
    speaker.tell(ETH0)
    assert speaker.state(KEY_6) is RouterState.INITIALIZE
    assert speaker.addresses == set()


def test_a_router_without_peers_is_alone_and_owns() -> None:
    speaker = Speaker(replace(UNICAST, peers=()))
    assert sent(speaker.run_to(1000)) == []
    assert speaker.state() is RouterState.ACTIVE


@pytest.mark.parametrize(
    ("params", "interface", "source", "taken"),
    [
        (UNICAST, ETH0, PEER, True),
        (UNICAST, ETH0, THIRD, True),
        (UNICAST, ETH0, STRANGER, False),
        (UNICAST_6, ETH0_6, GLOBAL_PEER_6, True),
        (UNICAST_6, ETH0_6, PEER_6, True),
        (UNICAST_6, ETH0_6, IPv6Address("2001:db8:1::99"), False),
        (PARAMS, ETH0, STRANGER, True),
    ],
    ids=["peer", "second peer", "stranger", "peer, IPv6", "link-local", "stranger, IPv6", "stranger by multicast"],
)
def test_a_router_by_unicast_listens_to_its_peers_only(
    params: RouterParams, interface: object, source: IPAddress, taken: bool
) -> None:
    speaker = Speaker(params, interface=ETH0_6 if interface is ETH0_6 else ETH0)
    effects = speaker.hear(150, source=source, key=params.key)
    rejections = [body.reason for body in bodies(effects) if isinstance(body, PacketRejected)]
    assert rejections == ([] if taken else [Rejection.NOT_A_PEER])
    assert (speaker.brain.statuses()[0].peer == source) is taken


@pytest.mark.req("Z-04")
@pytest.mark.parametrize(
    ("router", "own", "peer"), [(PARAMS, OWN, PEER), (PARAMS_6, GLOBAL_6, GLOBAL_PEER_6)], ids=["IPv4", "IPv6"]
)
def test_changing_to_unicast_and_back_node_by_node_never_lets_a_backup_take_over(
    router: RouterParams, own: IPAddress, peer: IPAddress
) -> None:
    """The owner changes first, then the backup, and both go back: they hear each other throughout."""
    first, second = replace(router, priority=150), router
    here = replace(ETH0, ipv6=(GLOBAL_6,))
    there = replace(ETH0, ipv4=PEER, ipv6_link_local=PEER_6, ipv6=(GLOBAL_PEER_6,))
    owner, backup = Speaker(first, interface=here), Speaker(second, interface=there)
    owner.run_to(400)
    backup.now = owner.now
    plans = [(first, second)]
    plans.append((replace(first, source=own, peers=(peer,)), second))
    plans.append((plans[1][0], replace(second, source=peer, peers=(own,))))
    plans += [(first, plans[2][1]), (first, second)]
    for mine, theirs in plans:
        for effect in adverts(owner.tell(ConfigureRouters((mine,)))):
            carry(effect, backup)
        backup.tell(ConfigureRouters((theirs,)))
        for _ in range(20):
            step = owner.now.us / 1000 + 50
            for effect in adverts(owner.run_to(step)):
                if effect.destination.is_multicast or effect.destination == peer:
                    carry(effect, backup)
            backup.run_to(step)
            assert backup.state(second.key) is RouterState.BACKUP
    assert [body for body in bodies(backup.said) if isinstance(body, BecameActive | PacketRejected)] == []
    assert [body for body in bodies(owner.said) if isinstance(body, BecameBackup)][1:] == []


@given(
    payload=st.binary(max_size=64),
    source=st.ip_addresses(v=4),
    destination=st.ip_addresses(v=4),
    hop_limit=st.integers(0, 255),
)
def test_nothing_but_a_peers_advertisement_moves_a_router_by_unicast(
    payload: bytes, source: IPv4Address, destination: IPv4Address, hop_limit: int
) -> None:
    speaker = Speaker(UNICAST)
    speaker.run_to(400)
    if source in (PEER, THIRD):
        source = STRANGER
    speaker.tell(PacketArrived("eth0", KEY.family, source, destination, hop_limit, payload, speaker.now))
    assert speaker.state() is RouterState.ACTIVE
    assert speaker.addresses == {("eth0", str(VIP))}
