"""A stateful VIP at the speaker: what it says of itself, to whom, and what a new life of it may go on with."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.speaker_scene import ETH0, KEY, KEY_6, ORDER, PARAMS, PEER, VIP, Speaker, statuses
from tests.node.test_speaker_leases import BOTH, valid
from tests.node.test_speaker_leases import speaker as leased
from yaoki.core.event import EventBody
from yaoki.node.messages import (
    AdmitRouter,
    ArmedAddress,
    ConfigureRouters,
    GateFound,
    Published,
    RouterState,
    SetPriority,
    SpeakerEffect,
)
from yaoki.vrrp.events import Admitted, BecameActive, BecameBackup, NobodyOwns, Quarantined, Reason
from yaoki.vrrp.params import Failback, Quarantine, RouterKey

pytestmark = pytest.mark.req("N-13")

STATEFUL = replace(PARAMS, failback=Failback.MANUAL, quarantine=Quarantine.WAIT)


def told(effects: list[SpeakerEffect]) -> list[EventBody]:
    return [effect.event.body for effect in effects if isinstance(effect, Published)]


def test_a_new_speaker_is_in_quarantine_says_so_and_owns_when_it_is_admitted() -> None:
    speaker = Speaker(STATEFUL)
    assert told(speaker.said)[-2:] == [BecameBackup(KEY, "web-vip", Reason.STARTED), Quarantined(KEY, "web-vip")]
    assert statuses(speaker.said)[-1].reason == Reason.QUARANTINED.value
    assert told(speaker.run_to(10_000)) == [NobodyOwns(KEY, "web-vip")]
    effects = speaker.tell(AdmitRouter(KEY, ORDER))
    (event,) = [effect.event for effect in effects if isinstance(effect, Published)]
    assert (event.body, event.because) == (Admitted(KEY, "web-vip"), ORDER)
    assert statuses(effects)[-1].reason == Reason.ADMITTED.value
    assert BecameActive(KEY, "web-vip", Reason.NOBODY_HEARD, 100) in told(speaker.run_to(10_001))


def test_quarantine_is_told_before_what_is_tracked() -> None:
    speaker = Speaker(STATEFUL)
    speaker.tell(SetPriority(KEY, 100, barred=True))
    assert speaker.brain.statuses()[0].reason == Reason.QUARANTINED.value
    speaker.tell(AdmitRouter(KEY))
    assert speaker.brain.statuses()[0].reason == Reason.BARRED.value


def test_an_owner_that_lost_its_link_is_in_quarantine_when_it_is_back_and_a_standby_is_not() -> None:
    speaker = Speaker(STATEFUL)
    speaker.tell(AdmitRouter(KEY))
    speaker.hear(50)
    for reason, owned in ((Reason.STARTED, False), (Reason.QUARANTINED, True)):
        if owned:
            speaker.run_to(1_000)
            assert speaker.state() is RouterState.ACTIVE
        speaker.tell(replace(ETH0, up=False))
        speaker.tell(ETH0)
        assert speaker.state() is RouterState.BACKUP
        assert speaker.brain.statuses()[0].reason == reason.value


@pytest.mark.parametrize(
    ("open_for", "state"), [(timedelta(milliseconds=90), RouterState.ACTIVE), (timedelta(0), RouterState.BACKUP)]
)
def test_a_new_life_goes_on_with_what_still_answers_and_with_nothing_that_was_silenced(
    open_for: timedelta, state: RouterState
) -> None:
    speaker = Speaker(interface=None)
    speaker.tell(GateFound((ArmedAddress(VIP.ip, open_for),)))
    speaker.tell(ConfigureRouters((STATEFUL,)))
    speaker.tell(replace(ETH0, held=(VIP,)))
    assert speaker.state() is state
    assert (Quarantined(KEY, "web-vip") in told(speaker.said)) is (state is RouterState.BACKUP)


def test_a_new_file_that_makes_it_stateful_takes_nothing_away() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1_000)
    speaker.tell(ConfigureRouters((STATEFUL,)))
    speaker.run_to(2_000)
    assert speaker.state() is RouterState.ACTIVE


def test_a_new_file_in_which_it_is_not_stateful_ends_it() -> None:
    speaker = Speaker(STATEFUL)
    speaker.tell(ConfigureRouters((PARAMS,)))
    speaker.run_to(1_000)
    assert speaker.state() is RouterState.ACTIVE


def test_why_it_is_in_quarantine_leads_back_to_how_it_lost_the_vip() -> None:
    speaker = Speaker(STATEFUL)
    speaker.tell(AdmitRouter(KEY))
    speaker.run_to(1_000)
    speaker.hear(200)
    events = [effect.event for effect in speaker.run_to(1_200) if isinstance(effect, Published)]
    became, quarantined = events[-2:]
    assert became.body == BecameBackup(KEY, "web-vip", Reason.HIGHER_PRIORITY, PEER, 200)
    assert (quarantined.body, quarantined.because) == (Quarantined(KEY, "web-vip"), became.id)


@pytest.mark.parametrize("admitted", [KEY, KEY_6])
def test_what_shares_a_lease_is_admitted_together(admitted: RouterKey) -> None:
    # The order to admit the other family came just before it went into quarantine, and was for nothing.
    made = leased(*(replace(each, failback=Failback.MANUAL, quarantine=Quarantine.WAIT) for each in BOTH))
    assert {status.reason for status in made.brain.statuses()} == {Reason.QUARANTINED.value}
    made.tell(AdmitRouter(admitted))
    assert {status.reason for status in made.brain.statuses()} == {Reason.ADMITTED.value}
    made.tell(valid(1_500))
    assert [made.state(KEY), made.state(KEY_6)] == [RouterState.ACTIVE] * 2
