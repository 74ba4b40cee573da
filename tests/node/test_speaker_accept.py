"""Accept_Mode off: what is refused, and in which order with claiming and releasing."""

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from tests.node.speaker_scene import PARAMS, PARAMS_6, VIP, VIP_6, Speaker
from yaoki.node.messages import (
    ClaimAddress,
    ConfigureRouters,
    RefuseDelivery,
    ReleaseAddress,
    ReleaseRouters,
    SpeakerEffect,
)
from yaoki.vrrp.params import RouterParams

DEAF, DEAF_6 = replace(PARAMS, accept=False, others=()), replace(PARAMS_6, accept=False, others=())
MORE = IPv4Interface("192.0.2.51/24")


def refused(effects: list[SpeakerEffect]) -> list[tuple[str, ...]]:
    return [tuple(map(str, effect.addresses)) for effect in effects if isinstance(effect, RefuseDelivery)]


def order(effects: list[SpeakerEffect]) -> list[type[SpeakerEffect]]:
    return [type(e) for e in effects if isinstance(e, RefuseDelivery | ClaimAddress | ReleaseAddress)]


@pytest.mark.rfc("9568", "6.1")
def test_addresses_are_refused_as_soon_as_they_are_configured() -> None:
    scene = Speaker(DEAF, DEAF_6)
    assert refused(scene.said) == [(str(VIP.ip), str(VIP_6.ip))]
    assert order(scene.run_to(1000)) == [ClaimAddress, ClaimAddress]


def test_an_address_that_a_router_owns_at_once_is_refused_before_it_is_claimed() -> None:
    scene = Speaker(DEAF)
    scene.run_to(1000)
    effects = scene.tell(ConfigureRouters((replace(DEAF, addresses=(VIP, MORE)),)))
    assert order(effects) == [RefuseDelivery, ClaimAddress]
    assert refused(effects) == [(str(VIP.ip), str(MORE.ip))]
    effects = scene.tell(ConfigureRouters((DEAF,)))
    assert order(effects) == [ReleaseAddress, RefuseDelivery]
    assert refused(effects) == [(str(VIP.ip),)]


def test_what_is_given_up_for_good_is_refused_until_it_is_released() -> None:
    scene = Speaker(DEAF, DEAF_6)
    scene.run_to(1000)
    effects = scene.tell(ReleaseRouters())
    assert order(effects) == [ReleaseAddress, ReleaseAddress, RefuseDelivery]
    assert refused(effects) == [()]


def test_a_vip_that_accepts_again_is_not_refused_any_more() -> None:
    scene = Speaker(DEAF, DEAF_6)
    assert refused(scene.tell(ConfigureRouters((replace(DEAF, accept=True), DEAF_6)))) == [(str(VIP_6.ip),)]
    assert refused(scene.tell(ConfigureRouters((replace(DEAF, accept=True), DEAF_6)))) == [], "it is no news"


@pytest.mark.rfc("9568", "6.1")
@pytest.mark.parametrize("router", [PARAMS, replace(DEAF, priority=255)], ids=["accepts", "owns the addresses"])
def test_who_accepts_or_has_the_addresses_as_its_own_refuses_nothing(router: RouterParams) -> None:
    scene = Speaker(router)
    scene.run_to(1000)
    assert refused(scene.said) == []
