"""Routers of a stateful VIP: a node that returns, or that owned beside another, is in quarantine until it is released.

The ordinary pairs of state and input are in test_virtual_router and test_leased_router; here are those that a
quarantine makes other.
"""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import Family
from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.lease_params import LeaseParams, patience
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.events import (
    Admitted,
    BecameActive,
    BecameBackup,
    IntervalLearnt,
    NobodyOwns,
    PeerReleased,
    PriorityChanged,
    Quarantined,
    QuarantineLifted,
    Reason,
    RouterInitialized,
)
from yaoki.vrrp.leased_router import LeasedRouter, Wanted
from yaoki.vrrp.leased_state import (
    Bidding,
    GiveWay,
    LeasedInput,
    LeasedState,
    LeaseElsewhere,
    LeaseGone,
    LeaseHeld,
    Memory,
    Standby,
)
from yaoki.vrrp.params import Failback, Quarantine, RouterKey, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    ActiveGone,
    Admit,
    Backup,
    Effect,
    Heard,
    Initialize,
    Input,
    InterfaceLost,
    LinkRenewed,
    Owning,
    Reconfigure,
    Shutdown,
    Startup,
    State,
    StepAside,
    Yielding,
)
from yaoki.vrrp.virtual_router import VirtualRouter, step

KEY = RouterKey("eth0", Family.IPV4, 51)
OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
VIP = IPv4Interface("192.0.2.50/24")
INTERVAL = timedelta(milliseconds=100)
D = timedelta(milliseconds=1500)
LEASE = LeaseParams.usual("data", D)
PARAMS = RouterParams(
    "data", KEY, 100, INTERVAL, (VIP,), source=OWN, failback=Failback.MANUAL, quarantine=Quarantine.WAIT
)
LAST = replace(PARAMS, quarantine=Quarantine.LAST)
LEASED = replace(PARAMS, lease=LEASE)


def at(ms: float) -> Instant:
    return Instant(round(ms * 1000))


NOW = at(10_000)
ACTIVE = Active(at(1000), at(10_050), at(9950), at(63_000), at(-20_000), 6)
HELD = Backup(at(10_300), INTERVAL, Reason.ACTIVE_SILENT, held_out=True)
EXPIRED = replace(HELD, active_down_at=NOW)
FREE = replace(HELD, held_out=False)
YIELDING = Yielding(at(10_030), replace(HELD, followed=PEER, active_priority=200), Reason.HIGHER_PRIORITY, PEER, 200)


def heard(priority: int, when: Instant = NOW, interval: timedelta = INTERVAL) -> Heard:
    return Heard(Advertisement(3, 51, priority, interval, (VIP.ip,)), PEER, when)


def bodies(effects: list[Effect]) -> list[EventBody]:
    return [effect.body for effect in effects if isinstance(effect, Emit)]


def kinds(effects: list[Effect]) -> list[type[EventBody]]:
    return [type(body) for body in bodies(effects)]


# --- elected by VRRP --------------------------------------------------------------------------------------------------

CURRENT = Initialize(Reason.INTERFACE_DOWN, current=True)

