"""Make before break: a virtual router keeps its addresses until the next owner was heard, and a moment longer."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Interface

import pytest

from tests.vrrp.test_virtual_router import (
    ACTIVE,
    BACKUP,
    GREATER,
    HUSH,
    INTERVAL,
    KEY,
    LEAVING,
    LESSER,
    NOW,
    PARAMS,
    RELEASE,
    YIELDING,
    at,
    bodies,
    deeds,
    down,
    heard,
)
from yaoki.core.event import Emit
from yaoki.core.machine import TimerFired
from yaoki.vrrp.events import (
    BecameActive,
    BecameBackup,
    HandedOver,
    HandOverBegun,
    NobodyTookOver,
    PeerReleased,
    Reason,
    RouterInitialized,
)
from yaoki.vrrp.params import Failback, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    ActiveGone,
    Advertise,
    Backup,
    Effect,
    Initialize,
    Leaving,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    StepAside,
    Yielding,
)
from yaoki.vrrp.timing import HOLD, LONGEST_LEAVING, leaving_limit
from yaoki.vrrp.virtual_router import VirtualRouter, step

MS = timedelta(milliseconds=1)
MORE = IPv4Interface("192.0.2.51/24")


# --- stop -------------------------------------------------------------------------------------------------------------


@pytest.mark.rfc("9568", "6.4.3", "shutdown")
@pytest.mark.req("B-05")
def test_a_stop_says_priority_zero_and_keeps_the_addresses() -> None:
    state, effects = step(PARAMS, ACTIVE, NOW, Shutdown())
    limit = leaving_limit(version=3, interval=INTERVAL)
    assert state == Leaving(Reason.STOPPED, NOW, NOW + INTERVAL, NOW + limit)
    assert effects == [Advertise(0), Emit(HandOverBegun(KEY, "web-vip", Reason.STOPPED, limit))]


@pytest.mark.req("B-05")
def test_the_last_word_of_the_owner_before_is_no_successor() -> None:
    """Told to go just after it had relieved another that leaves, it hears that one's last advertisement."""
    owner = replace(ACTIVE, since=NOW - HOLD / 4)
    state, _ = step(PARAMS, owner, NOW, Shutdown())
    assert step(PARAMS, state, NOW, heard(1, when=NOW)) == (state, [])
    assert isinstance(step(PARAMS, state, NOW, heard(2, when=NOW))[0], Yielding)
    later = owner.since + HOLD
    assert isinstance(step(PARAMS, state, later, heard(1, when=later))[0], Yielding)


@pytest.mark.req("B-05")
def test_the_successor_is_heard_and_the_addresses_go_a_hold_after_that() -> None:
    router = VirtualRouter(PARAMS)
    router.state = LEAVING
    handed_over = HandedOver(KEY, "web-vip", GREATER, 50, 50 * MS)
    assert router.handle(NOW, heard(50, when=at(9998))) == [HUSH, Emit(handed_over), Advertise(1)]
    end = at(9998) + HOLD
    assert router.handle(end - MS, TimerFired()) == []
    assert router.handle(end, TimerFired()) == [RELEASE, Emit(RouterInitialized(KEY, "web-vip", Reason.STOPPED))]
    assert router.deadline() is None


def test_who_owned_beyond_a_cut_is_made_to_announce_again_but_never_to_give_way() -> None:
    """A router that is told to leave meets the other owner when the cut is whole: the neighbours here know only us."""
    router = VirtualRouter(PARAMS)
    router.state = LEAVING
    assert router.handle(NOW, heard(2))[-1] == Advertise(1)
    router.state = LEAVING
    # One that may not own would give way to an equal of greater address; it is told as those that wait are.
    assert router.handle(NOW, heard(1))[-1] == Advertise(0)


def test_the_hold_outlasts_keepalived_and_two_owners_are_never_there_for_50_ms() -> None:
    assert 30 * MS <= HOLD < 50 * MS


