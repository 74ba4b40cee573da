"""Who serves, with what weight, and why: from members to duties.

First do no harm:
* a failing check gives way only to a member known to be better: with nobody up, members without a verdict serve, and a
  pool told to `keep_last` keeps sending to those that served last;
* a member without a verdict keeps the duty that it has, and gets no new flows only once somebody else is proven;
* when more than `panic_threshold` of the members fall within `panic_window`, the checker is suspected, not the members:
  they keep serving until enough of them have risen for the rest to look dead.

Leaks: a member that claims the service's address on the wire works, so it keeps the flows that it has. It gets new ones
only while no other does that does not leak, and is up or served before there was a verdict; or while so many leak that
the `panic_threshold` is passed.

Fixed priority: of the members that the above lets serve, those of the highest priority do; the others stand by, which
is to keep the flows that they have and take no new ones. A sorry member serves when nobody else does.

What a person decided (drain, maintenance, weight 0) stands above all of this.

Invariants: one Effective per member, in order; weight above 0 exactly with duty `serve`; whoever serves is of one
priority, or a sorry member, never both; equal members give equal answers, whatever happened before: all memory is in
the members. Time enters only by slow start.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from yaoki.core.instant import Deadline, Instant
from yaoki.pool.member import AdminState, Duty, Health, Member
from yaoki.pool.slow_start import next_step, ramped

MIN_SUSPICIOUS_FALLS = 2
"""One member alone that falls is a dead member, whatever share of a small pool it is."""


class Reason(StrEnum):
    """Why a member has its duty."""

    UP = "up"
    SLOW_START = "slow-start"
    UNPROVEN = "unproven"
    """No verdict yet, but it serves already, or nobody is known to be better."""
    AWAITING_PROOF = "awaiting-proof"
    """No verdict yet, and others are proven: no new flows until its own."""
    CHECKER_SUSPECTED = "checker-suspected"
    NOWHERE_BETTER = "nowhere-better"
    STANDS_IN = "stands-in"
    """Up, while no member of a higher priority can serve."""
    STANDS_BY = "stands-by"
    """Could serve, but others come first: those of a higher priority, of a sorry member everybody."""
    SORRY = "sorry"
    DOWN = "down"
    LEAKS = "leaks"
    """Claims the service's address on the wire, and others that do not are up."""
    LEAK_BORNE = "leak-borne"
    """The same, but nobody else can serve that does not, or too many leak at once."""
    DRAINED = "drained"
    ZERO_WEIGHT = "zero-weight"
    MAINTENANCE = "maintenance"


class Outlook(StrEnum):
    """What a pool as a whole stands on."""

    PROVEN = "proven"
    """At least one member is up and serves."""
    BACKUP = "backup"
    """The same, but none of the highest priority does."""
    UNPROVEN = "unproven"
    """Nobody is up yet, but some have no verdict; they serve."""
    CHECKER_SUSPECTED = "checker-suspected"
    NOWHERE_BETTER = "nowhere-better"
    """All are down; the last to serve are kept."""
    SORRY = "sorry"
    """No member but the sorry one takes new flows."""
    NOBODY = "nobody"
    """No member takes new flows."""


_Decided = tuple[Duty, Reason]


@dataclass(frozen=True, slots=True)
class PoolRule:
    """A pool's policy. `panic_threshold` is a share of the members that may serve (0..1), 0 for off; falls no farther
    apart than `panic_window` count as one blow (give it the longest detection of the checks used). `keep_last`: with
    all members down, keep those that served last instead of none."""

    panic_threshold: float = 0.0
    panic_window: timedelta = timedelta(seconds=1)
    slow_start: timedelta = timedelta(0)
    keep_last: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.panic_threshold <= 1:
            raise ValueError(f"panic threshold {self.panic_threshold} is outside 0..1")


