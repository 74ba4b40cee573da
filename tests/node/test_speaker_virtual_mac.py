"""VIPs at virtual MACs: which frames leave from them, and that a change of MAC is no change of owner."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.node.speaker_scene import INTERVAL, PARAMS, PARAMS_6, PEER, VIP, Speaker, bodies
from yaoki.core.address import MacAddress
from yaoki.election.lease_params import LeaseParams
from yaoki.node.messages import (
    AnnounceAddress,
    ClaimAddress,
    ConfigureRouters,
    MoveRouter,
    ReleaseAddress,
    ReleaseRouters,
    RouterState,
    SendAdvertisement,
    SpeakerEffect,
)
from yaoki.vrrp.events import BecameBackup
from yaoki.vrrp.params import RouterParams

VIRTUAL, VIRTUAL_6 = replace(PARAMS, virtual_mac=True, others=(150,)), replace(PARAMS_6, virtual_mac=True)
MAC, MAC_6 = MacAddress.parse("00:00:5e:00:01:33"), MacAddress.parse("00:00:5e:00:02:33")


def sources(effects: list[SpeakerEffect]) -> list[MacAddress | None]:
    return [effect.mac for effect in effects if isinstance(effect, SendAdvertisement)]


def places(effects: list[SpeakerEffect]) -> list[tuple[str, MacAddress | None]]:
    named = [effect for effect in effects if isinstance(effect, ClaimAddress | AnnounceAddress)]
    return [(type(effect).__name__, effect.mac) for effect in named]


@pytest.mark.rfc("9568", "7.2")
@pytest.mark.rfc("9568", "7.3")
@pytest.mark.parametrize(("params", "mac"), [(VIRTUAL, MAC), (VIRTUAL_6, MAC_6)])
def test_an_owner_holds_announces_and_advertises_at_the_virtual_mac(params: RouterParams, mac: MacAddress) -> None:
    scene = Speaker(params)
    effects = scene.run_to(1000)
    assert set(places(effects)) == {("ClaimAddress", mac), ("AnnounceAddress", mac)}
    assert set(sources(effects)) == {mac}


def test_without_it_nothing_has_another_mac() -> None:
    effects = Speaker(PARAMS).run_to(1000)
    assert {mac for _, mac in places(effects)} == {None}
    assert set(sources(effects)) == {None}


def test_who_leaves_or_has_heard_a_better_one_advertises_from_its_own_mac() -> None:
    """A switch that heard the virtual MAC from it would look for the owner there again."""
    for leave in (ReleaseRouters(), MoveRouter(VIRTUAL.key)):
        scene = Speaker(VIRTUAL)
        scene.run_to(1000)
        scene.hear(50)
        effects = [*scene.tell(leave), *scene.run_to(1250)]
        assert scene.state() is RouterState.LEAVING
        assert len(sources(effects)) >= 2
        assert set(sources(effects)) == {None}
        effects = scene.hear(150)
        assert set(sources(effects)) <= {None}
    scene = Speaker(VIRTUAL)
    scene.run_to(1000)
    effects = scene.hear(200)
    assert sources(effects) == [None], "its last word, which makes the winner announce again"
    effects = scene.run_to(1100)
    assert any(isinstance(body, BecameBackup) for body in bodies([*effects, *scene.said]))


def test_who_only_bids_for_a_lease_does_not_speak_from_the_virtual_mac() -> None:
    leased = replace(VIRTUAL, lease=LeaseParams.usual("vip", 15 * INTERVAL))
    scene = Speaker(leased)
    effects = scene.run_to(10_000)
    assert set(sources(effects)) <= {None}
    assert scene.state() is not RouterState.ACTIVE


def test_unicast_leaves_from_the_interfaces_own_mac() -> None:
    scene = Speaker(replace(VIRTUAL, peers=(PEER, IPv4Address("192.0.2.13"))))
    effects = scene.run_to(1000)
    assert set(sources(effects)) == {None}
    assert set(places(effects)) == {("ClaimAddress", MAC), ("AnnounceAddress", MAC)}


@pytest.mark.parametrize(("before", "after", "mac"), [(PARAMS, VIRTUAL, MAC), (VIRTUAL, PARAMS, None)])
def test_another_mac_is_no_change_of_owner(before: RouterParams, after: RouterParams, mac: MacAddress | None) -> None:
    scene = Speaker(before)
    scene.run_to(1000)
    effects = scene.tell(ConfigureRouters((after,)))
    assert places(effects) == [("ClaimAddress", mac), ("AnnounceAddress", mac)]
    assert not [effect for effect in effects if isinstance(effect, ReleaseAddress)]
    assert scene.state() is RouterState.ACTIVE
    assert set(sources(scene.run_to(1200))) == {mac}


def test_who_stands_by_is_told_of_the_mac_and_claims_nothing() -> None:
    scene = Speaker(PARAMS)
    scene.hear(150)
    effects = scene.tell(ConfigureRouters((VIRTUAL,)))
    assert places(effects) == []
    assert ("eth0", str(VIP)) not in scene.addresses
