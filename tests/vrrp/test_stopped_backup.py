"""A Backup that was stopped (SIGSTOP, a suspended machine) finds its timer long past: the silence may be its own."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface

import pytest

from yaoki.core.address import Family
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.events import Reason
from yaoki.vrrp.params import Failback, RouterKey, RouterParams
from yaoki.vrrp.router_state import Active, Backup, ClaimAddresses, Heard
from yaoki.vrrp.virtual_router import step

INTERVAL = timedelta(milliseconds=100)
VIP = IPv4Interface("192.0.2.50/24")
PEER = IPv4Address("192.0.2.12")
PARAMS = RouterParams(
    "web-vip",
    RouterKey("eth0", Family.IPV4, 51),
    200,
    INTERVAL,
    (VIP,),
    failback=Failback.STICKY,
    source=IPv4Address("192.0.2.11"),
)
SKEW = INTERVAL * 56 / 256
DUE = Instant(1_000_000)
BACKUP = Backup(DUE, INTERVAL, Reason.ACTIVE_SILENT)
MICROSECOND = timedelta(microseconds=1)


def test_a_timer_that_fires_less_than_an_interval_late_takes_over() -> None:
    state, _ = step(PARAMS, BACKUP, DUE + INTERVAL - MICROSECOND, TimerFired())
    assert isinstance(state, Active)


def test_a_timer_that_fires_an_interval_late_waits_for_one_more_advertisement() -> None:
    now = DUE + INTERVAL
    state, effects = step(PARAMS, BACKUP, now, TimerFired())
    assert state == Backup(now + INTERVAL + SKEW, INTERVAL, Reason.ACTIVE_SILENT, roused=True)
    assert effects == []


def test_the_owner_that_is_heard_then_keeps_its_addresses() -> None:
    now = DUE + timedelta(seconds=40)
    roused, _ = step(PARAMS, BACKUP, now, TimerFired())
    advertisement = Advertisement(3, 51, 100, INTERVAL, (VIP.ip,))
    heard_at = now + INTERVAL
    state, effects = step(PARAMS, roused, heard_at, Heard(advertisement, PEER, heard_at))
    assert state == Backup(
        heard_at + 3 * INTERVAL + SKEW, INTERVAL, Reason.ACTIVE_SILENT, followed=PEER, active_priority=100
    )
    assert effects == []


def test_it_takes_over_the_second_time_however_late_that_is() -> None:
    roused, _ = step(PARAMS, BACKUP, DUE + timedelta(seconds=40), TimerFired())
    assert isinstance(roused, Backup)
    state, _ = step(PARAMS, roused, roused.active_down_at + timedelta(seconds=40), TimerFired())
    assert isinstance(state, Active)


@pytest.mark.parametrize("priority", [0, 100, 250])
def test_what_is_read_late_is_followed_by_one_more_advertisement(priority: int) -> None:
    # The buffer had been full for less than the timer lasts, so that it has run out for less than an interval.
    arrived = DUE
    now = arrived + 3 * INTERVAL + SKEW + INTERVAL / 2
    state, effects = step(
        PARAMS, BACKUP, now, Heard(Advertisement(3, 51, priority, INTERVAL, (VIP.ip,)), PEER, arrived)
    )
    assert isinstance(state, Backup)
    assert state.active_down_at == now + INTERVAL + SKEW
    assert not any(isinstance(effect, ClaimAddresses) for effect in effects)


def test_what_is_read_less_than_two_intervals_late_counts_from_when_it_arrived() -> None:
    for late in (timedelta(0), INTERVAL, 2 * INTERVAL):
        heard = Heard(Advertisement(3, 51, 100, INTERVAL, (VIP.ip,)), PEER, DUE)
        state, _ = step(PARAMS, BACKUP, DUE + late, heard)
        assert isinstance(state, Backup)
        assert state.active_down_at == DUE + 3 * INTERVAL + SKEW
