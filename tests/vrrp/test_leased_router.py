"""A router whose owner must hold a lease: every pair of state and input, and the bids by which a better one returns."""

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
    BidInVain,
    BidMade,
    HeldOut,
    NobodyOwns,
    PriorityChanged,
    QuarantineLifted,
    Reason,
    RouterInitialized,
)
from yaoki.vrrp.leased_router import BID_PAUSE, NEAREST_BID, LeasedRouter, Wanted
from yaoki.vrrp.leased_state import (
    Bidding,
    GiveWay,
    LeasedInput,
    LeasedState,
    LeaseElsewhere,
    LeaseGone,
    LeaseHeld,
    Memory,
    Resume,
    Standby,
)
from yaoki.vrrp.params import Failback, Quarantine, RouterKey, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    Admit,
    Advertise,
    AnnounceAddresses,
    ClaimAddresses,
    Effect,
    Heard,
    Initialize,
    InterfaceLost,
    LinkRenewed,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    StepAside,
)

KEY = RouterKey("eth0", Family.IPV4, 51)
OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
VIP = IPv4Interface("192.0.2.50/24")
INTERVAL = timedelta(milliseconds=100)
D = timedelta(milliseconds=1500)
LEASE = LeaseParams.usual("vip", D)
PARAMS = RouterParams("vip", KEY, 100, INTERVAL, (VIP,), source=OWN, lease=LEASE)


def at(ms: float) -> Instant:
    return Instant(round(ms * 1000))


ACTIVE = Active(at(0), at(100), at(0), at(20), at(0), 1)
NOW = at(50)


def heard(priority: int, when: Instant = NOW) -> Heard:
    return Heard(Advertisement(3, 51, priority, INTERVAL, (VIP.ip,)), PEER, when)


def bodies(effects: list[Effect]) -> list[EventBody]:
    return [effect.body for effect in effects if isinstance(effect, Emit)]


def kinds(effects: list[Effect]) -> list[type[object]]:
    return [type(effect.body) if isinstance(effect, Emit) else type(effect) for effect in effects]


INPUTS: tuple[LeasedInput, ...] = (
    TimerFired(),
    heard(150),
    heard(50),
    heard(0),
    Startup(held=True),
    Startup(),
    Shutdown(),
    InterfaceLost(),
    LinkRenewed(),
    Admit(),
    Reconfigure(replace(PARAMS, priority=90)),
    LeaseHeld(7),
    LeaseGone(),
    LeaseElsewhere(),
    GiveWay(),
    Resume(7),
)
LEAVE = [ReleaseAddresses, Advertise]
OWN_IT = [ClaimAddresses, AnnounceAddresses, Advertise, BecameActive]
NOTHING: list[type[object]] = []

# State after, and what is done, for each of INPUTS in turn.
TABLE: tuple[tuple[LeasedState, tuple[tuple[type[object], list[type[object]]], ...]], ...] = (
    (
        Initialize(),
        (
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Standby, [BecameBackup]),
            (Standby, [BecameBackup]),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Initialize, NOTHING),
            (Active, OWN_IT),
        ),
    ),
    (
        Standby(),
        (
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Initialize, [RouterInitialized]),
            (Initialize, [RouterInitialized]),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, [PriorityChanged]),
            (Active, OWN_IT),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, NOTHING),
            (Standby, NOTHING),
        ),
    ),
    (
        Bidding(until=at(500), advertise_at=at(100)),
        (
            (Bidding, NOTHING),
            (Standby, NOTHING),
            (Bidding, NOTHING),
            (Bidding, NOTHING),
            (Bidding, NOTHING),
            (Bidding, NOTHING),
            (Initialize, [RouterInitialized]),
            (Initialize, [RouterInitialized]),
            (Bidding, NOTHING),
            (Bidding, NOTHING),
            (Standby, [PriorityChanged]),
            (Active, OWN_IT),
            (Bidding, NOTHING),
            (Bidding, NOTHING),
            (Standby, NOTHING),
            (Bidding, NOTHING),
        ),
    ),
    (
        ACTIVE,
        (
            (Active, [AnnounceAddresses]),
            (Standby, [*LEAVE, BecameBackup]),
            (Active, [AnnounceAddresses, Advertise]),
            (Active, [AnnounceAddresses, Advertise]),
            (Active, NOTHING),
            (Active, NOTHING),
            (Initialize, [*LEAVE, RouterInitialized]),
            (Initialize, [ReleaseAddresses, RouterInitialized]),
            (Active, [AnnounceAddresses]),
            (Active, NOTHING),
            (Active, [PriorityChanged, Advertise]),
            (Active, NOTHING),
            (Standby, [*LEAVE, BecameBackup]),
            (Active, NOTHING),
            (Standby, [*LEAVE, BecameBackup]),
            (Active, NOTHING),
        ),
    ),
)
PAIRS = [
    pytest.param(state, input_, after, done, id=f"{type(state).__name__}-{number}-{type(input_).__name__}")
    for state, outcomes in TABLE
    for number, (input_, (after, done)) in enumerate(zip(INPUTS, outcomes, strict=True))
]


