"""One virtual router whose owner must hold a lease: the lease says whether, VRRP's priorities say who tries first.

It speaks VRRP as any other does: its owner advertises, so that the others see it and a foreign router is noticed. But
nobody takes over because an owner fell silent, for silence does not prove death: whoever is fit wants the lease, later
the lower its priority, and owns when it is given (yaoki.election.lease). A node of higher priority that returns *bids*:
it advertises without owning, and the owner, hearing that, gives the lease up. It bids only while the store answers it,
so that an owner does not give way to one that cannot take over; and an owner gives way only while its own lease is
renewed, for it could not tell a keeper or a store that does not answer, and nobody would own until the lease is over.

Breaking always comes before making here: addresses are released before the lease is.

Invariants: the addresses are held if and only if the state is Active; only a lease makes a router Active, and its end
ends that; one in quarantine wants no lease; `deadline` is None only in Initialize.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.event import Emit
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.core.machine import TimerFired
from yaoki.election.lease_params import LeaseParams, patience
from yaoki.vrrp.active import become_active, in_active, priority_change
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.backup import quarantine_told
from yaoki.vrrp.events import (
    Admitted,
    BecameBackup,
    BidInVain,
    BidMade,
    HeldOut,
    NobodyOwns,
    QuarantineLifted,
    Reason,
    RouterInitialized,
)
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
from yaoki.vrrp.params import Failback, Quarantine, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    ActiveGone,
    Admit,
    Advertise,
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
from yaoki.vrrp.standing import LEAST_PRIORITY
from yaoki.vrrp.timing import active_down_interval

BID_PAUSE = timedelta(seconds=10)
"""After a bid that the owner did not answer; and after having given way in vain, how long further bids are not heeded:
who bids and cannot take over shall not take the address down again and again."""
NEAREST_BID = timedelta(seconds=1)
"""How soon a bid is thought of again that had to wait for the store."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lease that is wanted, and how long others go first."""

    params: LeaseParams
    patience: timedelta


_Outcome = tuple[LeasedState, list[Effect]]


class LeasedRouter:
    """The Machine around `step`: holds the memory, and derives the deadline from it.

    `params.lease` names the lease; `params.source` must be known by the Startup.
    """

    def __init__(self, params: RouterParams) -> None:
        assert params.lease is not None, "a leased router is made for a lease"
        self.params = params
        self.memory = Memory(Initialize())

    @property
    def state(self) -> LeasedState:
        return self.memory.state

    def handle(self, now: Instant, input_: LeasedInput, /) -> list[Effect]:
        """See yaoki.core.machine.Machine."""
        self.memory, effects = step(self.params, self.memory, now, input_)
        if isinstance(input_, Reconfigure):
            self.params = input_.params
        return effects

    def deadline(self) -> Deadline | None:
        """See yaoki.core.machine.Machine."""
        match self.state:
            case Initialize():
                return None
            case Standby() as state:
                wish = None if state.waits_until is None else Deadline(state.waits_until, "end of giving way")
                bid = None if state.bid_at is None else Deadline(state.bid_at, "bid")
                silent = None if state.silent_at is None else Deadline(state.silent_at, "owner silent")
                return earliest(wish, bid, silent)
            case Bidding(until=until, advertise_at=advertise_at):
                return earliest(Deadline(until, "end of bid"), Deadline(advertise_at, "Adver_Timer"))
            case Active(advertise_at=advertise_at, announce_at=announce_at):
                return earliest(Deadline(advertise_at, "Adver_Timer"), Deadline(announce_at, "announcement"))
            case _:
                assert_never(self.state)

    @property
    def lease(self) -> LeaseParams:
        """The lease that its owner must hold."""
        assert self.params.lease is not None, "a leased router keeps its lease"
        return self.params.lease

    def gave_way(self, now: Instant) -> bool:
        """Whether it gave way to a bid at this very moment."""
        return self.memory.yielded_at == now and not isinstance(self.state, Active)

    def wish(self, now: Instant) -> Wanted | None:
        """The lease, if it is wanted or held on to, and how long others go first once it may be taken."""
        match self.state:
            case Initialize():
                return None
            case Standby(waits_until=waits_until, held_out=held_out):
                if held_out or self.params.barred or (waits_until is not None and now < waits_until):
                    return None
                return Wanted(self.lease, patience(self.lease.duration, self.params.priority))
            case Bidding() | Active():
                return Wanted(self.lease, timedelta(0))
            case _:
                assert_never(self.state)