def test_priority_zero_is_said_again_each_interval_and_at_the_very_end() -> None:
    router = VirtualRouter(PARAMS)
    router.state = ACTIVE
    effects = [(NOW, effect) for effect in router.handle(NOW, Shutdown())]
    while (deadline := router.deadline()) is not None:
        effects += [(deadline.at, effect) for effect in router.handle(deadline.at, TimerFired())]
    limit = leaving_limit(version=3, interval=INTERVAL)
    told = [(now - NOW) / MS for now, effect in effects if effect == Advertise(0)]
    assert told == [0, 100, 200, 300, 400, limit / MS]
    assert [type(effect) for now, effect in effects if now == NOW + limit] == [Emit, Advertise, ReleaseAddresses, Emit]
    assert bodies([effect for _, effect in effects])[1:] == [
        NobodyTookOver(KEY, "web-vip", limit),
        RouterInitialized(KEY, "web-vip", Reason.STOPPED),
    ]


@pytest.mark.parametrize(
    ("version", "interval_ms", "limit_ms"),
    [(3, 10, 139.961), (3, 100, 499.609), (3, 1000, 4096.094), (2, 1000, 4096.094), (3, 40_950, 15_000)],
)
def test_limit_is_what_a_backup_that_lost_every_advertisement_waits(
    version: int, interval_ms: int, limit_ms: float
) -> None:
    limit = leaving_limit(version=version, interval=interval_ms * MS)
    assert limit / MS == pytest.approx(limit_ms, abs=0.001)
    assert limit <= LONGEST_LEAVING


def test_a_stop_while_giving_way_ends_with_the_hold_that_was_begun() -> None:
    state, effects = step(PARAMS, YIELDING, NOW, Shutdown())
    assert effects == []
    state, effects = step(PARAMS, state, YIELDING.release_at, TimerFired())
    assert (state, deeds(effects)) == (Initialize(Reason.STOPPED), [RELEASE])


def test_a_router_wanted_again_while_it_leaves_stays_active() -> None:
    state, effects = step(PARAMS, LEAVING, NOW, Startup(held=True))
    assert isinstance(state, Active)
    assert bodies(effects) == [BecameActive(KEY, "web-vip", Reason.ADDRESSES_HELD, 100)]


def test_a_router_wanted_again_in_its_hold_stands_by() -> None:
    going = replace(YIELDING, then=Initialize(Reason.REMOVED), reason=Reason.REMOVED)
    state, _ = step(PARAMS, going, NOW, Startup())
    state, effects = step(PARAMS, state, going.release_at, TimerFired())
    assert state == Backup(NOW + down(), INTERVAL, Reason.ACTIVE_SILENT, followed=GREATER, active_priority=200)
    assert bodies(effects) == [BecameBackup(KEY, "web-vip", Reason.STARTED, GREATER, 200)]


@pytest.mark.parametrize("state", [LEAVING, YIELDING, replace(YIELDING, then=Initialize())])
def test_addresses_taken_out_of_the_file_go_at_once_and_new_ones_are_for_the_next_owner(
    state: Leaving | Yielding,
) -> None:
    params = replace(PARAMS, addresses=(*PARAMS.addresses, MORE))
    assert step(params, state, NOW, Reconfigure(PARAMS))[1] == [ReleaseAddresses((MORE,))]
    assert step(PARAMS, state, NOW, Reconfigure(params))[1] == []


# --- a move -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-05")
def test_a_moved_router_stands_by_once_the_next_owner_was_heard() -> None:
    state, _ = step(PARAMS, ACTIVE, NOW, StepAside())
    assert isinstance(state, Leaving)
    assert state.stays
    state, _ = step(PARAMS, state, NOW, heard(50))
    state, effects = step(PARAMS, state, NOW + HOLD, TimerFired())
    assert state == Backup(NOW + down(), INTERVAL, Reason.ACTIVE_SILENT, followed=GREATER, active_priority=50)
    assert effects == [RELEASE, Emit(BecameBackup(KEY, "web-vip", Reason.MOVED, GREATER, 50))]