def router_in(state: LeasedState, params: RouterParams = PARAMS) -> LeasedRouter:
    router = LeasedRouter(params)
    router.memory = Memory(state, renewed_at=at(0))
    return router


@pytest.mark.req("B-06")
@pytest.mark.parametrize(("state", "input_", "after", "done"), PAIRS)
def test_every_pair_of_state_and_input(
    state: LeasedState, input_: LeasedInput, after: type[object], done: list[type[object]]
) -> None:
    router = router_in(state)
    effects = router.handle(NOW, input_)
    assert (type(router.state), kinds(effects)) == (after, done)
    deadline = router.deadline()
    assert deadline is None or not isinstance(router.state, Initialize)


@pytest.mark.req("B-21")
def test_only_the_lease_makes_an_owner_and_its_epoch_is_told() -> None:
    router = router_in(Standby())
    router.handle(at(10_000), TimerFired())
    assert isinstance(router.state, Standby)
    assert bodies(router.handle(at(10_000), LeaseHeld(41))) == [
        BecameActive(KEY, "vip", Reason.LEASE_GRANTED, 100, epoch=41)
    ]


@pytest.mark.req("B-19", "N-13")
def test_one_that_goes_on_by_a_lease_that_is_good_owns_under_its_epoch_and_waits_in_no_quarantine() -> None:
    stateful = replace(PARAMS, quarantine=Quarantine.WAIT)
    router = LeasedRouter(stateful)
    effects = router.handle(NOW, Resume(41))
    assert bodies(effects) == [BecameActive(KEY, "vip", Reason.ADDRESSES_HELD, 100, epoch=41)]
    assert router.wish(NOW) == Wanted(LEASE, timedelta(0))


@pytest.mark.req("B-21")
def test_the_addresses_are_silent_before_the_lease_is_given_up() -> None:
    router = router_in(ACTIVE)
    effects = router.handle(NOW, Shutdown())
    assert effects[0] == ReleaseAddresses(PARAMS.addresses)
    assert router.wish(NOW) is None


def test_who_is_fit_wants_the_lease_and_lets_better_ones_go_first() -> None:
    assert router_in(Initialize()).wish(NOW) is None
    assert router_in(Standby()).wish(NOW) == Wanted(LEASE, patience(D, 100))
    assert router_in(Bidding(at(1), at(1))).wish(NOW) == Wanted(LEASE, timedelta(0))
    assert router_in(ACTIVE).wish(NOW) == Wanted(LEASE, timedelta(0))
    assert router_in(Standby(held_out=True)).wish(NOW) is None
    assert router_in(Standby(waits_until=at(60))).wish(at(59)) is None
    assert router_in(Standby(waits_until=at(60))).wish(at(60)) is not None


def returning(failback: Failback = Failback.PREFER) -> LeasedRouter:
    """One of priority 150 that has heard an owner of 100, in time, and whose store answers."""
    router = LeasedRouter(replace(PARAMS, priority=150, failback=failback))
    router.handle(at(0), Startup())
    for ms in range(100, 500, 100):
        router.handle(at(ms), heard(100, at(ms)))
        router.handle(at(ms), LeaseElsewhere())
    return router