def step(params: RouterParams, memory: Memory, now: Instant, input_: LeasedInput) -> tuple[Memory, list[Effect]]:
    """The memory after `input_` at `now`, and what is to be done, in order."""
    match memory.state:
        case Initialize() as state:
            after, effects = _in_initialize(params, state, now, input_)
        case Standby() as state:
            after, effects = _in_standby(params, state, now, input_)
        case Bidding() as state:
            after, effects = _in_bidding(params, state, now, input_)
        case Active() as state:
            if isinstance(input_, Heard) and (reason := _gives_way(params, memory, now, input_)) is not None:
                after, effects = _give_way(params, now, reason, input_)
                return replace(memory, state=after, yielded_at=now), effects
            after, effects = _while_active(params, state, now, input_)
        case _:
            assert_never(memory.state)
    renewed_at = now if isinstance(input_, LeaseHeld) else memory.renewed_at
    # Whoever was given way to has taken it: that was not in vain.
    yielded_at = None if isinstance(input_, LeaseElsewhere) else memory.yielded_at
    return replace(memory, state=after, yielded_at=yielded_at, renewed_at=renewed_at), effects


def _in_initialize(params: RouterParams, state: Initialize, now: Instant, input_: LeasedInput) -> _Outcome:
    match input_:
        case Startup(held):
            # Addresses that the kernel holds from before are released by the assembly until the lease is ours again.
            # Where it still answered for them, the lease that it owned by is good, and nobody else has owned since.
            returns = not (held or state.current)
            standby, told = _standing_by(params, now, quarantined=returns and params.quarantines)
            return replace(standby, joining=True), [Emit(BecameBackup(params.key, params.vip, Reason.STARTED)), *told]
        case Resume(epoch):
            # Nobody else has owned since, so what is here is current.
            return _own(params, now, Reason.ADDRESSES_HELD, epoch)
        case Shutdown(reason) | InterfaceLost(reason):
            return Initialize(reason, state.current), []
        case StepAside() | ActiveGone() | TimerFired() | Heard() | LinkRenewed() | Admit() | Reconfigure():
            return state, []
        case LeaseHeld() | LeaseGone() | LeaseElsewhere() | GiveWay():
            return state, []
        case _:
            assert_never(input_)


# --- waiting ----------------------------------------------------------------------------------------------------------


def _in_standby(params: RouterParams, state: Standby, now: Instant, input_: LeasedInput) -> _Outcome:
    match input_:
        case LeaseHeld(epoch):
            if state.held_out or params.barred or state.waits_until is not None:
                return state, []  # granted before we stopped wanting it; it is given up
            return _own(params, now, Reason.LEASE_GRANTED, epoch)
        case Heard():
            return _heard_in_standby(params, state, input_)
        case TimerFired():
            return _timers_of_standby(params, state, now)
        case LeaseElsewhere():
            # An owner that renews its lease has not fallen silent, whatever is lost of what it says on the wire.
            heard = now + _silence(params)
            silent_at = max(state.silent_at or heard, heard) if state.held_out else None
            return replace(state, store_heard=now, silent_at=silent_at), []
        case GiveWay():
            return replace(state, waits_until=now + _duration(params)), []
        case Admit():
            if not state.held_out:
                return state, []
            admitted = replace(state, held_out=False, silent_at=None, joining=False)
            return admitted, [Emit(Admitted(params.key, params.vip))]
        case Shutdown(reason) | InterfaceLost(reason):
            current = params.quarantines and not state.held_out
            return Initialize(reason, current), [Emit(RouterInitialized(params.key, params.vip, reason))]
        case Reconfigure(after):
            held_out = state.held_out and (after.failback is Failback.MANUAL or after.quarantines)
            renewed = replace(state, bid_at=None, held_out=held_out)
            return renewed, priority_change(params, after)
        case Startup() | Resume() | LinkRenewed() | StepAside() | ActiveGone() | LeaseGone():
            return state, []
        case _:
            assert_never(input_)


