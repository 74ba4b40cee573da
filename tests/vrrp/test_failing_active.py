"""A Backup that would let a lower owner keep retakes from one that fails, if itself it is healthier."""

from dataclasses import replace

import pytest

from tests.vrrp.test_virtual_router import BACKUP, INTERVAL, NOW, PARAMS, bodies, down, heard
from yaoki.core.machine import TimerFired
from yaoki.vrrp.events import BecameActive, HeldOut, Reason
from yaoki.vrrp.params import Failback
from yaoki.vrrp.router_state import Active, Backup
from yaoki.vrrp.virtual_router import step

STICKY = replace(PARAMS, failback=Failback.STICKY)
MANUAL = replace(PARAMS, failback=Failback.MANUAL)

# Our priority and how much of it is lost, the owner's priority now and at its best, whether we let the timer run out.
TABLE = [
    (100, 0, 80, 80, False),
    (100, 0, 80, 0, False),
    (100, 0, 80, 90, True),
    (100, 0, 80, 81, True),
    (100, 0, 150, 200, False),
    (100, 0, 100, 200, False),
    (100, 60, 80, 140, False),
    (100, 60, 80, 141, True),
    (100, 60, 80, 90, False),
    (100, 0, 1, 1, True),
    (100, 60, 1, 0, True),
    (1, 0, 1, 200, False),
]


@pytest.mark.req("N-13")
@pytest.mark.parametrize(("priority", "lowered", "theirs", "peak", "retakes"), TABLE)
def test_of_two_that_lost_priority_the_one_that_lost_less_owns(
    priority: int, lowered: int, theirs: int, peak: int, retakes: bool
) -> None:
    ours = replace(STICKY, priority=priority, lowered=lowered)
    state, _ = step(ours, BACKUP, NOW, replace(heard(theirs), peak=peak))
    assert isinstance(state, Backup)
    assert (state.active_down_at == BACKUP.active_down_at) is retakes
    assert (state.outlook is Reason.ACTIVE_FAILING) is retakes
    if not retakes:
        assert state.active_down_at == NOW + down(priority)


def test_the_takeover_names_its_reason() -> None:
    state, _ = step(STICKY, BACKUP, NOW, replace(heard(40), peak=90))
    after, effects = step(STICKY, state, BACKUP.active_down_at, TimerFired())
    assert isinstance(after, Active)
    assert [body.reason for body in bodies(effects) if isinstance(body, BecameActive)] == [Reason.ACTIVE_FAILING]


def test_an_owner_that_recovers_in_time_keeps() -> None:
    state, _ = step(STICKY, BACKUP, NOW, replace(heard(40), peak=90))
    state, _ = step(STICKY, state, NOW, replace(heard(90), peak=90))
    assert isinstance(state, Backup)
    assert (state.active_down_at, state.outlook) == (NOW + 3 * INTERVAL + INTERVAL * 156 / 256, Reason.ACTIVE_SILENT)


@pytest.mark.parametrize("state", [replace(BACKUP, held_out=True), replace(BACKUP, joining=True)], ids=["held", "new"])
def test_a_router_that_waits_to_be_admitted_waits_on(state: Backup) -> None:
    after, effects = step(MANUAL, state, NOW, replace(heard(40), peak=90))
    assert isinstance(after, Backup)
    assert after.held_out
    assert [type(body) for body in bodies(effects)] == ([] if state.held_out else [HeldOut])