# (state, input) -> (type of the next state, whether it is held out or, in Initialize, not current; events)
TABLE: list[tuple[State, Input, type[State], bool, list[type[EventBody]]]] = [
    (Initialize(), Startup(), Backup, True, [BecameBackup, Quarantined]),
    (Initialize(Reason.INTERFACE_DOWN), Startup(), Backup, True, [BecameBackup, Quarantined]),
    (CURRENT, Startup(), Backup, False, [BecameBackup]),
    (CURRENT, Shutdown(), Initialize, False, []),
    (CURRENT, InterfaceLost(), Initialize, False, []),
    (Initialize(), InterfaceLost(), Initialize, True, []),
    (HELD, Startup(), Backup, True, []),
    (HELD, Shutdown(), Initialize, True, [RouterInitialized]),
    (HELD, InterfaceLost(), Initialize, True, [RouterInitialized]),
    (HELD, LinkRenewed(), Backup, True, []),
    (HELD, heard(200), Backup, True, []),
    (HELD, heard(50), Backup, True, []),
    (HELD, heard(1), Backup, True, []),
    (HELD, heard(50, interval=2 * INTERVAL), Backup, True, [IntervalLearnt]),
    (HELD, heard(0), Backup, True, [PeerReleased]),
    (HELD, TimerFired(), Backup, True, []),
    (EXPIRED, TimerFired(), Backup, True, [NobodyOwns]),
    (replace(EXPIRED, alone=True), TimerFired(), Backup, True, []),
    (HELD, Admit(), Backup, False, [Admitted]),
    (HELD, StepAside(), Backup, True, []),
    (HELD, ActiveGone(NOW, True), Backup, True, []),
    (HELD, Reconfigure(PARAMS), Backup, True, []),
    (HELD, Reconfigure(replace(PARAMS, failback=Failback.STICKY)), Backup, True, []),
    (HELD, Reconfigure(replace(PARAMS, quarantine=Quarantine.NONE, failback=Failback.STICKY)), Backup, False, []),
    (FREE, Shutdown(), Initialize, False, [RouterInitialized]),
    (FREE, InterfaceLost(), Initialize, False, [RouterInitialized]),
    (FREE, heard(50), Backup, False, []),
    (ACTIVE, InterfaceLost(), Initialize, True, [RouterInitialized]),
    (YIELDING, Startup(), Yielding, True, []),
    (replace(YIELDING, then=Initialize()), Startup(), Yielding, True, []),
    (YIELDING, Shutdown(), Yielding, True, []),
    (YIELDING, StepAside(), Yielding, True, []),
    (YIELDING, InterfaceLost(), Initialize, True, [RouterInitialized]),
    (YIELDING, LinkRenewed(), Yielding, True, []),
    (YIELDING, heard(200), Yielding, True, []),
    (YIELDING, heard(0), Yielding, True, [PeerReleased]),
    (YIELDING, TimerFired(), Yielding, True, []),
    (replace(YIELDING, release_at=NOW), TimerFired(), Backup, True, [BecameBackup, Quarantined]),
    (YIELDING, Admit(), Yielding, False, [Admitted]),
    (YIELDING, ActiveGone(NOW, True), Yielding, True, []),
    (YIELDING, Reconfigure(PARAMS), Yielding, True, []),
]


def out(state: State | LeasedState) -> bool:
    """Whether it would be, or is, in quarantine."""
    match state:
        case Yielding(then=then):
            return out(then)
        case Initialize(current=current):
            return not current
        case Backup(held_out=held_out) | Standby(held_out=held_out):
            return held_out
        case _:
            return False


@pytest.mark.req("N-13")
@pytest.mark.parametrize(("state", "input_", "after", "quarantined", "events"), TABLE)
def test_every_pair_that_a_quarantine_makes_other(
    state: State, input_: Input, after: type[State], quarantined: bool, events: list[type[EventBody]]
) -> None:
    next_state, effects = step(PARAMS, state, NOW, input_)
    assert (type(next_state), out(next_state), kinds(effects)) == (after, quarantined, events)


@pytest.mark.req("N-13")
def test_a_node_that_starts_waits_though_nobody_owns_and_owns_at_once_when_admitted() -> None:
    router = VirtualRouter(PARAMS)
    router.handle(at(0), Startup())
    said = []
    for ms in range(0, 60_000, 100):
        said += bodies(router.handle(at(ms), TimerFired()))
    assert said == [NobodyOwns(KEY, "data")]
    assert bodies(router.handle(at(60_000), Admit())) == [Admitted(KEY, "data")]
    assert bodies(router.handle(at(60_000), TimerFired())) == [BecameActive(KEY, "data", Reason.NOBODY_HEARD, 100)]