@dataclass(frozen=True, slots=True)
class Effective:
    """What one member is to do. Hand `serving_since` back in the Member of the next decision."""

    name: str
    duty: Duty
    weight: int
    reason: Reason
    serving_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """A decision. `deadline` is when a slow start takes its next step. `failed`: every member that may serve is known
    to be down (or there is none), a sorry one apart; what a tracked service lowers a priority by."""

    members: tuple[Effective, ...]
    outlook: Outlook
    failed: bool
    deadline: Deadline | None = None

    def of(self, name: str) -> Effective:
        """The decision on one member; KeyError if there is none of this name."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)


def select(rule: PoolRule, members: Iterable[Member], now: Instant) -> Selection:
    """Decide on all members of a pool at once. Names need not differ: a server may serve on two ports."""
    members = tuple(members)
    candidates = [m for m in members if _may_serve(m)]
    proven = any(m.health is Health.UP for m in candidates)
    waiting = any(m.health is Health.UNKNOWN for m in candidates)
    suspected = suspicious_falls(rule, members)
    keep_last = rule.keep_last and not (proven or waiting or suspected)
    duties = [_duty(member, proven, place in suspected, keep_last) for place, member in enumerate(members)]
    chosen = _by_priority(members, _without_leaks(rule, members, duties), proven=proven)
    decided = tuple(_effective(rule, member, duty, now) for member, duty in zip(members, chosen, strict=True))
    return Selection(
        decided,
        _outlook(decided, suspected=bool(suspected), proven=proven, waiting=waiting),
        failed=not (proven or waiting),
        deadline=_next_step(rule, decided, now),
    )


def suspicious_falls(rule: PoolRule, members: Sequence[Member]) -> frozenset[int]:
    """The places of the members that fell so many at once that the checker is the likelier culprit."""
    if rule.panic_threshold == 0:
        return frozenset()
    candidates = [(place, m) for place, m in enumerate(members) if _may_serve(m)]
    falls = sorted((m.since.us, place) for place, m in candidates if m.health is Health.DOWN and m.since is not None)
    window = rule.panic_window // timedelta(microseconds=1)
    suspected: set[int] = set()
    first = 0
    for last, (at, _) in enumerate(falls):
        while at - falls[first][0] > window:
            first += 1
        count = last - first + 1
        if count >= MIN_SUSPICIOUS_FALLS and _exceeds(rule, count, len(candidates)):
            suspected.update(place for _, place in falls[first : last + 1])
    return frozenset(suspected)


def _without_leaks(rule: PoolRule, members: Sequence[Member], duties: Sequence[_Decided]) -> list[_Decided]:
    """The duties, with those that leak getting no new flows where that is safe."""
    pairs = list(zip(members, duties, strict=True))
    serving = [member for member, (duty, _) in pairs if duty is Duty.SERVE and not member.sorry]
    leaking = sum(member.leaks for member in serving)
    better = any(not m.leaks and (m.health is Health.UP or _serves_unproven(m)) for m in serving)
    candidates = sum(_may_serve(member) for member in members)
    too_many = rule.panic_threshold > 0 and leaking >= MIN_SUSPICIOUS_FALLS and _exceeds(rule, leaking, candidates)
    chosen = []
    for member, (duty, reason) in pairs:
        if member.leaks and duty is Duty.SERVE and not member.sorry and better and not too_many:
            chosen.append((Duty.DRAIN, Reason.LEAKS))
        else:
            chosen.append((duty, reason))
    return chosen


def _serves_unproven(member: Member) -> bool:
    """So it is after a restart: who served will do so until its checks speak."""
    return member.health is Health.UNKNOWN and member.serving_since is not None


def _exceeds(rule: PoolRule, count: int, candidates: int) -> bool:
    """Whether so many are more than the panic threshold."""
    return count > round(rule.panic_threshold * candidates, 9)  # 0.29 of 100 is 29, not 28.999999999999996


def _may_serve(member: Member) -> bool:
    return member.admin is AdminState.READY and member.weight > 0 and not member.sorry


def _outlook(decided: Iterable[Effective], *, suspected: bool, proven: bool, waiting: bool) -> Outlook:
    serving = [member.reason for member in decided if member.duty is Duty.SERVE]
    if suspected:
        return Outlook.CHECKER_SUSPECTED
    if proven:
        return Outlook.BACKUP if Reason.STANDS_IN in serving else Outlook.PROVEN
    if waiting:
        return Outlook.UNPROVEN
    if Reason.SORRY in serving:
        return Outlook.SORRY
    return Outlook.NOWHERE_BETTER if serving else Outlook.NOBODY


def _by_priority(members: Sequence[Member], duties: Sequence[_Decided], *, proven: bool) -> list[_Decided]:
    """The duties, with those that come after others standing by."""
    pairs = list(zip(members, duties, strict=True))
    highest = max((m.priority for m in members if not m.sorry), default=None)
    serving = max((m.priority for m, (duty, _) in pairs if duty is Duty.SERVE and not m.sorry), default=None)
    chosen = []
    for member, (duty, reason) in pairs:
        comes_after = serving is not None and (member.sorry or member.priority < serving)
        if duty is Duty.SERVE and comes_after:
            chosen.append(_standing_by(reason, proven=proven))
        elif reason is Reason.UP and serving != highest:
            chosen.append((duty, Reason.STANDS_IN))
        else:
            chosen.append((duty, reason))
    return chosen


def _standing_by(reason: Reason, *, proven: bool) -> _Decided:
    """The duty of one that would serve for this reason. Who would only because he has served, has served no more."""
    if reason is Reason.UNPROVEN and proven:
        return Duty.DRAIN, Reason.AWAITING_PROOF
    if reason is Reason.NOWHERE_BETTER:
        return Duty.OUT, Reason.DOWN
    return Duty.DRAIN, Reason.STANDS_BY


def _duty(member: Member, proven: bool, suspected: bool, keep_last: bool) -> _Decided:
    match member.admin:
        case AdminState.MAINT:
            return Duty.OUT, Reason.MAINTENANCE
        case AdminState.DRAIN:
            return _draining(member, Reason.DRAINED)
        case AdminState.READY if member.weight == 0:
            return _draining(member, Reason.ZERO_WEIGHT)
        case AdminState.READY if member.sorry:
            return (Duty.OUT, Reason.DOWN) if member.health is Health.DOWN else (Duty.SERVE, Reason.SORRY)
        case AdminState.READY:
            return _ready(member, proven, suspected, keep_last)
        case _:
            assert_never(member.admin)


def _draining(member: Member, reason: Reason) -> _Decided:
    """Its flows stay while it lives; those of a dead server are better scheduled anew."""
    return (Duty.OUT, Reason.DOWN) if member.health is Health.DOWN else (Duty.DRAIN, reason)


def _ready(member: Member, proven: bool, suspected: bool, keep_last: bool) -> _Decided:
    match member.health:
        case Health.UP:
            return Duty.SERVE, Reason.UP
        case Health.UNKNOWN:
            if member.serving_since is not None or not proven:
                return Duty.SERVE, Reason.UNPROVEN
            return Duty.DRAIN, Reason.AWAITING_PROOF
        case Health.DOWN:
            if suspected:
                return Duty.SERVE, Reason.CHECKER_SUSPECTED
            if keep_last and member.serving_since is not None:
                return Duty.SERVE, Reason.NOWHERE_BETTER
            return Duty.OUT, Reason.DOWN
        case _:
            assert_never(member.health)


def _effective(rule: PoolRule, member: Member, decided: _Decided, now: Instant) -> Effective:
    duty, reason = decided
    if duty is not Duty.SERVE:
        return Effective(member.name, duty, 0, reason)
    begun = now if member.serving_since is None else member.serving_since
    weight = ramped(member.weight, rule.slow_start, begun=begun, now=now)
    if reason is Reason.UP and member.leaks:
        reason = Reason.LEAK_BORNE
    elif reason is Reason.UP and weight < member.weight:
        reason = Reason.SLOW_START
    return Effective(member.name, duty, weight, reason, begun)


def _next_step(rule: PoolRule, decided: Iterable[Effective], now: Instant) -> Deadline | None:
    steps = [
        at.us
        for member in decided
        if member.serving_since is not None
        and (at := next_step(rule.slow_start, begun=member.serving_since, now=now)) is not None
    ]
    return Deadline(Instant(min(steps)), "slow start") if steps else None