@pytest.mark.req("B-05")
def test_a_better_one_that_returns_bids_after_its_active_down_interval_and_owns_when_granted() -> None:
    router = returning()
    down = 3 * INTERVAL + INTERVAL * 106 / 256
    deadline = router.deadline()
    assert deadline is not None
    assert deadline.at == at(100) + down
    effects = router.handle(deadline.at, TimerFired())
    assert effects == [Advertise(150), Emit(BidMade(KEY, "vip", 150))]
    assert router.handle(deadline.at + INTERVAL, TimerFired()) == [Advertise(150)]
    [became] = bodies(router.handle(deadline.at + INTERVAL, LeaseHeld(9)))
    assert became == BecameActive(KEY, "vip", Reason.PREEMPTED_LOWER, 150, epoch=9)


@pytest.mark.req("B-05")
@pytest.mark.parametrize("failback", [Failback.STICKY, Failback.MANUAL])
def test_who_does_not_fail_back_makes_no_bid(failback: Failback) -> None:
    router = returning(failback)
    for ms in range(500, 5_000, 100):
        router.handle(at(ms), heard(100, at(ms)))
        assert router.handle(at(ms), TimerFired()) == []


def test_a_returned_one_that_is_held_out_is_not_granted_before_it_is_admitted() -> None:
    router = LeasedRouter(replace(PARAMS, priority=150, failback=Failback.MANUAL))
    router.handle(at(0), Startup())
    assert bodies(router.handle(at(100), heard(100, at(100)))) == [HeldOut(KEY, "vip", PEER, 100)]
    assert router.handle(at(110), LeaseHeld(9)) == []
    deadline = router.deadline()
    assert deadline is not None
    assert bodies(router.handle(deadline.at, TimerFired())) == [NobodyOwns(KEY, "vip")]
    assert router.handle(deadline.at, TimerFired()) == []
    assert bodies(router.handle(deadline.at, Admit())) == [Admitted(KEY, "vip")]
    assert router.wish(deadline.at) is not None


@pytest.mark.req("N-13")
def test_an_owner_that_renews_its_lease_is_not_missed_though_nothing_is_heard_of_it() -> None:
    router = LeasedRouter(replace(PARAMS, failback=Failback.MANUAL, quarantine=Quarantine.LAST))
    router.handle(at(0), Startup())
    for ms in range(0, 10_000, 250):
        router.handle(at(ms), LeaseElsewhere())
        assert router.handle(at(ms + 249), TimerFired()) == []
    deadline = router.deadline()
    assert deadline is not None
    assert bodies(router.handle(deadline.at, TimerFired())) == [QuarantineLifted(KEY, "vip")]


@pytest.mark.req("B-20")
def test_nobody_bids_whom_the_store_does_not_answer() -> None:
    router = returning()
    down = at(100) + 3 * INTERVAL + INTERVAL * 106 / 256
    late = down + D  # the last word of the store is older than half a lease
    router.handle(late, heard(100, late))
    assert router.handle(late, TimerFired()) == []
    assert isinstance(router.state, Standby)
    assert router.state.bid_at == late + NEAREST_BID


def test_a_bid_that_is_not_answered_ends_and_comes_again_after_a_pause() -> None:
    router = router_in(Bidding(until=at(1500), advertise_at=at(1500)), replace(PARAMS, priority=150))
    assert bodies(router.handle(at(1500), TimerFired())) == [BidInVain(KEY, "vip")]
    assert isinstance(router.state, Standby)
    assert router.state.bid_at == at(1500) + BID_PAUSE


