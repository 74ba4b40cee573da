"""One virtual router (RFC 9568, section 6.4; version 2 after RFC 3768, section 6.4). Pure: no clock, no socket.

Where it goes beyond the RFCs, for the reasons beside the code:
- on taking over it claims and announces the addresses before it advertises, so that the loser leaves when we are ready;
- on giving way it sends one last advertisement of its own, which makes the winner announce the addresses again;
- an Active router that hears a lower one announces, too (RFC 9568 advertises only), at most each REACTION_GAP;
- a router whose addresses are in the kernel from before (restart) starts Active, and the election settles the rest;
- a Backup that was stopped beyond its timer waits for one more advertisement before it takes over.

Invariants: the addresses are held if and only if the state is Active; of two routers that hear each other one stays
Active; `deadline` is None only in Initialize.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.events import (
    Admitted,
    Barred,
    BecameActive,
    BecameBackup,
    HeldOut,
    IntervalLearnt,
    NoBetterOwner,
    NobodyOwns,
    PeerReleased,
    PriorityChanged,
    Reason,
    RouterInitialized,
    SecondOwnerSuspected,
    Unbarred,
)
from yaoki.vrrp.params import Failback, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    Admit,
    Advertise,
    AnnounceAddresses,
    Backup,
    ClaimAddresses,
    Effect,
    Heard,
    Initialize,
    Input,
    InterfaceLost,
    LinkRenewed,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    State,
)
from yaoki.vrrp.standing import LEAST_PRIORITY, OWNER_PRIORITY
from yaoki.vrrp.timing import REACTION_GAP, active_down_interval, announcement_pause, skew_time

# One event for all the lower advertisements heard within this time.
SUSPICION_QUIET = timedelta(seconds=10)

Outcome = tuple[State, list[Effect]]


class VirtualRouter:
    """The Machine around `step`: holds the state, and derives the deadline from it.

    `params.source` must be known by the Startup.
    """

    def __init__(self, params: RouterParams) -> None:
        self.params = params
        self.state: State = Initialize()

    def handle(self, now: Instant, input_: Input, /) -> list[Effect]:
        self.state, effects = step(self.params, self.state, now, input_)
        if isinstance(input_, Reconfigure):
            self.params = input_.params
        return effects

    def deadline(self) -> Deadline | None:
        match self.state:
            case Active(advertise_at=advertise_at, announce_at=announce_at):
                if advertise_at <= announce_at:
                    return Deadline(advertise_at, "Adver_Timer")
                return Deadline(announce_at, "announcement")
            case Backup(active_down_at=at):
                return Deadline(at, "Active_Down_Timer")
            case Initialize():
                return None
            case _:
                assert_never(self.state)


def step(params: RouterParams, state: State, now: Instant, input_: Input) -> Outcome:
    """The state after `input_` at `now`, and what is to be done, in order."""
    match state:
        case Active():
            return _in_active(params, state, now, input_)
        case Backup():
            return _in_backup(params, state, now, input_)
        case Initialize():
            return _in_initialize(params, state, now, input_)
        case _:
            assert_never(state)


# --- section 6.4.1 ----------------------------------------------------------------------------------------------------


def _in_initialize(params: RouterParams, state: Initialize, now: Instant, input_: Input) -> Outcome:
    match input_:
        case Startup(held):
            if params.priority == OWNER_PRIORITY:
                return _become_active(params, now, Reason.OWNS_ADDRESSES)
            if held:
                return _become_active(params, now, Reason.ADDRESSES_HELD)
            return _become_backup(params, now, Reason.STARTED)
        case Shutdown(reason) | InterfaceLost(reason):
            return Initialize(reason), []
        case TimerFired() | Heard() | LinkRenewed() | Admit() | Reconfigure():
            return state, []
        case _:
            assert_never(input_)


# --- section 6.4.2 ----------------------------------------------------------------------------------------------------


def _in_backup(params: RouterParams, state: Backup, now: Instant, input_: Input) -> Outcome:
    match input_:
        case Heard():
            return _heard_in_backup(params, state, input_)
        case TimerFired():
            if now < state.active_down_at:
                return state, []
            if state.held_out or params.barred:
                return _stay_out(params, state, now)
            if not state.roused and now - state.active_down_at >= state.active_adver_interval:
                return _listen_again(params, state, now), []
            return _become_active(params, now, state.outlook)
        case Shutdown(reason) | InterfaceLost(reason):
            return Initialize(reason), [Emit(RouterInitialized(params.key, params.vip, reason))]
        case Admit():
            if not state.held_out:
                return state, []
            at = now if state.alone else state.active_down_at
            admitted = replace(state, active_down_at=at, held_out=False, alone=False)
            return admitted, [Emit(Admitted(params.key, params.vip))]
        case Reconfigure(after):
            return _reconfigured_in_backup(params, state, now, after)
        case Startup() | LinkRenewed():
            return state, []
        case _:
            assert_never(input_)


def _heard_in_backup(params: RouterParams, state: Backup, heard: Heard) -> Outcome:
    advertisement = heard.advertisement
    if advertisement.priority == 0:
        # RFC 9568 6.4.2: priority zero means that the Active router leaves: set the Active_Down_Timer to Skew_Time.
        at = heard.at + skew_time(
            version=params.version, priority=params.priority, interval=state.active_adver_interval
        )
        leaving = replace(state, active_down_at=at, outlook=Reason.ACTIVE_RELEASED)
        news = state.outlook is not Reason.ACTIVE_RELEASED
        return leaving, [Emit(PeerReleased(params.key, heard.source))] if news else []
    failing = not _preempts(params) and _is_failing(params, state, heard)
    if advertisement.priority < params.priority and (_preempts(params) or failing):
        # RFC 9568 6.4.2: discard it, so that the timer runs out.
        outlook = Reason.ACTIVE_FAILING if failing else Reason.PREEMPTED_LOWER
        if state.outlook is outlook:
            return state, []
        return replace(state, outlook=outlook), []
    # RFC 9568 6.4.2: the Active router's interval counts. RFC 3768 7.1: one that differs was rejected before.
    interval = advertisement.interval
    down = active_down_interval(version=params.version, priority=params.priority, interval=interval)
    effects: list[Effect] = []
    if interval != state.active_adver_interval:
        effects.append(Emit(IntervalLearnt(params.key, heard.source, interval, params.interval)))
    held_out = state.held_out
    if state.joining and params.failback is Failback.MANUAL and advertisement.priority < params.priority:
        held_out = True
        effects.append(Emit(HeldOut(params.key, params.vip, heard.source, advertisement.priority)))
    return Backup(heard.at + down, interval, Reason.ACTIVE_SILENT, held_out=held_out), effects


def _is_failing(params: RouterParams, state: Backup, heard: Heard) -> bool:
    """Whether the Active router has lost more of its priority than we have of ours. Then it gives way whatever failback
    says (RFC 9568 knows no such thing): failback is about a router that returns, and this one is healthier. Of two that
    have lost the same the Active one stays. The least priority is that of a router that may not own any more."""
    if state.held_out or (state.joining and params.failback is Failback.MANUAL):
        return False
    priority = heard.advertisement.priority
    return priority == LEAST_PRIORITY or heard.peak - priority > params.lowered


def _listen_again(params: RouterParams, state: Backup, now: Instant) -> Backup:
    """We were stopped for more than an interval beyond our timer. What the Active router sent meanwhile may have found
    the socket's buffer full, so its silence proves nothing: one more advertisement is waited for, and only one."""
    skew = skew_time(version=params.version, priority=params.priority, interval=state.active_adver_interval)
    return replace(state, active_down_at=now + state.active_adver_interval + skew, roused=True)


