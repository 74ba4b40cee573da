"""Health of one member as one check sees it: results in, verdict out (rise, fall, hold-down).

The rule of the first verdict: one passed probe proves life and makes `up`; death needs `fall` failures in a row, as
always. So a restarted checker takes one probe to agree with the living, and no single lost packet kills anybody.

Invariants: only a result changes a verdict, never the mere passing of time; a result that agrees with the verdict
clears the count against it; within `hold_down` of a fall there is no rise; counts never exceed `fall` and `rise`.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from yaoki.core.instant import Instant
from yaoki.pool.member import Health


@dataclass(frozen=True, slots=True)
class HealthRule:
    """`fall` failures in a row make `down`; `rise` passes in a row `up`, but not within `hold_down` of the fall."""

    fall: int = 3
    rise: int = 2
    hold_down: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.fall < 1 or self.rise < 1:
            raise ValueError("fall and rise are at least 1")
        if self.hold_down < timedelta(0):
            raise ValueError("hold_down cannot be negative")


@dataclass(frozen=True, slots=True)
class Unproven:
    """No verdict yet; `failures` in a row so far."""

    failures: int = 0


@dataclass(frozen=True, slots=True)
class Up:
    """Up since then; `failures` in a row speak against it."""

    since: Instant
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Down:
    """Down since then; `passes` in a row speak against it, counted up to `rise`."""

    since: Instant
    passes: int = 0


HealthState = Unproven | Up | Down


class Turn(StrEnum):
    """Why a verdict was reached."""

    PROVEN = "proven"
    FALL_REACHED = "fall-reached"
    RISE_REACHED = "rise-reached"


def step(rule: HealthRule, state: HealthState, now: Instant, passed: bool) -> tuple[HealthState, Turn | None]:
    """The state after one result, and the reason if it changed the verdict."""
    match state:
        case Unproven():
            if passed:
                return Up(now), Turn.PROVEN
            return _failed(rule, Unproven(state.failures + 1), now)
        case Up():
            if passed:
                return (state if state.failures == 0 else Up(state.since)), None
            return _failed(rule, Up(state.since, state.failures + 1), now)
        case Down():
            if not passed:
                return (state if state.passes == 0 else Down(state.since)), None
            return _passed(rule, Down(state.since, min(state.passes + 1, rule.rise)), now)
        case _:
            assert_never(state)


def health(state: HealthState) -> Health:
    """The verdict."""
    match state:
        case Unproven():
            return Health.UNKNOWN
        case Up():
            return Health.UP
        case Down():
            return Health.DOWN
        case _:
            assert_never(state)


def since(state: HealthState) -> Instant | None:
    """When the verdict was reached; None before the first."""
    return None if isinstance(state, Unproven) else state.since


def streak(state: HealthState) -> int:
    """Results in a row that speak against the verdict."""
    return state.passes if isinstance(state, Down) else state.failures


def unsettled(rule: HealthRule, state: HealthState) -> bool:
    """Whether results disagree with the verdict (or there is none), so that the next is wanted soon.

    A server that has passed often enough and only waits for its hold-down to end is settled: haste would gain nothing.
    """
    match state:
        case Unproven():
            return True
        case Up():
            return state.failures > 0
        case Down():
            return 0 < state.passes < rule.rise
        case _:
            assert_never(state)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Health and since when; what remains of a check, or of several that must all pass."""

    health: Health = Health.UNKNOWN
    since: Instant | None = None


def all_of(verdicts: tuple[Verdict, ...]) -> Verdict:
    """The health of a member whose checks must all pass: one `down` fells it, all `up` raise it.

    It is down since the first of them fell, up since the last of them rose. A member without any check is up: nothing
    will ever say otherwise.
    """
    if len(verdicts) == 1 and verdicts[0].health is not Health.UNKNOWN:
        return verdicts[0]
    downs = [v.since for v in verdicts if v.health is Health.DOWN and v.since is not None]
    if any(v.health is Health.DOWN for v in verdicts):
        return Verdict(Health.DOWN, min(downs, key=_microseconds, default=None))
    if all(v.health is Health.UP for v in verdicts):
        rises = [v.since for v in verdicts if v.since is not None]
        return Verdict(Health.UP, max(rises, key=_microseconds, default=None))
    return Verdict()


def _failed(rule: HealthRule, state: Unproven | Up, now: Instant) -> tuple[HealthState, Turn | None]:
    if state.failures >= rule.fall:
        return Down(now), Turn.FALL_REACHED
    return state, None


def _passed(rule: HealthRule, state: Down, now: Instant) -> tuple[HealthState, Turn | None]:
    if state.passes >= rule.rise and now - state.since >= rule.hold_down:
        return Up(now), Turn.RISE_REACHED
    return state, None


def _microseconds(at: Instant) -> int:
    return at.us
