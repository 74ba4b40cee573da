"""A router that may not own, for a track without a weight has failed: it stays out, or keeps until somebody better."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.vrrp.test_virtual_router import ACTIVE, BACKUP, EXPIRED, NOW, PARAMS, at, bodies, deeds, heard
from yaoki.core.machine import TimerFired
from yaoki.vrrp.events import Barred, BecameBackup, NoBetterOwner, NobodyOwns, Reason, Unbarred
from yaoki.vrrp.params import Failback
from yaoki.vrrp.router_state import Active, Backup, Initialize, Reconfigure, Startup
from yaoki.vrrp.timing import HOLD
from yaoki.vrrp.virtual_router import step

BARRED = replace(PARAMS, priority=1, barred=True)
GREATER = IPv4Address("192.0.2.12")


@pytest.mark.req("B-24")
def test_a_backup_lets_its_timer_pass_and_says_once_that_nobody_owns() -> None:
    state, effects = step(BARRED, EXPIRED, NOW, TimerFired())
    assert isinstance(state, Backup)
    assert state.alone
    assert (deeds(effects), [type(body) for body in bodies(effects)]) == ([], [NobodyOwns])
    again, effects = step(BARRED, replace(state, active_down_at=NOW), NOW, TimerFired())
    assert (again, effects) == (state, [])


def test_a_backup_alone_takes_over_as_soon_as_it_may() -> None:
    alone = replace(BACKUP, alone=True)
    state, effects = step(BARRED, alone, NOW, Reconfigure(PARAMS))
    assert isinstance(state, Backup)
    assert (state.active_down_at, state.alone) == (NOW, False)
    assert bodies(effects) == [Unbarred(PARAMS.key, PARAMS.vip, PARAMS.priority)]
    assert isinstance(step(PARAMS, state, NOW, TimerFired())[0], Active)


def test_a_backup_that_hears_an_owner_waits_its_turn_when_it_may_own_again() -> None:
    state, _ = step(BARRED, replace(BACKUP, active_down_at=at(10_399)), NOW, Reconfigure(PARAMS))
    assert isinstance(state, Backup)
    assert state.active_down_at > NOW


def test_a_held_out_backup_stays_out_whatever_it_tracks() -> None:
    manual = replace(BARRED, failback=Failback.MANUAL)
    alone = replace(BACKUP, alone=True, held_out=True)
    state, _ = step(manual, alone, NOW, Reconfigure(replace(PARAMS, failback=Failback.MANUAL)))
    assert isinstance(state, Backup)
    assert (state.held_out, state.alone) == (True, True)


def test_an_owner_keeps_the_addresses_and_says_so() -> None:
    state, effects = step(PARAMS, ACTIVE, NOW, Reconfigure(BARRED))
    assert isinstance(state, Active)
    assert [type(effect).__name__ for effect in deeds(effects)] == ["Advertise"]
    assert bodies(effects) == [Barred(PARAMS.key, PARAMS.vip), NoBetterOwner(PARAMS.key, PARAMS.vip)]
    still, effects = step(BARRED, state, state.advertise_at, TimerFired())
    assert isinstance(still, Active)


def test_an_owner_leaves_to_the_least_router_that_is_well() -> None:
    state, _ = step(BARRED, ACTIVE, NOW, heard(2))
    state, effects = step(BARRED, state, NOW + HOLD, TimerFired())
    assert isinstance(state, Backup)
    assert [body.reason for body in bodies(effects) if isinstance(body, BecameBackup)] == [Reason.HIGHER_PRIORITY]


@pytest.mark.req("Z-04")
def test_of_two_that_may_not_own_the_owner_stays() -> None:
    state, effects = step(BARRED, BACKUP, NOW, heard(1))
    assert isinstance(state, Backup)
    assert state.active_down_at > NOW + 3 * PARAMS.interval
    assert deeds(effects) == []


def test_addresses_found_at_a_start_are_kept() -> None:
    assert isinstance(step(BARRED, Initialize(), NOW, Startup(held=True))[0], Active)