def test_a_moved_router_that_nobody_relieves_goes_on() -> None:
    router = VirtualRouter(PARAMS)
    router.state = ACTIVE
    effects = router.handle(NOW, StepAside())
    while not isinstance(router.state, Active):
        deadline = router.deadline()
        assert deadline is not None
        effects += router.handle(deadline.at, TimerFired())
    assert RELEASE not in effects
    limit = leaving_limit(version=3, interval=INTERVAL)
    assert bodies(effects)[1:] == [
        NobodyTookOver(KEY, "web-vip", limit),
        BecameActive(KEY, "web-vip", Reason.NOBODY_TOOK_OVER, 100),
    ]


def test_the_only_member_steps_aside_for_nobody() -> None:
    assert step(replace(PARAMS, others=()), ACTIVE, NOW, StepAside()) == (ACTIVE, [])


# --- giving way -------------------------------------------------------------------------------------------------------


def test_a_winner_that_leaves_within_the_hold_has_not_cost_an_owner() -> None:
    state, effects = step(PARAMS, YIELDING, NOW, heard(0))
    assert isinstance(state, Active)
    assert RELEASE not in effects


def test_what_is_heard_within_the_hold_counts_for_the_down_timer() -> None:
    state, _ = step(PARAMS, YIELDING, NOW, heard(200))
    state, _ = step(PARAMS, state, YIELDING.release_at, TimerFired())
    assert isinstance(state, Backup)
    assert state.active_down_at == NOW + down()


# --- the successor ----------------------------------------------------------------------------------------------------

SKEW = INTERVAL * 156 / 256


@pytest.mark.rfc("9568", "6.4.2", "priority zero")
@pytest.mark.req("B-05")
@pytest.mark.parametrize(
    ("others", "active_priority", "skew"),
    [
        (None, 150, SKEW),  # nothing is known: the RFC's way
        ((150,), 150, timedelta(0)),  # the only other one leaves
        ((150,), 120, timedelta(0)),  # whatever its priority is now
        ((150, 50), 150, timedelta(0)),  # the best of those that remain
        ((150, 50), 120, SKEW),  # the one of 150 may be another
        ((150, 100), 150, SKEW),  # an equal one
        ((150, 120, 50), 150, SKEW),  # a better one
        ((50, 40), 50, timedelta(0)),  # a lower one leaves, as sticky ones may
        ((50, 40), None, timedelta(0)),
    ],
)
def test_priority_zero_is_followed_at_once_by_whom_nobody_can_be_better_than(
    others: tuple[int, ...] | None, active_priority: int | None, skew: timedelta
) -> None:
    backup = replace(BACKUP, active_priority=active_priority)
    state, _ = step(replace(PARAMS, others=others), backup, NOW, heard(0, when=at(9990)))
    assert isinstance(state, Backup)
    assert state.active_down_at == at(9990) + skew


def test_of_three_routers_one_only_follows_at_once() -> None:
    """Whoever leaves, and whatever the others know of its priority."""
    priorities = (150, 100, 50)
    for leaver in priorities:
        quick = []
        for own in priorities:
            if own != leaver:
                others = tuple(p for p in priorities if p != own)
                params: RouterParams = replace(PARAMS, priority=own, others=others, failback=Failback.STICKY)
                state, _ = step(params, BACKUP, NOW, heard(leaver))
                state, _ = step(params, state, NOW, heard(0))
                assert isinstance(state, Backup)
                quick += [own] if state.active_down_at == NOW else []
        assert quick == [max(p for p in priorities if p != leaver)]


def test_priority_zero_said_again_does_not_put_the_takeover_off() -> None:
    state, _ = step(PARAMS, BACKUP, NOW, heard(0))
    again, effects = step(PARAMS, state, NOW + 50 * MS, heard(0, when=NOW + 50 * MS))
    assert (again, effects) == (state, [])


