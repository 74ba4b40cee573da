"""The virtual router: every pair of state and input, and each duty of RFC 9568 6.4 and RFC 3768 6.4."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface
from typing import get_args

import pytest

from yaoki.core.address import Family
from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.active import SUSPICION_QUIET
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.events import (
    Admitted,
    BecameActive,
    BecameBackup,
    HandedOver,
    HandOverBegun,
    HeldOut,
    IntervalLearnt,
    NobodyOwns,
    NobodyTookOver,
    PeerReleased,
    PriorityChanged,
    Reason,
    RouterInitialized,
    SecondOwnerSuspected,
)
from yaoki.vrrp.params import Failback, RouterKey, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    ActiveGone,
    Admit,
    Advertise,
    AnnounceAddresses,
    Backup,
    ClaimAddresses,
    Effect,
    Heard,
    HushAddresses,
    Initialize,
    Input,
    InterfaceLost,
    Leaving,
    LinkRenewed,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    State,
    StepAside,
    Yielding,
)
from yaoki.vrrp.timing import HOLD
from yaoki.vrrp.virtual_router import VirtualRouter, step

KEY = RouterKey("eth0", Family.IPV4, 51)
OWN, LESSER, GREATER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.10"), IPv4Address("192.0.2.12")
VIP, MORE = IPv4Interface("192.0.2.50/24"), IPv4Interface("192.0.2.51/24")
INTERVAL = timedelta(milliseconds=100)
PARAMS = RouterParams("web-vip", KEY, 100, INTERVAL, (VIP,), source=OWN)
VERSION_2 = replace(PARAMS, version=2, interval=timedelta(seconds=1))


def at(ms: float) -> Instant:
    return Instant(round(ms * 1000))


NOW = at(10_000)
INITIALIZE = Initialize()
BACKUP = Backup(at(10_300), INTERVAL, Reason.ACTIVE_SILENT)
EXPIRED = replace(BACKUP, active_down_at=NOW)
# Active for long: took over at 1 s, advertised 50 ms ago, announced 30 s ago.
ACTIVE = Active(at(1000), at(10_050), at(9950), at(63_000), at(-20_000), 6)
# Was told to go 50 ms ago; at 100 ms adverts a router that leaves waits 499.6 ms at most.
LEAVING = Leaving(Reason.STOPPED, at(9950), at(10_050), at(10_450))
YIELDING = Yielding(
    at(10_030), replace(BACKUP, followed=GREATER, active_priority=200), Reason.HIGHER_PRIORITY, GREATER, 200
)
GOING = replace(YIELDING, then=Initialize(Reason.STOPPED), reason=Reason.STOPPED)


def heard(
    priority: int, *, source: IPv4Address = GREATER, interval: timedelta = INTERVAL, when: Instant = NOW
) -> Heard:
    return Heard(Advertisement(3, 51, priority, interval, (VIP.ip,)), source, when)


def down(priority: int = 100, interval: timedelta = INTERVAL) -> timedelta:
    return 3 * interval + interval * (256 - priority) / 256


def bodies(effects: list[Effect]) -> list[EventBody]:
    return [effect.body for effect in effects if isinstance(effect, Emit)]


def deeds(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, Emit)]


CLAIM, RELEASE, ANNOUNCE = ClaimAddresses((VIP,)), ReleaseAddresses((VIP,)), AnnounceAddresses((VIP,))
HUSH = HushAddresses((VIP,))
TAKEOVER: list[Effect] = [CLAIM, ANNOUNCE, Advertise(100)]

# (state, input) -> (type of the next state, what is done, events)
TABLE: list[tuple[State, Input, type[State], list[Effect], list[type[EventBody]]]] = [
    (INITIALIZE, Startup(), Backup, [], [BecameBackup]),
    (INITIALIZE, Startup(held=True), Active, TAKEOVER, [BecameActive]),
    (INITIALIZE, Shutdown(), Initialize, [], []),
    (INITIALIZE, InterfaceLost(), Initialize, [], []),
    (INITIALIZE, LinkRenewed(), Initialize, [], []),
    (INITIALIZE, heard(200), Initialize, [], []),
    (INITIALIZE, heard(0), Initialize, [], []),
    (INITIALIZE, TimerFired(), Initialize, [], []),
    (INITIALIZE, Admit(), Initialize, [], []),
    (INITIALIZE, StepAside(), Initialize, [], []),
    (INITIALIZE, ActiveGone(NOW, True), Initialize, [], []),
    (INITIALIZE, Reconfigure(PARAMS), Initialize, [], []),
    (BACKUP, Startup(), Backup, [], []),
    (BACKUP, Startup(held=True), Backup, [], []),
    (BACKUP, Shutdown(), Initialize, [], [RouterInitialized]),
    (BACKUP, InterfaceLost(), Initialize, [], [RouterInitialized]),
    (BACKUP, LinkRenewed(), Backup, [], []),
    (BACKUP, heard(200), Backup, [], []),
    (BACKUP, heard(100), Backup, [], []),
    (BACKUP, heard(50), Backup, [], []),
    (BACKUP, heard(0), Backup, [], [PeerReleased]),
    (BACKUP, TimerFired(), Backup, [], []),
    (EXPIRED, TimerFired(), Active, TAKEOVER, [BecameActive]),
    (BACKUP, Admit(), Backup, [], []),
    (BACKUP, StepAside(), Backup, [], []),
    (BACKUP, ActiveGone(NOW, True), Backup, [], []),
    (BACKUP, Reconfigure(PARAMS), Backup, [], []),
    (ACTIVE, Startup(), Active, [], []),
    (ACTIVE, Startup(held=True), Active, [], []),
    (ACTIVE, Shutdown(), Leaving, [Advertise(0)], [HandOverBegun]),
    (ACTIVE, StepAside(), Leaving, [Advertise(0)], [HandOverBegun]),
    (ACTIVE, InterfaceLost(), Initialize, [RELEASE], [RouterInitialized]),
    (ACTIVE, LinkRenewed(), Active, [ANNOUNCE], []),
    (ACTIVE, heard(200), Yielding, [HUSH, Advertise(100)], []),
    (ACTIVE, heard(100, source=GREATER), Yielding, [HUSH, Advertise(100)], []),
    (ACTIVE, heard(100, source=LESSER), Active, [ANNOUNCE, Advertise(100)], [SecondOwnerSuspected]),
    (ACTIVE, heard(50), Active, [ANNOUNCE, Advertise(100)], [SecondOwnerSuspected]),
    (ACTIVE, heard(0), Active, [ANNOUNCE, Advertise(100)], []),
    (ACTIVE, TimerFired(), Active, [], []),
    (replace(ACTIVE, advertise_at=NOW), TimerFired(), Active, [Advertise(100)], []),
    (replace(ACTIVE, announce_at=NOW), TimerFired(), Active, [ANNOUNCE], []),
    (ACTIVE, Admit(), Active, [], []),
    (ACTIVE, ActiveGone(NOW, True), Active, [], []),
    (ACTIVE, Reconfigure(PARAMS), Active, [Advertise(100)], []),
    (LEAVING, Startup(), Active, TAKEOVER, [BecameActive]),
    (LEAVING, Startup(held=True), Active, TAKEOVER, [BecameActive]),
    (LEAVING, Shutdown(), Leaving, [], []),
    (LEAVING, StepAside(), Leaving, [], []),
    (LEAVING, InterfaceLost(), Initialize, [RELEASE], [RouterInitialized]),
    (LEAVING, LinkRenewed(), Leaving, [ANNOUNCE], []),
    (LEAVING, heard(200), Yielding, [HUSH, Advertise(1)], [HandedOver]),
    (LEAVING, heard(50), Yielding, [HUSH, Advertise(1)], [HandedOver]),
    (LEAVING, heard(0), Leaving, [], []),
    (LEAVING, TimerFired(), Leaving, [], []),
    (replace(LEAVING, advertise_at=NOW), TimerFired(), Leaving, [Advertise(0)], []),
    (replace(LEAVING, give_up_at=NOW), TimerFired(), Initialize, [Advertise(0), RELEASE],
     [NobodyTookOver, RouterInitialized]),
    (replace(LEAVING, give_up_at=NOW, stays=True), TimerFired(), Active, TAKEOVER, [NobodyTookOver, BecameActive]),
    (LEAVING, Admit(), Leaving, [], []),
    (LEAVING, ActiveGone(NOW, True), Leaving, [], []),
    (LEAVING, Reconfigure(PARAMS), Leaving, [], []),
    (LEAVING, Reconfigure(replace(PARAMS, priority=255)), Active, [CLAIM, ANNOUNCE, Advertise(255)], [BecameActive]),
    (YIELDING, Startup(), Yielding, [], []),
    (GOING, Startup(held=True), Yielding, [], []),
    (YIELDING, Shutdown(), Yielding, [], []),
    (YIELDING, StepAside(), Yielding, [], []),
    (YIELDING, InterfaceLost(), Initialize, [RELEASE], [RouterInitialized]),
    (YIELDING, LinkRenewed(), Yielding, [], []),
    (YIELDING, heard(200), Yielding, [], []),
    (YIELDING, heard(50), Yielding, [], []),
    (YIELDING, heard(0), Active, TAKEOVER, [BecameActive]),
    (YIELDING, heard(0, source=LESSER), Yielding, [], []),
    (GOING, heard(0), Yielding, [], []),
    (YIELDING, TimerFired(), Yielding, [], []),
    (replace(YIELDING, release_at=NOW), TimerFired(), Backup, [RELEASE], [BecameBackup]),
    (replace(GOING, release_at=NOW), TimerFired(), Initialize, [RELEASE], [RouterInitialized]),
    (YIELDING, Admit(), Yielding, [], []),
    (YIELDING, ActiveGone(NOW, True), Active, TAKEOVER, [BecameActive]),
    (YIELDING, ActiveGone(NOW, False), Yielding, [], []),
    (GOING, ActiveGone(NOW, True), Yielding, [], []),
    (YIELDING, Reconfigure(PARAMS), Yielding, [], []),
    (YIELDING, Reconfigure(replace(PARAMS, priority=255)), Active, [CLAIM, ANNOUNCE, Advertise(255)],
     [PriorityChanged, BecameActive]),
]  # fmt: skip


@pytest.mark.parametrize(("state", "input_", "after", "done", "events"), TABLE)
def test_every_pair_of_state_and_input(
    state: State, input_: Input, after: type[State], done: list[Effect], events: list[type[EventBody]]
) -> None:
    next_state, effects = step(PARAMS, state, NOW, input_)
    assert isinstance(next_state, after)
    assert deeds(effects) == done
    assert [type(body) for body in bodies(effects)] == events


def test_the_table_has_every_pair() -> None:
    inputs = {*get_args(Input)}
    states = {Initialize, Backup, Active, Leaving, Yielding}
    assert {(type(state), type(input_)) for state, input_, *_ in TABLE} == {(s, i) for s in states for i in inputs}


# --- section 6.4.1: Initialize ----------------------------------------------------------------------------------------


@pytest.mark.rfc("9568", "6.4.1", "owner")
def test_owner_of_the_addresses_starts_active() -> None:
    state, effects = step(replace(PARAMS, priority=255), INITIALIZE, NOW, Startup())
    assert isinstance(state, Active)
    assert deeds(effects) == [CLAIM, ANNOUNCE, Advertise(255)]
    assert bodies(effects) == [BecameActive(KEY, "web-vip", Reason.OWNS_ADDRESSES, 255)]


@pytest.mark.rfc("9568", "6.4.1", "other")
def test_others_start_as_backup_with_their_own_interval_and_a_full_down_timer() -> None:
    state, _ = step(PARAMS, INITIALIZE, NOW, Startup())
    assert state == Backup(NOW + down(), INTERVAL, Reason.NOBODY_HEARD, joining=True)


def test_why_a_router_waits_is_remembered() -> None:
    assert step(PARAMS, INITIALIZE, NOW, InterfaceLost(Reason.NO_SOURCE_ADDRESS)) == (
        Initialize(Reason.NO_SOURCE_ADDRESS),
        [],
    )


# --- section 6.4.2: Backup --------------------------------------------------------------------------------------------


@pytest.mark.rfc("9568", "6.4.2", "priority zero")
def test_priority_zero_starts_skew_time_only() -> None:
    state, _ = step(PARAMS, BACKUP, NOW, heard(0, when=at(9990)))
    assert state == Backup(at(9990) + INTERVAL * 156 / 256, INTERVAL, Reason.ACTIVE_RELEASED)


@pytest.mark.rfc("3768", "6.4.2")
def test_priority_zero_in_version_2_starts_a_skew_of_part_of_a_second() -> None:
    backup = replace(BACKUP, active_adver_interval=timedelta(seconds=10))
    params = replace(VERSION_2, interval=timedelta(seconds=10))
    state, _ = step(params, backup, NOW, heard(0))
    assert isinstance(state, Backup)
    assert state.active_down_at == NOW + timedelta(seconds=1) * 156 / 256


@pytest.mark.rfc("9568", "6.4.2", "equal or higher")
@pytest.mark.parametrize("priority", [100, 101, 254, 255])
def test_equal_or_higher_priority_restarts_the_down_timer_from_its_reception(priority: int) -> None:
    state, _ = step(PARAMS, BACKUP, NOW, heard(priority, when=at(9980)))
    assert state == Backup(
        at(9980) + down(), INTERVAL, Reason.ACTIVE_SILENT, followed=GREATER, active_priority=priority
    )


@pytest.mark.rfc("9568", "6.4.2", "equal or higher")
def test_interval_of_the_active_router_is_learnt_and_counts() -> None:
    theirs = timedelta(seconds=1)
    state, effects = step(PARAMS, BACKUP, NOW, heard(150, interval=theirs))
    assert state == Backup(
        NOW + down(interval=theirs), theirs, Reason.ACTIVE_SILENT, followed=GREATER, active_priority=150
    )
    assert bodies(effects) == [IntervalLearnt(KEY, GREATER, theirs, INTERVAL)]
    assert step(PARAMS, state, NOW, heard(150, interval=theirs))[1] == []
    zero, _ = step(PARAMS, state, NOW, heard(0))
    assert isinstance(zero, Backup)
    assert zero.active_down_at == NOW + theirs * 156 / 256


@pytest.mark.rfc("9568", "6.4.2", "lower")
def test_lower_priority_is_discarded_when_preempting_so_that_the_timer_runs_out() -> None:
    state, _ = step(PARAMS, BACKUP, NOW, heard(99))
    assert state == replace(BACKUP, outlook=Reason.PREEMPTED_LOWER, followed=GREATER, active_priority=99)
    state, effects = step(PARAMS, state, at(10_300), TimerFired())
    assert bodies(effects) == [BecameActive(KEY, "web-vip", Reason.PREEMPTED_LOWER, 100)]


@pytest.mark.rfc("9568", "6.1")
def test_owner_of_the_addresses_preempts_whatever_failback_says() -> None:
    params = replace(PARAMS, priority=255, failback=Failback.STICKY)
    state, _ = step(params, BACKUP, NOW, heard(254))
    assert isinstance(state, Backup)
    assert state.active_down_at == BACKUP.active_down_at


@pytest.mark.rfc("9568", "6.4.2", "equal or higher")
def test_sticky_router_lets_a_lower_owner_keep_and_takes_over_when_it_dies() -> None:
    params = replace(PARAMS, failback=Failback.STICKY)
    state, _ = step(params, BACKUP, NOW, heard(50))
    assert state == Backup(NOW + down(), INTERVAL, Reason.ACTIVE_SILENT, followed=GREATER, active_priority=50)
    state, effects = step(params, state, NOW + down(), TimerFired())
    assert bodies(effects) == [BecameActive(KEY, "web-vip", Reason.ACTIVE_SILENT, 100)]


@pytest.mark.rfc("9568", "6.4.2", "shutdown")
def test_backup_shuts_down_in_silence() -> None:
    state, effects = step(PARAMS, BACKUP, NOW, Shutdown())
    assert isinstance(state, Initialize)
    assert deeds(effects) == []


def test_early_timer_is_harmless() -> None:
    assert step(PARAMS, BACKUP, at(10_299.999), TimerFired()) == (BACKUP, [])


def test_repeated_priority_zero_is_one_event() -> None:
    state, first = step(PARAMS, BACKUP, NOW, heard(0))
    _, second = step(PARAMS, state, NOW, heard(0))
    assert (len(first), second) == (1, [])


# --- failback: manual -------------------------------------------------------------------------------------------------

MANUAL = replace(PARAMS, failback=Failback.MANUAL)
JOINING = replace(BACKUP, joining=True, outlook=Reason.NOBODY_HEARD)


@pytest.mark.req("B-22")
def test_returned_router_finds_a_lower_one_active_and_is_held_out_even_when_that_dies() -> None:
    state, effects = step(MANUAL, JOINING, NOW, heard(50))
    assert bodies(effects) == [HeldOut(KEY, "web-vip", GREATER, 50)]
    events = []
    for _ in range(5):
        deadline = at(0)
        assert isinstance(state, Backup)
        deadline = state.active_down_at
        state, effects = step(MANUAL, state, deadline, TimerFired())
        events += bodies(effects)
    assert events == [NobodyOwns(KEY, "web-vip")]
    state, effects = step(MANUAL, state, NOW + timedelta(seconds=5), Admit())
    assert bodies(effects) == [Admitted(KEY, "web-vip")]
    state, _ = step(MANUAL, state, NOW + timedelta(seconds=5), TimerFired())
    assert isinstance(state, Active)


@pytest.mark.req("B-22")
def test_standby_that_finds_a_higher_one_active_is_not_held_out() -> None:
    state, effects = step(MANUAL, JOINING, NOW, heard(150))
    assert effects == []
    state, _ = step(MANUAL, state, NOW + down(), TimerFired())
    assert isinstance(state, Active)


def test_first_start_of_a_site_holds_nobody_out() -> None:
    state, _ = step(MANUAL, INITIALIZE, NOW, Startup())
    state, _ = step(MANUAL, state, NOW + down(), TimerFired())
    assert isinstance(state, Active)


def test_admitted_router_does_not_retake_from_a_living_owner() -> None:
    state, _ = step(MANUAL, JOINING, NOW, heard(50))
    state, _ = step(MANUAL, state, NOW, Admit())
    state, effects = step(MANUAL, state, NOW, heard(50))
    assert effects == []
    assert state == Backup(NOW + down(), INTERVAL, Reason.ACTIVE_SILENT, followed=GREATER, active_priority=50)


# --- section 6.4.3: Active --------------------------------------------------------------------------------------------


@pytest.mark.rfc("9568", "6.4.3", "timer")
def test_advertisements_keep_their_beat_when_the_timer_is_late() -> None:
    state, _ = step(PARAMS, replace(ACTIVE, advertise_at=at(9990)), NOW, TimerFired())
    assert isinstance(state, Active)
    assert state.advertise_at == at(10_090)


@pytest.mark.rfc("9568", "6.4.3", "shutdown")
def test_active_router_without_other_members_shuts_down_with_priority_zero_before_it_releases() -> None:
    state, effects = step(replace(PARAMS, others=()), ACTIVE, NOW, Shutdown())
    assert isinstance(state, Initialize)
    assert deeds(effects) == [Advertise(0), RELEASE]


@pytest.mark.rfc("9568", "6.4.3", "priority zero")
def test_active_router_answers_priority_zero_at_once() -> None:
    state, effects = step(PARAMS, ACTIVE, NOW, heard(0))
    assert isinstance(state, Active)
    assert Advertise(100) in deeds(effects)
    assert state.advertise_at == NOW + INTERVAL


def test_missed_advertisements_are_not_made_up_for() -> None:
    state, effects = step(PARAMS, replace(ACTIVE, advertise_at=at(5000)), NOW, TimerFired())
    assert isinstance(state, Active)
    assert (deeds(effects), state.advertise_at) == ([Advertise(100)], NOW + INTERVAL)


@pytest.mark.rfc("9568", "6.4.3", "higher")
@pytest.mark.parametrize(("priority", "source"), [(101, LESSER), (254, LESSER), (100, GREATER)])
def test_active_router_gives_way_with_a_last_advertisement_before_it_releases(
    priority: int, source: IPv4Address
) -> None:
    theirs = timedelta(seconds=1)
    state, effects = step(PARAMS, ACTIVE, NOW, heard(priority, source=source, interval=theirs, when=at(9990)))
    assert effects == [HUSH, Advertise(100)]
    assert isinstance(state, Yielding)
    assert state.release_at == at(9990) + HOLD
    state, effects = step(PARAMS, state, state.release_at, TimerFired())
    after = Backup(
        at(9990) + down(interval=theirs), theirs, Reason.ACTIVE_SILENT, followed=source, active_priority=priority
    )
    assert state == after
    reason = Reason.HIGHER_PRIORITY if priority > 100 else Reason.GREATER_ADDRESS
    assert effects == [RELEASE, Emit(BecameBackup(KEY, "web-vip", reason, source, priority))]


@pytest.mark.rfc("9568", "6.4.3", "higher")
def test_greatness_of_addresses_is_numeric() -> None:
    params = replace(PARAMS, source=IPv4Address("192.0.2.9"))
    state, _ = step(params, ACTIVE, NOW, heard(100, source=IPv4Address("192.0.2.10")))
    assert isinstance(state, Yielding)


@pytest.mark.rfc("9568", "6.4.3", "higher")
@pytest.mark.parametrize("failback", Failback)
def test_preempt_mode_is_not_looked_at_in_active(failback: Failback) -> None:
    state, _ = step(replace(PARAMS, failback=failback), ACTIVE, NOW, heard(101))
    assert isinstance(state, Yielding)


@pytest.mark.rfc("9568", "7.1")
@pytest.mark.parametrize("priority", [100, 254, 255])
def test_owner_of_the_addresses_never_gives_way(priority: int) -> None:
    state, _ = step(replace(PARAMS, priority=255), ACTIVE, NOW, heard(priority))
    assert isinstance(state, Active)


@pytest.mark.rfc("9568", "6.4.3", "lower")
def test_lower_advertisement_restarts_the_beat_and_the_announcements() -> None:
    state, _ = step(PARAMS, ACTIVE, NOW, heard(50))
    assert isinstance(state, Active)
    assert (state.advertise_at, state.advertised_at) == (NOW + INTERVAL, NOW)
    assert (state.announce_at, state.announcements) == (at(10_020), 1)


def test_answers_to_lower_advertisements_are_bounded() -> None:
    router = VirtualRouter(PARAMS)
    router.state = ACTIVE
    effects: list[Effect] = []
    for ms in range(1000):
        now = at(10_000 + ms)
        effects += router.handle(now, heard(50, when=now))
        effects += router.handle(now, TimerFired())
    assert effects.count(Advertise(100)) == 50
    assert effects.count(ANNOUNCE) == 50


def test_announcement_held_back_by_the_gap_is_made_up_for() -> None:
    router = VirtualRouter(PARAMS)
    router.state = replace(ACTIVE, announced_at=at(9995), announce_at=at(10_500))
    assert ANNOUNCE not in router.handle(NOW, heard(50))
    assert router.deadline() == Deadline(at(10_015), "announcement")
    assert router.handle(at(10_015), TimerFired()) == [ANNOUNCE]


def test_suspicion_is_said_once_in_a_while() -> None:
    state, first = step(PARAMS, ACTIVE, NOW, heard(50))
    assert bodies(first) == [SecondOwnerSuspected(KEY, "web-vip", GREATER, 50)]
    later = NOW + SUSPICION_QUIET
    assert bodies(step(PARAMS, state, later - timedelta(microseconds=1), heard(50))[1]) == []
    assert bodies(step(PARAMS, state, later, heard(50))[1]) != []


def test_last_advertisement_of_the_former_owner_is_no_suspicion() -> None:
    just_taken = replace(ACTIVE, since=at(9950))
    _, effects = step(PARAMS, just_taken, NOW, heard(50))
    assert bodies(effects) == []
    assert ANNOUNCE in effects


@pytest.mark.req("B-07")
def test_announcements_follow_the_schedule_after_a_takeover() -> None:
    router = VirtualRouter(PARAMS)
    router.state = EXPIRED
    moments = []
    now = NOW
    while now <= NOW + timedelta(seconds=130):
        if ANNOUNCE in router.handle(now, TimerFired()):
            moments.append((now - NOW) / timedelta(milliseconds=1))
        deadline = router.deadline()
        assert deadline is not None
        assert deadline.at > now
        now = deadline.at
    assert moments == [0, 20, 100, 500, 2000, 62_000, 122_000]


# --- reconfiguration and tracking -------------------------------------------------------------------------------------


def test_active_router_takes_new_addresses_and_leaves_old_ones() -> None:
    state, effects = step(PARAMS, ACTIVE, NOW, Reconfigure(replace(PARAMS, addresses=(MORE,))))
    assert isinstance(state, Active)
    added = (MORE,)
    assert effects == [RELEASE, ClaimAddresses(added), AnnounceAddresses(added), Advertise(100)]
    assert state.announce_at == at(10_020)


def test_active_router_advertises_a_new_priority_at_once() -> None:
    _, effects = step(PARAMS, ACTIVE, NOW, Reconfigure(replace(PARAMS, priority=40)))
    assert effects == [Emit(PriorityChanged(KEY, "web-vip", 100, 40)), Advertise(40)]


def test_active_router_takes_a_new_interval_at_once() -> None:
    state, _ = step(PARAMS, ACTIVE, NOW, Reconfigure(replace(PARAMS, interval=timedelta(seconds=1))))
    assert isinstance(state, Active)
    assert state.advertise_at == at(11_000)


def test_new_priority_shifts_the_timer_of_a_backup_by_the_difference_of_skews() -> None:
    state, _ = step(PARAMS, BACKUP, NOW, Reconfigure(replace(PARAMS, priority=200)))
    assert isinstance(state, Backup)
    assert state.active_down_at == BACKUP.active_down_at - down(100) + down(200)
    leaving = replace(BACKUP, outlook=Reason.ACTIVE_RELEASED)
    state, _ = step(PARAMS, leaving, NOW, Reconfigure(replace(PARAMS, priority=200)))
    assert isinstance(state, Backup)
    assert state.active_down_at == BACKUP.active_down_at - down(100) + down(200)


def test_own_new_interval_does_not_replace_a_learnt_one() -> None:
    learnt = replace(BACKUP, active_adver_interval=timedelta(seconds=1))
    after = replace(PARAMS, interval=timedelta(milliseconds=50))
    state, _ = step(PARAMS, learnt, NOW, Reconfigure(after))
    assert state == learnt
    state, _ = step(PARAMS, BACKUP, NOW, Reconfigure(after))
    assert isinstance(state, Backup)
    assert state.active_adver_interval == timedelta(milliseconds=50)


def test_backup_made_owner_of_the_addresses_takes_them() -> None:
    state, effects = step(PARAMS, BACKUP, NOW, Reconfigure(replace(PARAMS, priority=255)))
    assert isinstance(state, Active)
    assert Advertise(255) in effects


def test_parameters_are_replaced_after_the_step() -> None:
    router = VirtualRouter(PARAMS)
    router.state = ACTIVE
    router.handle(NOW, Reconfigure(replace(PARAMS, priority=40)))
    assert router.params.priority == 40


def test_deadline_comes_from_the_state() -> None:
    router = VirtualRouter(PARAMS)
    assert router.deadline() is None
    router.state = BACKUP
    assert router.deadline() == Deadline(at(10_300), "Active_Down_Timer")
    router.state = ACTIVE
    assert router.deadline() == Deadline(at(10_050), "Adver_Timer")
    router.state = replace(ACTIVE, announce_at=NOW)
    assert router.deadline() == Deadline(NOW, "announcement")
    router.state = LEAVING
    assert router.deadline() == Deadline(at(10_050), "Adver_Timer")
    router.state = replace(LEAVING, advertise_at=at(10_500))
    assert router.deadline() == Deadline(at(10_450), "end of leaving")
    router.state = YIELDING
    assert router.deadline() == Deadline(at(10_030), "end of the hold")