def _heard_in_standby(params: RouterParams, state: Standby, heard: Heard) -> _Outcome:
    priority = heard.advertisement.priority
    if priority == 0:
        return state, []  # its owner leaves; the lease will tell
    silent_at = None if not state.held_out else heard.at + _down(params, heard.advertisement)
    if priority >= params.priority:
        return replace(state, bid_at=None, lower_heard=None, joining=False, silent_at=silent_at), []
    if state.joining and params.failback is Failback.MANUAL and not state.held_out:
        held_out = replace(state, joining=False, held_out=True, silent_at=heard.at + _down(params, heard.advertisement))
        return held_out, [Emit(HeldOut(params.key, params.vip, heard.source, priority))]
    bid_at = state.bid_at
    # An owner that has lost more of its priority than we have gives way, whatever failback says.
    failing = priority == LEAST_PRIORITY or heard.peak - priority > params.lowered
    if bid_at is None and (params.failback is Failback.PREFER or failing) and not (state.held_out or params.barred):
        bid_at = heard.at + _down(params, heard.advertisement)
    return replace(state, joining=False, bid_at=bid_at, lower_heard=heard.at, silent_at=silent_at), []


def _timers_of_standby(params: RouterParams, state: Standby, now: Instant) -> _Outcome:
    effects: list[Effect] = []
    if state.waits_until is not None and now >= state.waits_until:
        state = replace(state, waits_until=None)
    if state.silent_at is not None and now >= state.silent_at:
        last = params.quarantine is Quarantine.LAST
        nobody = QuarantineLifted(params.key, params.vip) if last else NobodyOwns(params.key, params.vip)
        effects.append(Emit(nobody))
        state = replace(state, silent_at=None, held_out=state.held_out and not last)
    if state.bid_at is None or now < state.bid_at:
        return state, effects
    if state.lower_heard is None or now - state.lower_heard > _own_down(params):
        return replace(state, bid_at=None), effects  # there is nobody to bid against; the lease will come by itself
    if state.store_heard is None or now - state.store_heard > _silence(params):
        return replace(state, bid_at=now + NEAREST_BID), effects
    bidding = Bidding(until=now + _duration(params), advertise_at=now + params.interval)
    return bidding, [*effects, Advertise(params.priority), Emit(BidMade(params.key, params.vip, params.priority))]


def _in_bidding(params: RouterParams, state: Bidding, now: Instant, input_: LeasedInput) -> _Outcome:
    match input_:
        case LeaseHeld(epoch):
            return _own(params, now, Reason.PREEMPTED_LOWER, epoch)
        case Heard(advertisement):
            if advertisement.priority >= params.priority:
                return Standby(), []  # a better one owns, or bids
            return state, []
        case TimerFired():
            if now >= state.until:
                return Standby(bid_at=now + BID_PAUSE), [Emit(BidInVain(params.key, params.vip))]
            if now < state.advertise_at:
                return state, []
            return replace(state, advertise_at=now + params.interval), [Advertise(params.priority)]
        case GiveWay():
            return Standby(now + _duration(params)), []
        case Shutdown(reason) | InterfaceLost(reason):
            initialized = Emit(RouterInitialized(params.key, params.vip, reason))
            return Initialize(reason, params.quarantines), [initialized]
        case Reconfigure(after):
            return Standby(), priority_change(params, after)
        case Startup() | Resume() | LinkRenewed() | Admit() | StepAside() | ActiveGone():
            return state, []
        case LeaseGone() | LeaseElsewhere():
            return state, []
        case _:
            assert_never(input_)


# --- owning -----------------------------------------------------------------------------------------------------------


def _own(params: RouterParams, now: Instant, reason: Reason, epoch: int) -> _Outcome:
    active, effects = become_active(params, now, reason, epoch=epoch)
    assert isinstance(active, Active), "who becomes Active is"
    return active, effects


