"""Which advertisements are still sent, and when the gates of their routers are refreshed."""

import time
from datetime import timedelta
from ipaddress import ip_address

import pytest

from yaoki.core.address import Family
from yaoki.node.messages import RefreshGate, SendAdvertisement
from yaoki.runtime.select_loop import monotonic_now
from yaoki.runtime.speaker_voice import SpeakerVoice
from yaoki.vrrp.params import RouterKey

pytestmark = [pytest.mark.req("B-19")]

LONG, SHORT = timedelta(minutes=1), timedelta(milliseconds=50)
FIRST, SECOND = RouterKey("eth0", Family.IPV4, 51), RouterKey("eth0", Family.IPV4, 52)
VIP, OTHER = ip_address("192.0.2.50"), ip_address("192.0.2.60")


def advertisement(router: RouterKey) -> SendAdvertisement:
    source, group = ip_address("192.0.2.11"), ip_address("224.0.0.18")
    return SendAdvertisement(router.interface, router.family, source, group, bytes([0x31, router.vrid]))


def refresh(router: RouterKey = FIRST, limit: timedelta = LONG) -> RefreshGate:
    return RefreshGate(router, (VIP,), limit)


def voice() -> SpeakerVoice:
    """To which something is decided now."""
    voice = SpeakerVoice()
    voice.decided(monotonic_now())
    return voice


def decided(speaking: SpeakerVoice, refreshing: RefreshGate) -> bool:
    """Whether what is decided now is said; the gate is refreshed."""
    speaking.decided(monotonic_now())
    speaking.hold_back(refreshing)
    said = speaking.may_send(advertisement(refreshing.router))
    for each in speaking.due():
        speaking.refreshed(each)
    return said


def test_what_is_sent_in_time_is_sent_and_then_its_gate_is_due_once() -> None:
    speaking = voice()
    speaking.hold_back(refresh())
    assert speaking.may_send(advertisement(FIRST))
    assert speaking.due() == (refresh(),)
    assert speaking.due() == ()


def test_who_is_late_for_his_own_gate_is_kept_back_and_no_other() -> None:
    speaking = voice()
    assert decided(speaking, refresh(limit=SHORT))
    time.sleep(2 * SHORT.total_seconds())
    speaking.decided(monotonic_now())
    speaking.hold_back(refresh())
    assert not speaking.may_send(advertisement(FIRST))
    assert speaking.may_send(advertisement(SECOND))


def test_what_was_decided_longer_ago_than_the_gate_stays_open_is_kept_back() -> None:
    speaking = voice()
    speaking.hold_back(refresh(limit=SHORT))
    time.sleep(2 * SHORT.total_seconds())
    assert not speaking.may_send(advertisement(FIRST))


def test_a_gate_that_is_armed_or_disarmed_meanwhile_keeps_nobody_back() -> None:
    for changed, said in ((OTHER, False), (VIP, True)):
        speaking = voice()
        assert decided(speaking, refresh(limit=SHORT))
        time.sleep(2 * SHORT.total_seconds())
        speaking.changed([changed])
        assert decided(speaking, refresh()) is said


def test_a_router_whose_gate_is_not_armed_is_never_kept_back() -> None:
    speaking = voice()
    assert decided(speaking, refresh(limit=SHORT))
    time.sleep(2 * SHORT.total_seconds())
    assert speaking.may_send(advertisement(FIRST))
