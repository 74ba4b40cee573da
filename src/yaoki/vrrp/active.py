"""A virtual router in Active (RFC 9568, section 6.4.3; version 2 after RFC 3768, section 6.4.3).

Where it goes beyond the RFCs, for the reasons beside the code:
- on taking over it claims and announces the addresses before it advertises, so that the loser leaves when we are ready
  (the speaker holds the announcement back where the loser tells by heartbeat when it answers no more);
- on giving way it sends one last advertisement of its own, which makes the winner announce the addresses again, and
  holds them a moment longer without answering for them (Yielding);
- told to stop, it says so with priority zero and owns on until a successor is heard (Leaving);
- an Active router that hears a lower one announces, too (RFC 9568 advertises only), at most each REACTION_GAP.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.events import (
    Barred,
    BecameActive,
    HandOverBegun,
    NoBetterOwner,
    PriorityChanged,
    Reason,
    RouterInitialized,
    SecondOwnerSuspected,
    Unbarred,
)
from yaoki.vrrp.params import RouterParams
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
    Outcome,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    StepAside,
    Yielding,
)
from yaoki.vrrp.standing import OWNER_PRIORITY
from yaoki.vrrp.timing import HOLD, REACTION_GAP, active_down_interval, announcement_pause, leaving_limit

# One event for all the lower advertisements heard within this time.
SUSPICION_QUIET = timedelta(seconds=10)


def in_active(params: RouterParams, state: Active, now: Instant, input_: Input) -> Outcome:
    """See virtual_router.step."""
    match input_:
        case TimerFired():
            return _timers_of_active(params, state, now)
        case Heard(advertisement, source):
            reason = _gives_way(params, advertisement, source)
            if reason is not None:
                return _give_way(params, input_, reason)
            return _assert_ownership(params, state, now, input_)
        case Shutdown(reason):
            if params.others == ():
                # RFC 9568 6.4.3: send an advertisement with priority zero.
                initialized = Emit(RouterInitialized(params.key, params.vip, reason))
                return Initialize(reason), [Advertise(0), ReleaseAddresses(params.addresses), initialized]
            return _leave(params, state, now, reason, stays=False)
        case StepAside(reason):
            return (state, []) if params.others == () else _leave(params, state, now, reason, stays=True)
        case InterfaceLost(reason):
            initialized = Emit(RouterInitialized(params.key, params.vip, reason))
            return Initialize(reason), [ReleaseAddresses(params.addresses), initialized]
        case LinkRenewed():
            return announce_again(params, state, now)
        case Reconfigure(after):
            return _reconfigured_in_active(params, state, now, after)
        case Startup() | ActiveGone() | Admit():
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
    priority = advertisement.priority
    # Both have owned: what this one took meanwhile, the winner may not have, and the other way round.
    then = Backup(
        heard.at + down,
        advertisement.interval,
        Reason.ACTIVE_SILENT,
        held_out=params.quarantines,
        followed=heard.source,
        active_priority=priority,
    )
    yielding = Yielding(heard.at + HOLD, then, reason, heard.source, priority)
    return yielding, [HushAddresses(params.addresses), Advertise(params.priority)]


def _leave(params: RouterParams, state: Active, now: Instant, reason: Reason, *, stays: bool) -> Outcome:
    """RFC 9568 6.4.3: send an advertisement with priority zero; but release only when somebody has come."""
    limit = leaving_limit(version=params.version, interval=params.interval)
    doubts_until = state.since + HOLD if now - state.since < HOLD else None
    leaving = Leaving(reason, now, now + params.interval, now + limit, stays, doubts_until)
    return leaving, [Advertise(0), Emit(HandOverBegun(params.key, params.vip, reason, limit))]


def _assert_ownership(params: RouterParams, state: Active, now: Instant, heard: Heard) -> Outcome:
    """Another router was Active, too. RFC 9568 6.4.3: advertise at once. It may have announced the addresses, so
    announce, too; version 2 (RFC 3768) only discards, which has left addresses dark for as long as ARP caches last."""
    state, effects = announce_again(params, state, now)
    if now - state.advertised_at >= REACTION_GAP:
        effects.append(Advertise(params.priority))
        state = replace(state, advertised_at=now, advertise_at=now + params.interval)
    # Just after we took over, the former owner's last advertisement is what the protocol wants.
    settled = now - state.since >= max(params.interval, HOLD)
    quiet = state.suspected_at is not None and now - state.suspected_at < SUSPICION_QUIET
    if heard.advertisement.priority > 0 and settled and not quiet:
        state = replace(state, suspected_at=now)
        priority = heard.advertisement.priority
        effects.append(Emit(SecondOwnerSuspected(params.key, params.vip, heard.source, priority)))
    return state, effects


def announce_again(params: RouterParams, state: Active, now: Instant) -> tuple[Active, list[Effect]]:
    """Begin the schedule of announcements anew: at once, or as soon as REACTION_GAP allows."""
    if now - state.announced_at < REACTION_GAP:
        return replace(state, announce_at=state.announced_at + REACTION_GAP, announcements=0), []
    renewed = replace(state, announce_at=now + announcement_pause(1), announced_at=now, announcements=1)
    return renewed, [AnnounceAddresses(params.addresses)]


def _reconfigured_in_active(params: RouterParams, state: Active, now: Instant, after: RouterParams) -> Outcome:
    effects = priority_change(params, after)
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


def become_active(params: RouterParams, now: Instant, reason: Reason, *, epoch: int | None = None) -> Outcome:
    """Own the addresses from now on, and say so."""
    state = Active(
        since=now,
        advertise_at=now + params.interval,
        advertised_at=now,
        announce_at=now + announcement_pause(1),
        announced_at=now,
        announcements=1,
    )
    became = BecameActive(params.key, params.vip, reason, params.priority, epoch)
    return state, [
        ClaimAddresses(params.addresses),
        AnnounceAddresses(params.addresses),
        Advertise(params.priority),
        Emit(became),
    ]


def priority_change(before: RouterParams, after: RouterParams) -> list[Effect]:
    """What to tell of new parameters."""
    body: EventBody
    if before.barred != after.barred:
        body = Barred(after.key, after.vip) if after.barred else Unbarred(after.key, after.vip, after.priority)
    elif before.priority != after.priority:
        body = PriorityChanged(before.key, before.vip, before.priority, after.priority)
    else:
        return []
    return [Emit(body)]