def _stay_out(params: RouterParams, state: Backup, now: Instant) -> Outcome:
    down = active_down_interval(version=params.version, priority=params.priority, interval=state.active_adver_interval)
    waiting = replace(state, active_down_at=now + down, alone=True)
    return waiting, [] if state.alone else [Emit(NobodyOwns(params.key, params.vip))]


def _reconfigured_in_backup(params: RouterParams, state: Backup, now: Instant, after: RouterParams) -> Outcome:
    effects = _priority_change(params, after)
    if after.priority == OWNER_PRIORITY:
        active, taking = _become_active(after, now, Reason.OWNS_ADDRESSES)
        return active, effects + taking
    # What was learnt from an Active router stays learnt; otherwise the interval is our own.
    own = state.active_adver_interval == params.interval or after.version == 2
    interval = after.interval if own else state.active_adver_interval
    timer = skew_time if state.outlook is Reason.ACTIVE_RELEASED else active_down_interval
    started = state.active_down_at - timer(
        version=params.version, priority=params.priority, interval=state.active_adver_interval
    )
    at = started + timer(version=after.version, priority=after.priority, interval=interval)
    held_out = state.held_out and after.failback is Failback.MANUAL
    alone = state.alone and (held_out or after.barred)
    if state.alone and not alone:
        # Nobody has been heard for longer than the timer, and nothing holds this router out any more.
        at = now
    return (
        replace(state, active_down_at=at, active_adver_interval=interval, held_out=held_out, alone=alone),
        effects,
    )


