"""A virtual router in Backup (RFC 9568, section 6.4.2; version 2 after RFC 3768, section 6.4.2).

Where it goes beyond the RFCs, for the reasons beside the code:
- priority zero is followed at once, not after Skew_Time, by a router that nobody else can be better than;
- priority zero that is repeated does not put the takeover off;
- priority zero of another router than the one that is followed is passed over: of two owners one leaves;
- the least priority may be the last word of an owner that was relieved, and is no reason to follow it;
- a Backup that was stopped beyond its timer, or reads late what it hears, waits for one more advertisement before it
  takes over;
- of a stateful VIP, a router that was away, or owned beside another, is in quarantine: it takes over from nobody, and
  from a dead one only if it is told so (Quarantine.LAST).

Invariant: a router in quarantine becomes Active by Admit, or by Quarantine.LAST and silence, and by nothing else.
"""

from dataclasses import replace
from typing import assert_never

from yaoki.core.event import Emit
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.active import become_active, priority_change
from yaoki.vrrp.events import (
    Admitted,
    BecameBackup,
    HeldOut,
    IntervalLearnt,
    NobodyOwns,
    PeerReleased,
    Quarantined,
    QuarantineLifted,
    Reason,
    RouterInitialized,
)
from yaoki.vrrp.params import Failback, Quarantine, RouterParams
from yaoki.vrrp.router_state import (
    ActiveGone,
    Admit,
    Backup,
    Effect,
    Heard,
    Initialize,
    Input,
    InterfaceLost,
    LinkRenewed,
    Outcome,
    Reconfigure,
    Shutdown,
    Startup,
    State,
    StepAside,
)
from yaoki.vrrp.standing import LEAST_PRIORITY, OWNER_PRIORITY
from yaoki.vrrp.timing import active_down_interval, skew_time


def in_backup(params: RouterParams, state: Backup, now: Instant, input_: Input) -> Outcome:
    """See virtual_router.step."""
    match input_:
        case Heard():
            after, effects = heard_in_backup(params, state, input_)
            return _read_late(params, after, now, input_.at), effects
        case ActiveGone(at, next_in_line):
            return _released(params, state, at, next_in_line=next_in_line), []
        case TimerFired():
            if now < state.active_down_at:
                return state, []
            if params.barred or (state.held_out and params.quarantine is not Quarantine.LAST):
                return _stay_out(params, state, now)
            if not state.roused and now - state.active_down_at >= state.active_adver_interval:
                return _listen_again(params, state, now), []
            active, effects = become_active(params, now, state.outlook)
            lifted: list[Effect] = [Emit(QuarantineLifted(params.key, params.vip))] if state.held_out else []
            return active, lifted + effects
        case Shutdown(reason) | InterfaceLost(reason):
            current = params.quarantines and not state.held_out
            return Initialize(reason, current), [Emit(RouterInitialized(params.key, params.vip, reason))]
        case Admit():
            if not state.held_out:
                return state, []
            at = now if state.alone else state.active_down_at
            admitted = replace(state, active_down_at=at, held_out=False, alone=False, joining=False)
            return admitted, [Emit(Admitted(params.key, params.vip))]
        case Reconfigure(after):
            return reconfigured_in_backup(params, state, now, after)
        case Startup() | LinkRenewed() | StepAside():
            return state, []
        case _:
            assert_never(input_)


def heard_in_backup(params: RouterParams, state: Backup, heard: Heard) -> Outcome:
    """What an advertisement means to a Backup, which stays one."""
    advertisement = heard.advertisement
    if advertisement.priority == 0:
        return _heard_priority_zero(params, state, heard)
    lower_since = None
    if advertisement.priority < params.priority:
        lower_since = heard.at if state.lower_since is None else state.lower_since
        retakes = not state.held_out and _preempts(params) and heard.at - lower_since >= params.failback_delay
        lower_since = lower_since if params.failback_delay else None
        if retakes or _is_failing(params, state, heard):
            # RFC 9568 6.4.2: discard it, so that the timer runs out.
            outlook = Reason.PREEMPTED_LOWER if retakes else Reason.ACTIVE_FAILING
            after = replace(state, outlook=outlook, lower_since=lower_since)
            if state.followed is None or state.followed == heard.source:
                after = replace(after, followed=heard.source, active_priority=advertisement.priority)
            return after, []
    # RFC 9568 6.4.2: the Active router's interval counts. RFC 3768 7.1: one that differs was rejected before.
    interval = advertisement.interval
    down = active_down_interval(version=params.version, priority=params.priority, interval=interval)
    effects: list[Effect] = []
    if interval != state.active_adver_interval:
        effects.append(Emit(IntervalLearnt(params.key, heard.source, interval, params.interval)))
    held_out = state.held_out
    returned = state.joining and params.failback is Failback.MANUAL and not held_out
    if returned and advertisement.priority < params.priority:
        held_out = True
        effects.append(Emit(HeldOut(params.key, params.vip, heard.source, advertisement.priority)))
    after = Backup(
        heard.at + down,
        interval,
        Reason.ACTIVE_SILENT,
        held_out=held_out,
        followed=heard.source,
        active_priority=advertisement.priority,
        lower_since=lower_since,
    )
    if advertisement.priority == LEAST_PRIORITY:
        # The last word of an owner that was relieved comes after its successor's first, and does not say who owns.
        after = replace(after, followed=None, active_priority=None)
    return after, effects