def _while_active(params: RouterParams, state: Active, now: Instant, input_: LeasedInput) -> _Outcome:
    match input_:
        case LeaseGone(reason):
            # Whoever holds it now, it was not given to.
            standby, told = _standing_by(params, now, quarantined=params.quarantines)
            return standby, [*_fall_silent(params, BecameBackup(params.key, params.vip, reason)), *told]
        case GiveWay(reason):
            return _give_way(params, now, reason, None)
        case StepAside(Reason.BARRED | Reason.HINDERED):
            # A peer that may own may be cut off from the store; one that is not bids.
            return state, []
        case StepAside(reason):
            # Time for another member to take it; a lease that nobody takes comes back.
            return _standing_aside(params, now), _fall_silent(params, BecameBackup(params.key, params.vip, reason))
        case Shutdown(reason):
            return Initialize(reason), _fall_silent(params, RouterInitialized(params.key, params.vip, reason))
        case InterfaceLost(reason):
            initialized = Emit(RouterInitialized(params.key, params.vip, reason))
            return Initialize(reason), [ReleaseAddresses(params.addresses), initialized]
        case TimerFired() | Heard() | LinkRenewed() | Reconfigure():
            return _as_any_owner(params, state, now, input_)
        case Startup() | Resume() | Admit() | ActiveGone() | LeaseHeld() | LeaseElsewhere():
            return state, []
        case _:
            assert_never(input_)


def _as_any_owner(
    params: RouterParams, state: Active, now: Instant, input_: TimerFired | Heard | LinkRenewed | Reconfigure
) -> _Outcome:
    """Advertising, announcing and asserting itself are as without a lease. Who is not heeded is as if it were lower."""
    if isinstance(input_, Heard):
        low = replace(input_.advertisement, priority=min(input_.advertisement.priority, params.priority - 1))
        input_ = replace(input_, advertisement=low)
    after, effects = in_active(params, state, now, input_)
    assert isinstance(after, Active), "these inputs end no ownership"
    return after, effects


def _gives_way(params: RouterParams, memory: Memory, now: Instant, heard: Heard) -> Reason | None:
    """Whether an owner gives its lease up to what it hears: a bid."""
    if memory.yielded_at is not None and now - memory.yielded_at < BID_PAUSE:
        return None
    if memory.renewed_at is None or now - memory.renewed_at > _silence(params):
        return None
    priority = heard.advertisement.priority
    if priority > params.priority:
        return Reason.HIGHER_PRIORITY
    return None


def _give_way(params: RouterParams, now: Instant, reason: Reason, heard: Heard | None) -> _Outcome:
    peer: IPAddress | None = None if heard is None else heard.source
    priority = None if heard is None else heard.advertisement.priority
    became = BecameBackup(params.key, params.vip, reason, peer, priority)
    return _standing_aside(params, now), _fall_silent(params, became)


def _standing_by(params: RouterParams, now: Instant, *, quarantined: bool) -> tuple[Standby, list[Effect]]:
    """Not the owner, and in quarantine or not. Nobody is missed before whoever can has had time to take the lease."""
    if not quarantined:
        return Standby(), []
    silent_at = now + _own_down(params) + 2 * _duration(params)
    return Standby(held_out=True, silent_at=silent_at), quarantine_told(params, held_out=True)


def _standing_aside(params: RouterParams, now: Instant) -> Standby:
    return Standby(waits_until=now + _duration(params))


def _fall_silent(params: RouterParams, said: BecameBackup | RouterInitialized) -> list[Effect]:
    """The addresses first: the lease is given up only when nobody is answered any more."""
    return [ReleaseAddresses(params.addresses), Advertise(0), Emit(said)]


# --- shared -----------------------------------------------------------------------------------------------------------


def _duration(params: RouterParams) -> timedelta:
    assert params.lease is not None, "a leased router keeps its lease"
    return params.lease.duration


def _silence(params: RouterParams) -> timedelta:
    """Three renewals: whoever has heard nothing of the lease for longer is cut off from its keeper or its store."""
    return _duration(params) / 2


def _down(params: RouterParams, advertisement: Advertisement) -> timedelta:
    return active_down_interval(version=params.version, priority=params.priority, interval=advertisement.interval)


def _own_down(params: RouterParams) -> timedelta:
    return active_down_interval(version=params.version, priority=params.priority, interval=params.interval)