@pytest.mark.req("N-13")
def test_an_admitted_one_follows_the_owner_and_takes_over_when_that_dies() -> None:
    state, _ = step(PARAMS, replace(HELD, joining=True), NOW, Admit())
    state, effects = step(PARAMS, state, NOW, heard(50))
    assert (kinds(effects), out(state)) == ([], False), "it is not held out again for what it was released from"
    assert isinstance(state, Backup)
    state, _ = step(PARAMS, state, state.active_down_at, TimerFired())
    assert isinstance(state, Active)


@pytest.mark.req("N-13")
def test_of_two_owners_that_meet_the_loser_is_in_quarantine() -> None:
    state, _ = step(PARAMS, ACTIVE, NOW, heard(200))
    assert isinstance(state, Yielding)
    assert out(state)
    state, effects = step(PARAMS, state, at(10_500), TimerFired())
    assert kinds(effects) == [BecameBackup, Quarantined]
    state, effects = step(PARAMS, state, at(11_000), TimerFired())
    assert kinds(effects) == [NobodyOwns]


@pytest.mark.req("N-13")
def test_who_handed_over_in_good_order_is_not() -> None:
    state, _ = step(PARAMS, ACTIVE, NOW, StepAside())
    state, _ = step(PARAMS, state, NOW, heard(50))
    state, effects = step(PARAMS, state, at(10_500), TimerFired())
    assert (type(state), out(state), kinds(effects)) == (Backup, False, [BecameBackup])


@pytest.mark.req("N-13")
def test_a_speaker_that_starts_while_its_addresses_still_answer_has_not_been_away() -> None:
    state, _ = step(PARAMS, Initialize(), NOW, Startup(held=True))
    assert isinstance(state, Active)


@pytest.mark.req("N-13")
def test_last_owns_only_when_nobody_is_heard_and_says_that_it_was_in_quarantine() -> None:
    state, effects = step(LAST, HELD, NOW, heard(50))
    assert (out(state), kinds(effects)) == (True, [])
    assert isinstance(state, Backup)
    state, effects = step(LAST, state, state.active_down_at, TimerFired())
    assert (type(state), kinds(effects)) == (Active, [QuarantineLifted, BecameActive])


@pytest.mark.parametrize("state", [replace(EXPIRED, roused=False, active_down_at=at(9_000)), EXPIRED])
def test_last_takes_no_more_from_a_lower_owner_than_it_may(state: Backup) -> None:
    barred = replace(LAST, barred=True)
    after, effects = step(barred, state, NOW, TimerFired())
    assert (type(after), kinds(effects)) == (Backup, [NobodyOwns])


INPUTS = (
    Startup(), Shutdown(), InterfaceLost(), LinkRenewed(), heard(200), heard(100), heard(50), heard(1), heard(0),
    StepAside(), ActiveGone(NOW, True), ActiveGone(NOW, False), TimerFired(),
    Reconfigure(PARAMS), Reconfigure(replace(PARAMS, priority=254)), Reconfigure(replace(PARAMS, barred=True)),
)  # fmt: skip


@pytest.mark.req("N-13")
@given(st.lists(st.tuples(st.sampled_from(INPUTS), st.integers(0, 2000)), max_size=40))
def test_whatever_comes_in_quarantine_but_an_admission_makes_no_owner(inputs: list[tuple[Input, int]]) -> None:
    router, now = VirtualRouter(PARAMS), NOW
    router.handle(now, Startup())
    for input_, ms in inputs:
        now += timedelta(milliseconds=ms)
        router.handle(now, replace(input_, at=now) if isinstance(input_, Heard) else input_)
        assert not isinstance(router.state, Owning)


# --- owned by lease ---------------------------------------------------------------------------------------------------

OUT = Standby(held_out=True, silent_at=at(20_000))
SILENT = replace(OUT, silent_at=NOW)