def _become_backup(params: RouterParams, now: Instant, reason: Reason) -> Outcome:
    # RFC 9568 6.4.1: set the Active_Adver_Interval to the Advertisement_Interval, start the Active_Down_Timer.
    down = active_down_interval(version=params.version, priority=params.priority, interval=params.interval)
    state = Backup(now + down, params.interval, Reason.NOBODY_HEARD, joining=True)
    return state, [Emit(BecameBackup(params.key, params.vip, reason))]


# --- section 6.4.3 ----------------------------------------------------------------------------------------------------


def _in_active(params: RouterParams, state: Active, now: Instant, input_: Input) -> Outcome:
    match input_:
        case TimerFired():
            return _timers_of_active(params, state, now)
        case Heard(advertisement, source):
            reason = _gives_way(params, advertisement, source)
            if reason is not None:
                return _give_way(params, input_, reason)
            return _assert_ownership(params, state, now, input_)
        case Shutdown(reason):
            # RFC 9568 6.4.3: send an advertisement with priority zero.
            initialized = Emit(RouterInitialized(params.key, params.vip, reason))
            return Initialize(reason), [Advertise(0), ReleaseAddresses(params.addresses), initialized]
        case InterfaceLost(reason):
            initialized = Emit(RouterInitialized(params.key, params.vip, reason))
            return Initialize(reason), [ReleaseAddresses(params.addresses), initialized]
        case LinkRenewed():
            return _announce_again(params, state, now)
        case Reconfigure(after):
            return _reconfigured_in_active(params, state, now, after)
        case Startup() | Admit():
            return state, []
        case _:
            assert_never(input_)


def _timers_of_active(params: RouterParams, state: Active, now: Instant) -> Outcome:
    effects: list[Effect] = []
    advertise_at, advertised_at = state.advertise_at, state.advertised_at
    announce_at, announced_at, announcements = state.announce_at, state.announced_at, state.announcements
    if announce_at <= now:
        effects.append(AnnounceAddresses(params.addresses))
        announcements += 1
        announce_at, announced_at = now + announcement_pause(announcements), now
    if advertise_at <= now:
        effects.append(Advertise(params.priority))
        advertise_at, advertised_at = advertise_at + params.interval, now
        if advertise_at <= now:
            # Called more than an interval late: what was missed is not made up for.
            advertise_at = now + params.interval
    if not effects:
        return state, effects
    return (
        Active(state.since, advertise_at, advertised_at, announce_at, announced_at, announcements, state.suspected_at),
        effects,
    )


def _gives_way(params: RouterParams, advertisement: Advertisement, source: IPAddress) -> Reason | None:
    """Why an Active router has lost to this advertisement; None if it has not. Preempt_Mode is not looked at here."""
    # RFC 9568 7.1: the owner of the addresses discards what it hears.
    if params.priority == OWNER_PRIORITY:
        return None
    if advertisement.priority > params.priority:
        return Reason.HIGHER_PRIORITY
    # RFC 9568 6.4.3: of equal ones the greater primary address wins.
    if advertisement.priority == params.priority and params.source is not None and int(source) > int(params.source):
        return Reason.GREATER_ADDRESS
    return None


