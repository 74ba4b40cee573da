"""A virtual router on its way out, which RFC 9568 does not know: make before break.

Leaving: told to go, it has said so with priority zero (section 6.4.3), but serves on until somebody else does.
Yielding: somebody else does, and was heard; the addresses are held a moment longer, counted from hearing it, for those
who still send here. Nobody who asks is told so any more: the answers are the successor's alone.

Invariants: the addresses are held in both states, and both end: Leaving at `give_up_at`, Yielding at `release_at`; a
router that `stays` never gives its addresses up to nobody.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.event import Emit
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.active import become_active, priority_change
from yaoki.vrrp.backup import heard_in_backup, quarantine_told, reconfigured_in_backup
from yaoki.vrrp.events import Admitted, BecameBackup, HandedOver, NobodyTookOver, Reason, RouterInitialized
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.router_state import (
    ActiveGone,
    Admit,
    Advertise,
    AnnounceAddresses,
    Backup,
    Effect,
    Heard,
    HushAddresses,
    Initialize,
    Input,
    InterfaceLost,
    Leaving,
    LinkRenewed,
    Outcome,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    StepAside,
    Yielding,
)
from yaoki.vrrp.standing import LEAST_PRIORITY, OWNER_PRIORITY
from yaoki.vrrp.timing import HOLD, active_down_interval


def in_leaving(params: RouterParams, state: Leaving, now: Instant, input_: Input) -> Outcome:
    """See virtual_router.step."""
    match input_:
        case Heard():
            return _heard_in_leaving(params, state, now, input_)
        case TimerFired():
            return _timers_of_leaving(params, state, now)
        case Shutdown(reason):
            return replace(state, reason=reason, stays=False), []
        case InterfaceLost(reason):
            return _release(params, Initialize(reason))
        case LinkRenewed():
            return state, [AnnounceAddresses(params.addresses)]
        case Startup():
            return become_active(params, now, Reason.ADDRESSES_HELD)
        case Reconfigure(after):
            if after.priority == OWNER_PRIORITY:
                return become_active(after, now, Reason.OWNS_ADDRESSES)
            return state, _reconfigured(params, after)
        case StepAside() | ActiveGone() | Admit():
            return state, []
        case _:
            assert_never(input_)


def in_yielding(params: RouterParams, state: Yielding, now: Instant, input_: Input) -> Outcome:
    """See virtual_router.step."""
    match input_:
        case Heard():
            return _heard_in_yielding(params, state, now, input_)
        case TimerFired():
            return (state, []) if now < state.release_at else _end_of_hold(params, state)
        case Shutdown(reason):
            return replace(state, then=Initialize(reason)), []
        case InterfaceLost(reason):
            return _release(params, Initialize(reason))
        case Startup():
            if isinstance(state.then, Backup):
                return state, []
            then = _backup_of(params, now, params.interval, state.peer, state.peer_priority)
            then = replace(then, held_out=params.quarantines)
            return replace(state, then=then, reason=Reason.STARTED), []
        case Reconfigure(after):
            return _reconfigured_in_yielding(params, state, now, after)
        case ActiveGone(_, next_in_line):
            if next_in_line and isinstance(state.then, Backup) and not state.then.held_out:
                # The winner is gone; what we have not given up yet we keep.
                return become_active(params, now, Reason.ACTIVE_RELEASED)
            return state, []
        case Admit():
            return _admitted_in_yielding(params, state)
        case LinkRenewed() | StepAside():
            return state, []
        case _:
            assert_never(input_)


# --- Leaving ----------------------------------------------------------------------------------------------------------


def _heard_in_leaving(params: RouterParams, state: Leaving, now: Instant, heard: Heard) -> Outcome:
    advertisement, priority = heard.advertisement, heard.advertisement.priority
    if priority <= LEAST_PRIORITY and state.doubts_until is not None and heard.at < state.doubts_until:
        # The last word of the owner before. If it comes to stay after all, it will be heard again.
        return state, []
    if priority == 0:
        # That one leaves as well, and relieves nobody. Of two that serve beside each other and wait, one goes on: who
        # was not told to stop.
        return _nobody_took_over(params, state, now) if state.stays else (state, [])
    taken = HandedOver(params.key, params.vip, heard.source, priority, now - state.since)
    then: Backup | Initialize = Initialize(state.reason)
    if state.stays:
        then = _backup_of(params, heard.at, advertisement.interval, heard.source, priority)
    yielding = Yielding(heard.at + HOLD, then, state.reason, heard.source, priority)
    # It may have owned all the time, beyond a cut that is whole again: this makes it announce once more. Priority 0
    # would start the timers of those that wait, who had better take over from one that may not own.
    last_word = LEAST_PRIORITY if priority > LEAST_PRIORITY else 0
    return yielding, [HushAddresses(params.addresses), Emit(taken), Advertise(last_word)]


def _timers_of_leaving(params: RouterParams, state: Leaving, now: Instant) -> Outcome:
    if now >= state.give_up_at:
        return _nobody_took_over(params, state, now)
    if now >= state.advertise_at:
        return replace(state, advertise_at=now + params.interval), [Advertise(0)]
    return state, []


def _nobody_took_over(params: RouterParams, state: Leaving, now: Instant) -> Outcome:
    alone: Effect = Emit(NobodyTookOver(params.key, params.vip, now - state.since))
    if state.stays:
        active, effects = become_active(params, now, Reason.NOBODY_TOOK_OVER)
        return active, [alone, *effects]
    initialize, effects = _release(params, Initialize(state.reason))
    # Once more, for whoever has come up meanwhile: from now on nobody serves.
    return initialize, [alone, Advertise(0), *effects]


# --- Yielding ---------------------------------------------------------------------------------------------------------


def _end_of_hold(params: RouterParams, state: Yielding) -> Outcome:
    if isinstance(state.then, Initialize):
        return _release(params, state.then)
    became = BecameBackup(params.key, params.vip, state.reason, state.peer, state.peer_priority)
    told = quarantine_told(params, held_out=state.then.held_out)
    return state.then, [ReleaseAddresses(params.addresses), Emit(became), *told]


def _heard_in_yielding(params: RouterParams, state: Yielding, now: Instant, heard: Heard) -> Outcome:
    if isinstance(state.then, Initialize):
        return state, []
    if heard.advertisement.priority == 0 and heard.source == state.peer and not state.then.held_out:
        # The winner leaves at once; what we have not given up yet we keep.
        return become_active(params, now, Reason.ACTIVE_RELEASED)
    then, effects = heard_in_backup(params, state.then, heard)
    assert isinstance(then, Backup), "a Backup that hears something stays one"
    return replace(state, then=then), effects


def _admitted_in_yielding(params: RouterParams, state: Yielding) -> Outcome:
    if not isinstance(state.then, Backup) or not state.then.held_out:
        return state, []
    return replace(state, then=replace(state.then, held_out=False)), [Emit(Admitted(params.key, params.vip))]


def _reconfigured_in_yielding(params: RouterParams, state: Yielding, now: Instant, after: RouterParams) -> Outcome:
    if isinstance(state.then, Initialize):
        return state, _reconfigured(params, after)
    then, effects = reconfigured_in_backup(params, state.then, now, after)
    if not isinstance(then, Backup):
        return then, effects
    return replace(state, then=then), _reconfigured(params, after)


# --- both -------------------------------------------------------------------------------------------------------------


def _reconfigured(params: RouterParams, after: RouterParams) -> list[Effect]:
    """Addresses that are not wanted any more go; new ones are for the next owner."""
    gone = tuple(address for address in params.addresses if address not in after.addresses)
    effects = priority_change(params, after)
    return [*effects, ReleaseAddresses(gone)] if gone else effects


def _release(params: RouterParams, then: Initialize) -> Outcome:
    initialized = RouterInitialized(params.key, params.vip, then.reason)
    return then, [ReleaseAddresses(params.addresses), Emit(initialized)]


def _backup_of(params: RouterParams, at: Instant, interval: timedelta, peer: IPAddress, priority: int) -> Backup:
    """What a router is that heard the Active one `peer`, with this interval and priority, at `at`."""
    down = active_down_interval(version=params.version, priority=params.priority, interval=interval)
    return Backup(at + down, interval, Reason.ACTIVE_SILENT, followed=peer, active_priority=priority)