LEASED_TABLE: list[tuple[LeasedState, LeasedInput, type[LeasedState], bool, list[type[EventBody]]]] = [
    (Initialize(), Startup(), Standby, True, [BecameBackup, Quarantined]),
    (Initialize(), Startup(held=True), Standby, False, [BecameBackup]),
    (CURRENT, Startup(), Standby, False, [BecameBackup]),
    (CURRENT, InterfaceLost(), Initialize, False, []),
    (OUT, TimerFired(), Standby, True, []),
    (SILENT, TimerFired(), Standby, True, [NobodyOwns]),
    (OUT, heard(150), Standby, True, []),
    (OUT, heard(50), Standby, True, []),
    (OUT, heard(1), Standby, True, []),
    (OUT, heard(0), Standby, True, []),
    (replace(OUT, joining=True), heard(50), Standby, True, []),
    (OUT, Startup(), Standby, True, []),
    (OUT, Shutdown(), Initialize, True, [RouterInitialized]),
    (OUT, InterfaceLost(), Initialize, True, [RouterInitialized]),
    (OUT, LinkRenewed(), Standby, True, []),
    (OUT, StepAside(), Standby, True, []),
    (OUT, ActiveGone(NOW, True), Standby, True, []),
    (OUT, Admit(), Standby, False, [Admitted]),
    (OUT, Reconfigure(replace(LEASED, priority=90)), Standby, True, [PriorityChanged]),
    (OUT, LeaseHeld(7), Standby, True, []),
    (OUT, LeaseGone(), Standby, True, []),
    (OUT, LeaseElsewhere(), Standby, True, []),
    (OUT, GiveWay(), Standby, True, []),
    (Standby(), InterfaceLost(), Initialize, False, [RouterInitialized]),
    (Bidding(at(10_500), at(10_100)), InterfaceLost(), Initialize, False, [RouterInitialized]),
    (ACTIVE, InterfaceLost(), Initialize, True, [RouterInitialized]),
    (ACTIVE, LeaseGone(), Standby, True, [BecameBackup, Quarantined]),
    (ACTIVE, heard(150), Standby, False, [BecameBackup]),
    (ACTIVE, GiveWay(), Standby, False, [BecameBackup]),
    (ACTIVE, StepAside(), Standby, False, [BecameBackup]),
]


def leased_in(state: LeasedState, params: RouterParams = LEASED) -> LeasedRouter:
    router = LeasedRouter(params)
    router.memory = Memory(state, renewed_at=NOW)
    return router


@pytest.mark.req("N-13")
@pytest.mark.parametrize(("state", "input_", "after", "quarantined", "events"), LEASED_TABLE)
def test_every_pair_of_a_leased_router_that_a_quarantine_makes_other(
    state: LeasedState, input_: LeasedInput, after: type[LeasedState], quarantined: bool, events: list[type[EventBody]]
) -> None:
    router = leased_in(state)
    effects = router.handle(NOW, input_)
    assert (type(router.state), out(router.state), kinds(effects)) == (after, quarantined, events)
    if isinstance(router.state, Standby) and router.state.held_out:
        assert router.wish(NOW) is None


@pytest.mark.req("N-13")
def test_without_a_lease_wanted_nobody_gives_one_until_it_is_admitted() -> None:
    router = LeasedRouter(LEASED)
    router.handle(at(0), Startup())
    assert router.handle(at(100), LeaseHeld(3)) == []
    deadline = router.deadline()
    assert deadline is not None
    assert bodies(router.handle(deadline.at, TimerFired())) == [NobodyOwns(KEY, "data")]
    router.handle(deadline.at, Admit())
    assert router.wish(deadline.at) == Wanted(LEASE, patience(D, 100))


@pytest.mark.req("N-13")
def test_last_wants_the_lease_when_no_owner_has_been_heard_for_as_long_as_another_may_need() -> None:
    router = LeasedRouter(replace(LEASED, quarantine=Quarantine.LAST))
    router.handle(at(0), Startup())
    router.handle(at(1000), heard(50, at(1000)))
    silent = router.deadline()
    assert silent is not None
    assert router.wish(silent.at) is None
    assert bodies(router.handle(silent.at, TimerFired())) == [QuarantineLifted(KEY, "data")]
    assert router.wish(silent.at) is not None