@pytest.mark.req("B-20")
def test_an_owner_gives_way_to_a_bid_once_and_takes_back_what_the_bidder_cannot_take() -> None:
    router = router_in(ACTIVE)
    [became] = bodies(router.handle(NOW, heard(150)))
    assert became == BecameBackup(KEY, "vip", Reason.HIGHER_PRIORITY, PEER, 150)
    assert router.gave_way(NOW)
    assert router.wish(NOW) is None
    assert router.wish(NOW + D) is not None
    router.handle(NOW + D, TimerFired())
    router.handle(NOW + D, LeaseHeld(10))
    assert ReleaseAddresses not in kinds(router.handle(NOW + D, heard(150, NOW + D)))
    router.handle(NOW + BID_PAUSE, LeaseHeld(10))
    assert ReleaseAddresses in kinds(router.handle(NOW + BID_PAUSE, heard(150, NOW + BID_PAUSE)))


@pytest.mark.req("B-20")
def test_an_owner_that_saw_another_take_it_heeds_the_next_bid_at_once() -> None:
    """Its link fails twice within seconds: what keeps a bidder in vain from asking again must not keep the VIP here."""
    router = router_in(ACTIVE)
    router.handle(NOW, heard(150))
    router.handle(NOW + D, TimerFired())
    router.handle(NOW + D, LeaseElsewhere())
    router.handle(NOW + 2 * D, LeaseHeld(11))
    assert ReleaseAddresses in kinds(router.handle(NOW + 2 * D, heard(150, NOW + 2 * D)))


@pytest.mark.req("B-20")
@pytest.mark.parametrize(("quiet", "heeds"), [(D / 2, True), (D / 2 + timedelta(microseconds=1), False)])
def test_an_owner_heeds_a_bid_only_while_its_lease_is_renewed(quiet: timedelta, heeds: bool) -> None:
    """Cut off from its keeper or the store it could tell nobody, and nobody would own until the lease is over."""
    router = router_in(Standby())
    for grant in (NOW, NOW + D):
        router.handle(grant, LeaseHeld(9))
    then = NOW + D + quiet
    assert (ReleaseAddresses in kinds(router.handle(then, heard(150, then)))) is heeds
    assert isinstance(router.state, Standby if heeds else Active)


@pytest.mark.req("B-20")
def test_an_owner_whose_keeper_is_back_heeds_the_bid_that_goes_on() -> None:
    router = router_in(Standby())
    router.handle(NOW, LeaseHeld(9))
    router.handle(NOW + D, heard(150, NOW + D))
    assert isinstance(router.state, Active)
    router.handle(NOW + D, LeaseHeld(9))
    router.handle(NOW + D, heard(150, NOW + D))
    assert isinstance(router.state, Standby)


@pytest.mark.req("B-20")
def test_who_is_told_to_step_aside_gives_its_lease_up_but_for_a_peer_of_which_nobody_knows_whether_it_can() -> None:
    router = router_in(ACTIVE, replace(PARAMS, priority=1, barred=True))
    assert router.handle(NOW, StepAside(Reason.BARRED)) == []
    assert router.wish(NOW) is not None
    assert kinds(router.handle(NOW, StepAside(Reason.MOVED))) == [*LEAVE, BecameBackup]
    assert router.wish(NOW + D) is None  # barred: a better one has the time it needs


def test_the_silence_of_an_owner_proves_nothing() -> None:
    router = router_in(Standby(joining=True))
    router.handle(at(0), heard(150, at(0)))
    assert router.deadline() is None
    assert router.handle(at(60_000), TimerFired()) == []


STEPS = st.lists(st.tuples(st.sampled_from(INPUTS), st.integers(0, 2_000_000)), max_size=60)


@pytest.mark.req("B-21")
@given(STEPS)
def test_addresses_are_held_if_and_only_if_active_and_active_only_between_grant_and_end(
    steps: list[tuple[LeasedInput, int]],
) -> None:
    router, now = LeasedRouter(PARAMS), at(0)
    held = granted = False
    for step, us in steps:
        now += timedelta(microseconds=us)
        input_ = replace(step, at=now) if isinstance(step, Heard) else step
        granted = isinstance(input_, LeaseHeld | Resume) or (granted and not isinstance(input_, LeaseGone))
        for effect in router.handle(now, input_):
            held = isinstance(effect, ClaimAddresses) or (held and not isinstance(effect, ReleaseAddresses))
        assert held == isinstance(router.state, Active)
        assert granted or not held
        assert router.wish(now) is not None or not held
