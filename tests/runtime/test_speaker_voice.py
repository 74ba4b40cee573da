"""Which advertisements are still sent once the gates of their routers have been refreshed."""

import time
from datetime import timedelta
from ipaddress import ip_address

import pytest

from yaoki.core.address import Family
from yaoki.node.messages import SendAdvertisement
from yaoki.runtime.select_loop import monotonic_now
from yaoki.runtime.speaker_voice import SpeakerVoice
from yaoki.vrrp.params import RouterKey

pytestmark = [pytest.mark.req("B-19")]

LIMIT = timedelta(milliseconds=50)
FIRST, SECOND = RouterKey("eth0", Family.IPV4, 51), RouterKey("eth0", Family.IPV4, 52)


def advertisement(router: RouterKey) -> SendAdvertisement:
    source, group = ip_address("192.0.2.11"), ip_address("224.0.0.18")
    return SendAdvertisement(router.interface, router.family, source, group, bytes([0x31, router.vrid]))


def voice() -> SpeakerVoice:
    """To which something is decided now."""
    voice = SpeakerVoice()
    voice.decided(monotonic_now())
    return voice


def test_what_is_sent_in_time_is_sent() -> None:
    speaking = voice()
    speaking.refresh(FIRST, timedelta(minutes=1))
    assert speaking.may_send(advertisement(FIRST))


def test_a_router_that_the_gate_refused_is_kept_back_at_once_and_no_other() -> None:
    speaking = voice()
    speaking.refresh(FIRST, timedelta(minutes=1))
    speaking.refused(FIRST)
    assert not speaking.may_send(advertisement(FIRST))
    assert speaking.may_send(advertisement(SECOND))


def test_what_was_decided_longer_ago_than_the_gate_stays_open_is_kept_back() -> None:
    speaking = voice()
    time.sleep(2 * LIMIT.total_seconds())
    # However late the gate was refreshed: its router counts from the decision, and finds that it has overslept.
    speaking.refresh(FIRST, LIMIT)
    assert not speaking.may_send(advertisement(FIRST))
    # Its gate is not armed.
    assert speaking.may_send(advertisement(SECOND))


def test_what_is_decided_next_is_looked_at_anew() -> None:
    speaking = voice()
    speaking.refused(FIRST)
    speaking.decided(monotonic_now())
    assert speaking.may_send(advertisement(FIRST))
