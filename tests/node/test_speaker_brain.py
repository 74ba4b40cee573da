"""The speaker's assembly: orders and interfaces in; packets, addresses, announcements and reports out."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

import pytest

from tests.node.speaker_scene import (
    ETH0,
    KEY,
    KEY_6,
    ORDER,
    OWN,
    OWN_6,
    PARAMS,
    PARAMS_6,
    PEER,
    PEER_6,
    VIP,
    VIP_6,
    Speaker,
    at,
    bodies,
    packet,
    sent,
    statuses,
)
from yaoki.core.address import Family
from yaoki.core.event import EventId
from yaoki.node.messages import (
    AdmitRouter,
    AnnounceAddress,
    AnnounceRouter,
    ClaimAddress,
    ConfigureRouters,
    Published,
    ReleaseAddress,
    ReleaseRouters,
    RouterState,
    SendAdvertisement,
    SetPriority,
)
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, Advertisement, decode
from yaoki.vrrp.events import (
    AddressLost,
    BecameActive,
    BecameBackup,
    ForeignRouterHeard,
    HandedOver,
    HandOverBegun,
    InterfaceCameUp,
    InterfaceWentDown,
    NobodyTookOver,
    PriorityChanged,
    Reason,
    RouterInitialized,
)
from yaoki.vrrp.params import Failback
from yaoki.vrrp.timing import leaving_limit

# --- starting, and the order of a takeover ----------------------------------------------------------------------------


def test_nothing_happens_without_an_interface() -> None:
    speaker = Speaker(PARAMS, interface=None)
    assert speaker.brain.deadline() is None
    assert speaker.state() is RouterState.INITIALIZE
    assert sent(speaker.said) == []


def test_interface_before_configuration_and_after_it_end_alike() -> None:
    first = Speaker(PARAMS)
    second = Speaker()
    second.tell(ConfigureRouters((PARAMS,)))
    assert first.state() is second.state() is RouterState.BACKUP
    assert first.brain.deadline() == second.brain.deadline()


@pytest.mark.rfc("9568", "6.4.2", "timer")
def test_takeover_claims_announces_advertises_and_reports_in_this_order() -> None:
    speaker = Speaker(PARAMS)
    effects = speaker.run_to(361)
    assert effects[:3] == [
        ClaimAddress("eth0", VIP),
        AnnounceAddress("eth0", VIP.ip),
        SendAdvertisement("eth0", Family.IPV4, OWN, GROUP_IPV4, packet(at(0), 100, source=OWN).payload),
    ]
    assert bodies(effects) == [BecameActive(KEY, "web-vip", Reason.NOBODY_HEARD, 100)]
    (status,) = statuses(effects)
    assert (status.state, status.reason) == (RouterState.ACTIVE, Reason.NOBODY_HEARD.value)
    assert status.because == EventId("lb1/speaker", 2)


@pytest.mark.rfc("9568", "5.1.2.1")
def test_ipv6_router_sends_from_the_link_local_address() -> None:
    speaker = Speaker(PARAMS_6)
    effects = speaker.run_to(361)
    advertisements = [effect for effect in effects if isinstance(effect, SendAdvertisement)]
    assert [(a.source, a.destination) for a in advertisements] == [(OWN_6, GROUP_IPV6)]


@pytest.mark.rfc("9568", "5.2.9")
def test_link_local_address_is_advertised_first() -> None:
    link_local = IPv6Interface("fe80::50/64")
    speaker = Speaker(replace(PARAMS_6, addresses=(VIP_6, link_local)))
    (send,) = [effect for effect in speaker.run_to(361) if isinstance(effect, SendAdvertisement)]
    advertisement = decode(send.payload, source=OWN_6, destination=GROUP_IPV6, hop_limit=255)
    assert isinstance(advertisement, Advertisement)
    assert advertisement.addresses == (link_local.ip, VIP_6.ip)


def test_routers_of_both_families_with_one_vrid_are_apart() -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    speaker.run_to(300)
    speaker.hear(150, source=PEER_6, key=KEY_6)
    speaker.run_to(400)
    assert (speaker.state(KEY), speaker.state(KEY_6)) == (RouterState.ACTIVE, RouterState.BACKUP)
    assert speaker.addresses == {("eth0", str(VIP))}


def test_configured_source_address_is_used() -> None:
    source = IPv4Address("192.0.2.99")
    speaker = Speaker(replace(PARAMS, source=source))
    effects = speaker.run_to(361)
    assert [effect.source for effect in effects if isinstance(effect, SendAdvertisement)] == [source]


def test_unchanged_advertisements_are_encoded_once() -> None:
    speaker = Speaker(PARAMS)
    advertisements = [effect for effect in speaker.run_to(2000) if isinstance(effect, SendAdvertisement)]
    assert len(advertisements) > 10
    assert all(advertisement is advertisements[0] for advertisement in advertisements)


# --- restart ----------------------------------------------------------------------------------------------------------


def test_restarted_speaker_that_still_holds_the_address_is_active_at_once() -> None:
    speaker = Speaker(PARAMS, interface=replace(ETH0, held=(VIP,)))
    assert speaker.state() is RouterState.ACTIVE
    assert BecameActive(KEY, "web-vip", Reason.ADDRESSES_HELD, 100) in bodies(speaker.said)
    assert sent(speaker.said) == [100]
    assert AnnounceAddress("eth0", VIP.ip) in speaker.said


def test_addresses_found_before_the_first_order_are_kept_until_it_comes() -> None:
    speaker = Speaker(interface=replace(ETH0, held=(VIP,)))
    assert speaker.said == []
    speaker.tell(ConfigureRouters((PARAMS,)))
    assert ReleaseAddress("eth0", VIP) not in speaker.said
    assert speaker.state() is RouterState.ACTIVE


def test_leftover_address_of_a_router_no_longer_configured_is_released() -> None:
    leftover = IPv4Interface("192.0.2.66/24")
    speaker = Speaker(PARAMS, interface=replace(ETH0, held=(leftover,)))
    assert ReleaseAddress("eth0", leftover) in speaker.said
    assert speaker.state() is RouterState.BACKUP


def test_held_address_on_an_interface_that_is_down_is_released() -> None:
    speaker = Speaker(PARAMS, interface=replace(ETH0, up=False, held=(VIP,)))
    assert speaker.addresses == set()
    assert statuses(speaker.said)[-1].reason == Reason.INTERFACE_DOWN.value


# --- reconfiguration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", [True, False])
def test_repeated_configuration_changes_nothing(owner: bool) -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    speaker.run_to(1000 if owner else 100)
    deadline = speaker.brain.deadline()
    assert speaker.tell(ConfigureRouters((PARAMS, PARAMS_6))) == []
    assert speaker.brain.deadline() == deadline


def test_changed_router_leaves_the_other_untouched() -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    speaker.run_to(1000)
    effects = speaker.tell(ConfigureRouters((replace(PARAMS, priority=120), PARAMS_6)))
    assert all(getattr(effect, "family", Family.IPV4) is Family.IPV4 for effect in effects)
    assert sent(effects) == [120]


def test_new_address_list_of_an_active_router_is_taken_without_leaving_active() -> None:
    more, less = IPv4Interface("192.0.2.51/24"), PARAMS.addresses[0]
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    effects = speaker.tell(ConfigureRouters((replace(PARAMS, addresses=(more,)),)))
    assert effects[:3] == [ReleaseAddress("eth0", less), ClaimAddress("eth0", more), AnnounceAddress("eth0", more.ip)]
    assert sent(effects) == [100]
    assert speaker.state() is RouterState.ACTIVE
    assert speaker.addresses == {("eth0", str(more))}


def test_removed_router_releases_and_is_forgotten() -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    speaker.run_to(1000)
    effects = speaker.tell(ConfigureRouters((PARAMS_6,), because=ORDER))
    assert sent(effects) == [0]
    assert speaker.addresses == {("eth0", str(VIP)), ("eth0", str(VIP_6))}
    (event,) = [effect.event for effect in effects if isinstance(effect, Published)]
    assert isinstance(event.body, HandOverBegun)
    assert (event.body.reason, event.because) == (Reason.REMOVED, ORDER)
    assert speaker.state(KEY) is RouterState.LEAVING
    assert isinstance(bodies(speaker.hear(90))[0], HandedOver)
    effects = speaker.run_to(1100)
    assert RouterInitialized(KEY, "web-vip", Reason.REMOVED) in bodies(effects)
    assert speaker.addresses == {("eth0", str(VIP_6))}
    assert [status.router for status in speaker.brain.statuses()] == [KEY_6]
    assert isinstance(bodies(speaker.hear(90))[0], ForeignRouterHeard)


def test_removed_router_that_is_wanted_again_before_it_has_left_stays_active() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    speaker.tell(ConfigureRouters(()))
    effects = speaker.tell(ConfigureRouters((PARAMS,)))
    assert (sent(effects), speaker.state()) == ([100], RouterState.ACTIVE)
    assert not [effect for effect in speaker.said if isinstance(effect, ReleaseAddress)]
    speaker.run_to(3000)
    assert speaker.addresses == {("eth0", str(VIP))}


def test_removed_router_whose_interface_goes_is_forgotten() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    speaker.tell(ConfigureRouters(()))
    speaker.tell(replace(ETH0, up=False))
    assert speaker.brain.statuses() == []
    assert speaker.addresses == set()


def test_address_of_a_router_that_leaves_is_put_back_when_somebody_takes_it_away() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    speaker.tell(ReleaseRouters())
    speaker.addresses.clear()
    speaker.tell(replace(ETH0, held=()))
    assert speaker.addresses == {("eth0", str(VIP))}


def test_address_that_moves_to_another_vrid_is_never_without_an_owner() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    effects = speaker.tell(ConfigureRouters((replace(PARAMS, key=replace(KEY, vrid=52)),)))
    assert ReleaseAddress("eth0", VIP) not in effects
    assert speaker.addresses == {("eth0", str(VIP))}
    assert speaker.state(replace(KEY, vrid=52)) is RouterState.ACTIVE


def test_priority_from_tracking_survives_a_change_of_something_else() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    speaker.tell(SetPriority(KEY, 40))
    effects = speaker.tell(ConfigureRouters((replace(PARAMS, failback=Failback.STICKY),)))
    assert sent(effects) == [40]
    assert sent(speaker.tell(ConfigureRouters((replace(PARAMS, priority=110),)))) == [110]


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.rfc("9568", "6.4.3", "shutdown")
def test_release_sends_priority_zero_and_ends_every_router() -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    speaker.run_to(1000)
    effects = speaker.tell(ReleaseRouters(ORDER))
    assert sent(effects) == [0, 0]
    assert {status.state for status in statuses(effects)} == {RouterState.LEAVING}
    assert speaker.tell(ConfigureRouters((PARAMS,))) == []
    assert speaker.tell(ReleaseRouters()) == []
    effects = speaker.hear(90)
    assert not speaker.brain.released
    # The one of IPv4 is relieved, that of IPv6 is not.
    effects = speaker.run_to(1041)
    assert (speaker.addresses, speaker.brain.released) == ({("eth0", str(VIP_6))}, False)
    effects = speaker.run_to(2000)
    assert NobodyTookOver(KEY_6, "web-vip", leaving_limit(version=3, interval=PARAMS_6.interval)) in bodies(effects)
    assert speaker.addresses == set()
    assert speaker.brain.released
    assert speaker.brain.deadline() is None
    assert {status.state for status in statuses(effects)} == {RouterState.INITIALIZE}
    assert speaker.tell(ConfigureRouters((PARAMS,))) == []
    assert speaker.tell(ETH0) == []


def test_release_removes_leftovers_even_without_configuration() -> None:
    speaker = Speaker(interface=replace(ETH0, held=(VIP,)))
    speaker.tell(ReleaseRouters())
    assert speaker.addresses == set()


def test_lower_priority_by_tracking_loses_to_the_peer_and_names_the_cause() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    effects = speaker.tell(SetPriority(KEY, 40, ORDER))
    assert sent(effects) == [40]
    (event,) = [effect.event for effect in effects if isinstance(effect, Published)]
    assert (event.body, event.because) == (PriorityChanged(KEY, "web-vip", 100, 40), ORDER)
    effects = [*speaker.hear(90), *speaker.run_to(1050)]
    (became,) = [effect.event for effect in effects if isinstance(effect, Published)]
    assert became.body == BecameBackup(KEY, "web-vip", Reason.HIGHER_PRIORITY, PEER, 90)
    assert became.because == event.id


def test_priority_of_an_address_owner_and_of_unknown_routers_is_left_alone() -> None:
    speaker = Speaker(replace(PARAMS, priority=255))
    assert speaker.tell(SetPriority(KEY, 40)) == []
    assert speaker.tell(SetPriority(KEY_6, 40)) == []
    assert speaker.tell(AdmitRouter(KEY_6)) == []


def test_router_held_out_owns_after_it_is_admitted() -> None:
    speaker = Speaker(replace(PARAMS, failback=Failback.MANUAL))
    speaker.hear(50)
    assert statuses(speaker.said)[-1].reason == Reason.HELD_OUT.value
    speaker.run_to(5000)
    assert speaker.state() is RouterState.BACKUP
    speaker.tell(AdmitRouter(KEY))
    speaker.run_to(5001)
    assert speaker.state() is RouterState.ACTIVE


@pytest.mark.req("B-09")
def test_an_owner_announces_again_when_it_is_told_to_and_others_do_not() -> None:
    speaker = Speaker(PARAMS)
    assert speaker.tell(AnnounceRouter(KEY)) == [], "on standby"
    assert speaker.tell(AnnounceRouter(KEY_6)) == [], "there is no such router"
    speaker.run_to(10_000)
    assert speaker.tell(AnnounceRouter(KEY)) == [AnnounceAddress("eth0", VIP.ip)]
    # Asked again within the reaction gap it waits for its end, and the schedule of a takeover follows.
    assert speaker.tell(AnnounceRouter(KEY)) == []
    assert AnnounceAddress("eth0", VIP.ip) in speaker.run_to(10_020)
    assert speaker.run_to(13_000).count(AnnounceAddress("eth0", VIP.ip)) >= 3


# --- interfaces -------------------------------------------------------------------------------------------------------


def test_interface_down_releases_and_up_begins_as_backup() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    down = speaker.tell(replace(ETH0, up=False, held=None))
    events = [effect.event for effect in down if isinstance(effect, Published)]
    assert [event.body for event in events] == [
        InterfaceWentDown("eth0"),
        RouterInitialized(KEY, "web-vip", Reason.INTERFACE_DOWN),
    ]
    assert events[1].because == events[0].id
    assert speaker.addresses == set()
    assert sent(down) == []
    up = speaker.tell(replace(ETH0, held=None))
    assert bodies(up) == [InterfaceCameUp("eth0"), BecameBackup(KEY, "web-vip", Reason.STARTED)]


def test_losing_the_source_address_ends_the_router() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    effects = speaker.tell(replace(ETH0, ipv4=None, held=None))
    assert bodies(effects) == [RouterInitialized(KEY, "web-vip", Reason.NO_SOURCE_ADDRESS)]
    assert speaker.addresses == set()


def test_new_source_address_is_used_at_once() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    other = IPv4Address("192.0.2.13")
    effects = speaker.tell(replace(ETH0, ipv4=other, held=None))
    assert [effect.source for effect in effects if isinstance(effect, SendAdvertisement)] == [other]
    assert speaker.state() is RouterState.ACTIVE


@pytest.mark.req("B-07")
def test_flap_too_short_to_be_seen_makes_an_active_router_announce() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(30_000)
    assert AnnounceAddress("eth0", VIP.ip) in speaker.tell(replace(ETH0, held=None, carrier_changes=2))
    assert speaker.tell(replace(ETH0, held=None, carrier_changes=2)) == []


def test_address_that_somebody_took_away_is_put_back() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    effects = speaker.tell(replace(ETH0, held=()))
    assert effects[:2] == [ClaimAddress("eth0", VIP), AnnounceAddress("eth0", VIP.ip)]
    assert bodies(effects) == [AddressLost(KEY, "web-vip", (VIP.ip,))]


def test_owner_of_the_addresses_does_not_expect_them_marked() -> None:
    speaker = Speaker(replace(PARAMS, priority=255))
    assert speaker.tell(ETH0) == []