@pytest.mark.req("B-06")
@pytest.mark.parametrize("failback", [Failback.PREFER, Failback.STICKY])
@pytest.mark.parametrize("lower_is_heard", [False, True])
def test_of_two_owners_the_one_that_is_followed_stays_when_the_other_leaves(
    failback: Failback, *, lower_is_heard: bool
) -> None:
    """A partition has healed, and both are heard by one that stood by on either side."""
    params = replace(PARAMS, priority=150, others=(200, 100), failback=failback)
    followed, _ = step(params, BACKUP, NOW, heard(200, source=GREATER))
    assert isinstance(followed, Backup)
    if lower_is_heard and failback is Failback.PREFER:
        discarded, _ = step(params, followed, NOW, heard(100, source=LESSER))
        assert isinstance(discarded, Backup)
        assert discarded == replace(followed, outlook=Reason.PREEMPTED_LOWER)
        followed = discarded
    assert step(params, followed, NOW, heard(0, source=LESSER)) == (followed, [])
    left, _ = step(params, followed, NOW, heard(0, source=GREATER))
    assert isinstance(left, Backup)
    assert left.active_down_at == NOW


def test_the_last_word_of_an_owner_that_was_relieved_does_not_hide_that_its_successor_leaves() -> None:
    """A barred router does not go ahead of it as the others do; no longer barred, it is there when that one leaves."""
    params = replace(PARAMS, priority=1, barred=True)
    state, _ = step(params, BACKUP, NOW, heard(100, source=LESSER))
    state, _ = step(params, state, NOW, heard(1, source=GREATER))
    assert isinstance(state, Backup)
    assert (state.followed, state.active_priority) == (None, None)
    state, _ = step(params, state, NOW, Reconfigure(PARAMS))
    state, effects = step(PARAMS, state, NOW, heard(0, source=LESSER))
    assert isinstance(state, Backup)
    assert (state.active_down_at, effects) == (NOW + SKEW, [Emit(PeerReleased(PARAMS.key, LESSER))])


def test_who_waits_alone_follows_nobody() -> None:
    """Silence has shown that the owner is gone, so whoever comes next is heeded, and so is its leaving."""
    params = replace(PARAMS, barred=True)
    followed, _ = step(params, BACKUP, NOW, heard(200, source=GREATER))
    assert isinstance(followed, Backup)
    alone, _ = step(params, followed, followed.active_down_at, TimerFired())
    assert isinstance(alone, Backup)
    assert (alone.alone, alone.followed) == (True, None)


@pytest.mark.parametrize(("next_in_line", "skew"), [(True, timedelta(0)), (False, SKEW)])
def test_an_owner_that_says_elsewhere_that_it_is_gone_is_followed_as_by_priority_zero(
    next_in_line: bool, skew: timedelta
) -> None:
    state, effects = step(PARAMS, BACKUP, NOW, ActiveGone(NOW, next_in_line))
    assert effects == []
    assert isinstance(state, Backup)
    assert state.active_down_at == NOW + skew
    state, effects = step(PARAMS, state, NOW + skew, TimerFired())
    assert bodies(effects) == [BecameActive(KEY, "web-vip", Reason.ACTIVE_RELEASED, 100)]


def test_two_that_leave_relieve_each_other_in_nothing() -> None:
    effects: list[Effect] = []
    state, effects = step(PARAMS, LEAVING, NOW, heard(0, source=LESSER))
    assert (state, effects) == (LEAVING, [])


@pytest.mark.req("B-05")
def test_of_two_that_leave_beside_each_other_the_one_that_stays_goes_on() -> None:
    """It was moved, took over nobody yet, and hears that its successor is told to stop."""
    moved, _ = step(PARAMS, replace(ACTIVE, since=NOW - HOLD / 4), NOW, StepAside())
    assert isinstance(moved, Leaving)
    assert moved.doubts_until is not None
    # What the owner before had said while it left may still be under way.
    assert step(PARAMS, moved, NOW, heard(0, when=NOW)) == (moved, [])
    later = moved.doubts_until
    state, effects = step(PARAMS, moved, later, heard(0, when=later))
    assert isinstance(state, Active)
    assert Advertise(100) in effects
    assert bodies(effects) == [
        NobodyTookOver(KEY, "web-vip", later - NOW),
        BecameActive(KEY, "web-vip", Reason.NOBODY_TOOK_OVER, 100),
    ]