def _heard_priority_zero(params: RouterParams, state: Backup, heard: Heard) -> Outcome:
    """RFC 9568 6.4.2: the Active router leaves: set the Active_Down_Timer to Skew_Time. That makes the better of
    several routers the quicker one, so whoever has no better beside it needs no such wait. Of two owners beside each
    other, as after a partition, one leaves, and the one that is followed stays."""
    if state.followed is not None and heard.source != state.followed:
        return state, []
    after = _released(params, state, heard.at, next_in_line=_is_next(params, state.active_priority))
    news = state.outlook is not Reason.ACTIVE_RELEASED
    return after, [Emit(PeerReleased(params.key, heard.source))] if news else []


def _released(params: RouterParams, state: Backup, at: Instant, *, next_in_line: bool) -> Backup:
    """The Active router gave up `at`: wait for Skew_Time, or not at all."""
    if not next_in_line:
        at += skew_time(version=params.version, priority=params.priority, interval=state.active_adver_interval)
    if state.outlook is Reason.ACTIVE_RELEASED:
        # A router that leaves says so again each interval, and Skew_Time may be nearly as long.
        at = min(at, state.active_down_at)
    return replace(state, active_down_at=at, outlook=Reason.ACTIVE_RELEASED)


def _is_next(params: RouterParams, active_priority: int | None) -> bool:
    """Whether no other member can be as good as we are, once the one that advertised `active_priority` has left."""
    if params.others is None:
        return False
    rest = list(params.others)
    if active_priority in rest:
        rest.remove(active_priority)
    return len(params.others) <= 1 or max(rest, default=0) < params.priority


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
    return replace(state, active_down_at=_one_more(params, state, now), roused=True)


def _read_late(params: RouterParams, after: State, now: Instant, arrived: Instant) -> State:
    """It was read more than an interval after it had arrived: we were stopped, and what came after it may have found
    the socket's buffer full. So here, too, one more advertisement is waited for."""
    if not isinstance(after, Backup) or now - arrived < after.active_adver_interval:
        return after
    at = _one_more(params, after, now)
    return after if after.active_down_at >= at else replace(after, active_down_at=at)


def _one_more(params: RouterParams, state: Backup, now: Instant) -> Instant:
    """When one more advertisement has come, if there is an Active router."""
    interval = state.active_adver_interval
    return now + interval + skew_time(version=params.version, priority=params.priority, interval=interval)


def _stay_out(params: RouterParams, state: Backup, now: Instant) -> Outcome:
    down = active_down_interval(version=params.version, priority=params.priority, interval=state.active_adver_interval)
    waiting = replace(state, active_down_at=now + down, alone=True, followed=None)
    return waiting, [] if state.alone else [Emit(NobodyOwns(params.key, params.vip))]


def reconfigured_in_backup(params: RouterParams, state: Backup, now: Instant, after: RouterParams) -> Outcome:
    """New parameters shift the timer by the difference that they make to it."""
    effects = priority_change(params, after)
    if after.priority == OWNER_PRIORITY:
        active, taking = become_active(after, now, Reason.OWNS_ADDRESSES)
        return active, effects + taking
    # What was learnt from an Active router stays learnt; otherwise the interval is our own.
    own = state.active_adver_interval == params.interval or after.version == 2
    interval = after.interval if own else state.active_adver_interval
    timer = skew_time if state.outlook is Reason.ACTIVE_RELEASED else active_down_interval
    started = state.active_down_at - timer(
        version=params.version, priority=params.priority, interval=state.active_adver_interval
    )
    at = started + timer(version=after.version, priority=after.priority, interval=interval)
    held_out = state.held_out and (after.failback is Failback.MANUAL or after.quarantines)
    alone = state.alone and (held_out or after.barred)
    if state.alone and not alone:
        # Nobody has been heard for longer than the timer, and nothing holds this router out any more.
        at = now
    after_it = replace(state, active_down_at=at, active_adver_interval=interval, held_out=held_out, alone=alone)
    return after_it, effects


def become_backup(params: RouterParams, now: Instant, reason: Reason, *, first: bool, returns: bool) -> Outcome:
    """Listen, from the beginning; `first`: the router has not run before; `returns`: others may have owned since it
    last knew."""
    # RFC 9568 6.4.1: set the Active_Adver_Interval to the Advertisement_Interval, start the Active_Down_Timer.
    down = active_down_interval(version=params.version, priority=params.priority, interval=params.interval)
    patience = max(down, params.startup_delay) if first else down
    held_out = returns and params.quarantines
    state = Backup(now + patience, params.interval, Reason.NOBODY_HEARD, joining=True, held_out=held_out)
    return state, [Emit(BecameBackup(params.key, params.vip, reason)), *quarantine_told(params, held_out=held_out)]


def quarantine_told(params: RouterParams, *, held_out: bool) -> list[Effect]:
    """What a router says that begins to listen in quarantine."""
    return [Emit(Quarantined(params.key, params.vip))] if held_out and params.quarantines else []


def _preempts(params: RouterParams) -> bool:
    """RFC 9568 6.1: the owner of the addresses always preempts, whatever Preempt_Mode says."""
    return params.failback is Failback.PREFER or params.priority == OWNER_PRIORITY
