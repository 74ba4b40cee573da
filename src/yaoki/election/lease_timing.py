"""When a lease machine must act, by its state alone."""

from typing import assert_never

from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.election.lease_params import LONGEST_DURATION, LeaseParams, wait_out
from yaoki.election.lease_record import Absent, Claimant, Held, Released, Unreadable
from yaoki.election.lease_state import (
    Confirming,
    Holding,
    Memory,
    Releasing,
    Request,
    Taking,
    Unread,
    Watching,
    Wish,
)


def wished(wish: Wish | None, now: Instant) -> bool:
    """Whether the holder's wish still counts."""
    return wish is not None and now < wish.until


def challenge_at(params: LeaseParams, claimant: Claimant, phase: Watching, wish: Wish) -> Instant:
    """When the lease may be tried for: at once if it is ours, soon if released, else after its owner has lost it."""
    record, since = phase.seen.record, phase.seen.since
    match record:
        case Held():
            mine = record.owner == claimant
            at = since if mine else since + wait_out(record.duration) + wish.patience
        case Released():
            at = since + wish.patience
        case Absent():
            # An owner whose key somebody deleted may still trust its last renewal.
            at = since + wait_out(params.duration) + wish.patience
        case Unreadable():
            at = since + wait_out(LONGEST_DURATION) + wish.patience
        case _:
            assert_never(record)
    return max(at, phase.retry_at, key=lambda instant: instant.us)


def deadline(params: LeaseParams, claimant: Claimant, memory: Memory) -> Deadline | None:
    """When the machine must be called again. A wish that runs out needs no call: it only ends what would be done."""
    phase = memory.phase
    wish = None if memory.wish is None or memory.wish.lapsed else memory.wish
    match phase:
        case Unread():
            return _answer_or(phase.request, phase.retry_at, "first read")
        case Watching():
            if wish is None or (at := challenge_at(params, claimant, phase, wish)) >= wish.until:
                return None
            return Deadline(at, "challenge")
        case Confirming() | Taking():
            return Deadline(phase.request.given_up_at, "store's answer")
        case Holding():
            expiry = Deadline(phase.valid_until, "lease runs out")
            if phase.request is None and (wish is None or phase.renew_at >= wish.until):
                return expiry
            return earliest(_answer_or(phase.request, phase.renew_at, "renewal"), expiry)
        case Releasing():
            return _answer_or(phase.request, phase.retry_at, "release")
        case _:
            assert_never(phase)


def _answer_or(request: Request | None, at: Instant, reason: str) -> Deadline:
    return Deadline(at, reason) if request is None else Deadline(request.given_up_at, "store's answer")