def _give_way(params: RouterParams, heard: Heard, reason: Reason) -> Outcome:
    """The last advertisement of ours makes the winner announce the addresses: after a partition has healed ours was
    the last announcement, and the neighbours would go on sending here."""
    advertisement = heard.advertisement
    down = active_down_interval(version=params.version, priority=params.priority, interval=advertisement.interval)
    state = Backup(heard.at + down, advertisement.interval, Reason.ACTIVE_SILENT)
    became = BecameBackup(params.key, params.vip, reason, heard.source, advertisement.priority)
    return state, [Advertise(params.priority), ReleaseAddresses(params.addresses), Emit(became)]


def _assert_ownership(params: RouterParams, state: Active, now: Instant, heard: Heard) -> Outcome:
    """Another router was Active, too. RFC 9568 6.4.3: advertise at once. It may have announced the addresses, so
    announce, too; version 2 (RFC 3768) only discards, which has left addresses dark for as long as ARP caches last."""
    state, effects = _announce_again(params, state, now)
    if now - state.advertised_at >= REACTION_GAP:
        effects.append(Advertise(params.priority))
        state = replace(state, advertised_at=now, advertise_at=now + params.interval)
    # Just after we took over, the former owner's last advertisement is what the protocol wants.
    settled = now - state.since >= params.interval
    quiet = state.suspected_at is not None and now - state.suspected_at < SUSPICION_QUIET
    if heard.advertisement.priority > 0 and settled and not quiet:
        state = replace(state, suspected_at=now)
        priority = heard.advertisement.priority
        effects.append(Emit(SecondOwnerSuspected(params.key, params.vip, heard.source, priority)))
    return state, effects


def _announce_again(params: RouterParams, state: Active, now: Instant) -> tuple[Active, list[Effect]]:
    """Begin the schedule of announcements anew: at once, or as soon as REACTION_GAP allows."""
    if now - state.announced_at < REACTION_GAP:
        return replace(state, announce_at=state.announced_at + REACTION_GAP, announcements=0), []
    renewed = replace(state, announce_at=now + announcement_pause(1), announced_at=now, announcements=1)
    return renewed, [AnnounceAddresses(params.addresses)]


def _reconfigured_in_active(params: RouterParams, state: Active, now: Instant, after: RouterParams) -> Outcome:
    effects = _priority_change(params, after)
    if after.barred and not params.barred:
        effects.append(Emit(NoBetterOwner(after.key, after.vip)))
    gone = tuple(address for address in params.addresses if address not in after.addresses)
    new = tuple(address for address in after.addresses if address not in params.addresses)
    if gone:
        effects.append(ReleaseAddresses(gone))
    if new:
        effects += [ClaimAddresses(new), AnnounceAddresses(new)]
        state = replace(state, announce_at=now + announcement_pause(1), announced_at=now, announcements=1)
    effects.append(Advertise(after.priority))
    return replace(state, advertised_at=now, advertise_at=now + after.interval), effects


def _become_active(params: RouterParams, now: Instant, reason: Reason) -> Outcome:
    state = Active(
        since=now,
        advertise_at=now + params.interval,
        advertised_at=now,
        announce_at=now + announcement_pause(1),
        announced_at=now,
        announcements=1,
    )
    became = BecameActive(params.key, params.vip, reason, params.priority)
    return state, [
        ClaimAddresses(params.addresses),
        AnnounceAddresses(params.addresses),
        Advertise(params.priority),
        Emit(became),
    ]


# --- shared -----------------------------------------------------------------------------------------------------------


def _preempts(params: RouterParams) -> bool:
    """RFC 9568 6.1: the owner of the addresses always preempts, whatever Preempt_Mode says."""
    return params.failback is Failback.PREFER or params.priority == OWNER_PRIORITY


def _priority_change(before: RouterParams, after: RouterParams) -> list[Effect]:
    body: EventBody
    if before.barred != after.barred:
        body = Barred(after.key, after.vip) if after.barred else Unbarred(after.key, after.vip, after.priority)
    elif before.priority != after.priority:
        body = PriorityChanged(before.key, before.vip, before.priority, after.priority)
    else:
        return []
    return [Emit(body)]
