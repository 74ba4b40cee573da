"""One lease on one node: who may own an address where two owners must be impossible. Pure: no clock, no store.

The owner renews by compare-and-swap on the key's revision and may trust its lease until the *send* time of the last
good renewal plus the duration. A challenger first sees no new revision for `wait_out(duration)`, then reads whether the
revision is still that of its snapshot, then swaps against the snapshot: never against what it learnt meanwhile, which
would be the renewal of an owner who lives. The revision of the swap that took the lease is its epoch.

Invariants:
* while one node is between Granted and its `valid_until` (or Lost), no other node is, whatever the store's answers and
  the watch do, as long as no clock errs by more than MAX_CLOCK_ERROR_PERCENT and keys are never deleted. A clock that
  stands still, as in a machine that its hypervisor froze, is such an error: the owner finds out with its first renewal;
* of whatever input comes after `valid_until`, the first effect is Lost;
* at most one request is awaited; a Lost ends what a first Granted began; epochs grow from owner to owner.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.error import LocalError
from yaoki.core.event import Emit
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.election.events import (
    LeaseLost,
    LeaseReleased,
    LeaseTaken,
    LeaseUnreadable,
    LossReason,
    ReleaseNotStored,
)
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import Absent, Claimant, Held, Record, Released, Unreadable, write_record
from yaoki.election.lease_state import (
    Confirming,
    Granted,
    Holding,
    LeaseEffect,
    LeaseInput,
    Lost,
    Memory,
    NotWant,
    Phase,
    Releasing,
    Request,
    RevisionSeen,
    Seen,
    StoreAnswered,
    Taking,
    Unread,
    Want,
    Watching,
    Wish,
)
from yaoki.election.lease_timing import challenge_at, deadline, wished
from yaoki.election.store import KeyRead, KeyState, NotSwapped, ReadKey, StoreFailed, StoreResult, SwapKey, Swapped

RELEASE_ATTEMPTS = 6
"""How often the store is told of a release; after that a successor waits until the lease has run out."""

_AT_ONCE = timedelta(0)


def step(
    params: LeaseParams, claimant: Claimant, memory: Memory, now: Instant, input_: LeaseInput
) -> tuple[Memory, list[LeaseEffect]]:
    """Take one input."""
    turn = _Turn(params, claimant, memory, now)
    turn.lose_what_has_expired()
    turn.take(input_)
    turn.give_up_late_request()
    turn.let_wish_lapse()
    turn.act()
    return Memory(turn.phase, turn.wish, turn.requests), turn.effects


class Lease:
    """The Machine protocol around `step`. Parameters may be changed at any time, also while the lease is held: a record
    never promises less than what was granted before."""

    def __init__(self, params: LeaseParams, claimant: Claimant, started: Instant) -> None:
        self.params = params
        self.memory = Memory(Unread(started))
        self._claimant = claimant

    def handle(self, now: Instant, input_: LeaseInput) -> list[LeaseEffect]:
        """See yaoki.core.machine.Machine."""
        self.memory, effects = step(self.params, self._claimant, self.memory, now, input_)
        return effects

    def deadline(self) -> Deadline | None:
        """See yaoki.core.machine.Machine."""
        return deadline(self.params, self._claimant, self.memory)


class _Turn:
    """The handling of one input: the state as it changes, and the effects so far."""

    def __init__(self, params: LeaseParams, claimant: Claimant, memory: Memory, now: Instant) -> None:
        self.phase: Phase = memory.phase
        self.wish = memory.wish
        self.requests = memory.requests
        self.effects: list[LeaseEffect] = []
        self._params = params
        self._claimant = claimant
        self._now = now

    # --- the parts of a turn ------------------------------------------------------------------------------------------

    def lose_what_has_expired(self) -> None:
        """Before anything else: we may have slept, and what we are about to hear is older than the loss."""
        phase = self.phase
        if isinstance(phase, Holding) and self._now >= phase.valid_until:
            self._lose(phase, LossReason.EXPIRED if wished(self.wish, self._now) else LossReason.HOLDER_SILENT)
            pause = self._params.retry_after(phase.failures) if phase.failures else _AT_ONCE
            self.phase = Watching(self._seen_ours(phase.epoch, phase.revision), self._now + pause, phase.failures)

    def take(self, input_: LeaseInput) -> None:
        """The input itself."""
        match input_:
            case Want():
                self._want(input_)
            case NotWant():
                self._not_want()
            case StoreAnswered():
                self._answered(input_)
            case RevisionSeen():
                self._seen(input_.state)
            case TimerFired():
                pass  # what is due is found by the other parts, whichever input brought us here
            case _:
                assert_never(input_)

    def give_up_late_request(self) -> None:
        """After the input, which may be the answer."""
        request = _request_of(self.phase)
        if request is not None and self._now >= request.given_up_at:
            self._answered(StoreAnswered(request.number, StoreFailed("no answer in time")))

    def let_wish_lapse(self) -> None:
        """Nothing is done for a holder who repeats its wish no more. Nor is it taken to be silent: it never said so."""
        if self.wish is not None and self._now >= self.wish.until:
            self.wish = replace(self.wish, lapsed=True)

    def act(self) -> None:
        """Send what is due."""
        match self.phase:
            case Unread(request=None) as phase if self._now >= phase.retry_at:
                self.phase = replace(phase, request=self._read())
            case Watching() as phase if self.wish is not None and wished(self.wish, self._now):
                if self._now >= challenge_at(self._params, self._claimant, phase, self.wish):
                    self.phase = Confirming(phase.seen, self._read(), phase.failures)
            case Holding(request=None) as phase if self._now >= phase.renew_at and wished(self.wish, self._now):
                # Never less than what was granted before, should the configured duration have become shorter.
                duration = max(self._params.duration, phase.valid_until - self._now)
                held = Held(self._claimant, phase.epoch, duration)
                self.phase = replace(phase, request=self._swap(phase.revision, held))
            case Releasing(request=None) as phase if self._now >= phase.retry_at:
                request = self._swap(phase.revision, Released(self._claimant, phase.epoch))
                self.phase = replace(phase, request=request, attempts=phase.attempts + 1)
            case Unread() | Watching() | Confirming() | Taking() | Holding() | Releasing():
                pass
            case _:
                assert_never(self.phase)

    # --- what the holder says -----------------------------------------------------------------------------------------

    def _want(self, want: Want) -> None:
        before, self.wish = self.wish, Wish(want.until, want.patience, want.claim)
        if isinstance(self.phase, Holding) and before is not None and before.claim != want.claim:
            # It had given up and we never heard so; the lease is ours all the same.
            self.effects.append(Granted(self.phase.epoch, self.phase.valid_until, want.claim))

    def _not_want(self) -> None:
        self.wish = None
        match self.phase:
            case Holding() as phase:
                # A renewal under way is left to itself: swaps exclude each other, whichever comes first.
                self._lose(phase, LossReason.GIVEN_UP)
                self.phase = Releasing(phase.epoch, phase.revision, self._now)
            case Taking():
                pass  # if it succeeds it is released
            case Unread() | Watching() | Confirming() | Releasing():
                pass
            case _:
                assert_never(self.phase)

    # --- what the store says ------------------------------------------------------------------------------------------

    def _seen(self, state: KeyState) -> None:
        match self.phase:
            case Unread():
                self._watch(state)
            case Watching() as phase:
                if state.revision > phase.seen.revision:
                    self._watch(state, pause_until=phase.retry_at, failures=phase.failures)
            case Confirming() as phase:
                if state.revision > phase.seen.revision:
                    self._watch(state)
            case Holding() as phase:
                if state.revision > phase.revision and not self._ours(Seen.of(state, self._now).record):
                    self._lose(phase, LossReason.TAKEN)
                    self._watch(state)
            case Taking() | Releasing():
                pass  # the answer to the swap under way will tell, and better
            case _:
                assert_never(self.phase)

    def _answered(self, answer: StoreAnswered) -> None:
        phase = self.phase
        if isinstance(phase, Watching) or phase.request is None or phase.request.number != answer.request:
            return  # the answer to a request that was given up, or comes twice
        match phase:
            case Unread():
                self._first_read(phase, answer.result)
            case Confirming():
                self._confirmed(phase, answer.result)
            case Taking():
                self._taken(phase, answer.result)
            case Holding():
                self._renewed(phase, phase.request, answer.result)
            case Releasing():
                self._released(phase, answer.result)
            case _:
                assert_never(phase)

    def _first_read(self, phase: Unread, result: StoreResult) -> None:
        match result:
            case KeyRead():
                self._watch(result.state)
            case StoreFailed():
                failures = phase.failures + 1
                self.phase = Unread(self._now + self._params.retry_after(failures), None, failures)
            case Swapped() | NotSwapped():
                raise LocalError("a swap's answer to a read")
            case _:
                assert_never(result)

    def _confirmed(self, phase: Confirming, result: StoreResult) -> None:
        match result:
            case KeyRead():
                if result.state.revision != phase.seen.revision:
                    self._watch(result.state)
                elif wished(self.wish, self._now):
                    self._challenge(phase)
                else:
                    self.phase = Watching(phase.seen, self._now)
            case StoreFailed():
                self._try_later(phase.seen, phase.failures + 1)
            case Swapped() | NotSwapped():
                raise LocalError("a swap's answer to a read")
            case _:
                assert_never(result)

    def _challenge(self, phase: Confirming) -> None:
        seen, duration, epoch = phase.seen, self._params.duration, 0
        if isinstance(seen.record, Held) and seen.record.owner == self._claimant:
            # Ours, from before a failure or a restart of this process: nobody else held it since. What was granted then
            # may still be relied on, so promise no less.
            epoch = seen.record.epoch or seen.revision
            duration = max(duration, seen.record.duration)
        request = self._swap(seen.revision, Held(self._claimant, epoch, duration))
        self.phase = Taking(seen, request, epoch, phase.failures)

    def _taken(self, phase: Taking, result: StoreResult) -> None:
        match result:
            case Swapped():
                self._now_ours(phase, result.revision)
            case NotSwapped():
                again = self._ours(Seen.of(result.state, self._now).record)
                failures = phase.failures + 1 if again else 0
                pause = self._params.retry_after(failures) if again else _AT_ONCE
                self._watch(result.state, pause_until=self._now + pause, failures=failures)
            case StoreFailed():
                # Perhaps carried out, perhaps yet to be: the next read tells, and a swap excludes the other.
                self._try_later(phase.seen, phase.failures + 1)
            case KeyRead():
                raise LocalError("a read's answer to a swap")
            case _:
                assert_never(result)

    def _now_ours(self, phase: Taking, revision: int) -> None:
        epoch, request = phase.epoch or revision, phase.request
        valid_until = request.sent + request.duration
        if self.wish is None:
            self.phase = Releasing(epoch, revision, self._now)
        elif self._now >= valid_until:
            self.phase = Watching(self._seen_ours(epoch, revision), self._now)
        else:
            self.phase = Holding(epoch, revision, valid_until, request.sent + self._params.renew_every)
            self.effects.append(Granted(epoch, valid_until, self.wish.claim))
            resumed = phase.epoch != 0
            self._emit(LeaseTaken(self._params.key, epoch, resumed, _node_of(phase.seen.record)))

    def _renewed(self, phase: Holding, request: Request, result: StoreResult) -> None:
        match result:
            case Swapped():
                assert self.wish is not None, "without a wish the lease is not held"
                valid_until = request.sent + request.duration
                renew_at = request.sent + self._params.renew_every
                self.phase = Holding(phase.epoch, result.revision, valid_until, renew_at)
                self.effects.append(Granted(phase.epoch, valid_until, self.wish.claim))
            case NotSwapped():
                seen = Seen.of(result.state, self._now)
                if self._ours(seen.record):
                    # An earlier renewal was carried out though its answer never came. Which one is not known, so it
                    # extends nothing; the next is swapped against it.
                    self._renew_later(replace(phase, revision=seen.revision))
                else:
                    self._lose(phase, LossReason.TAKEN)
                    self._watch(result.state)
            case StoreFailed():
                self._renew_later(phase)
            case KeyRead():
                raise LocalError("a read's answer to a swap")
            case _:
                assert_never(result)

    def _renew_later(self, phase: Holding) -> None:
        pause = self._params.retry_after(1)
        self.phase = replace(phase, renew_at=self._now + pause, request=None, failures=phase.failures + 1)

    def _released(self, phase: Releasing, result: StoreResult) -> None:
        match result:
            case Swapped():
                self._emit(LeaseReleased(self._params.key, phase.epoch))
                released = Seen(result.revision, Released(self._claimant, phase.epoch), self._now)
                self.phase = Watching(released, self._now)
            case NotSwapped():
                seen = Seen.of(result.state, self._now)
                if self._ours(seen.record):  # the renewal that was under way came first
                    self._release_again(replace(phase, revision=seen.revision), "the key kept changing")
                else:
                    self._watch(result.state)
            case StoreFailed():
                self._release_again(phase, result.why)
            case KeyRead():
                raise LocalError("a read's answer to a swap")
            case _:
                assert_never(result)

    def _release_again(self, phase: Releasing, why: str) -> None:
        if phase.attempts >= RELEASE_ATTEMPTS:
            self._emit(ReleaseNotStored(self._params.key, phase.epoch, why))
            self.phase = Watching(self._seen_ours(phase.epoch, phase.revision), self._now)
        else:
            retry_at = self._now + self._params.retry_after(phase.attempts)
            self.phase = replace(phase, retry_at=retry_at, request=None)

    # --- what they have in common -------------------------------------------------------------------------------------

    def _watch(self, state: KeyState, *, pause_until: Instant | None = None, failures: int = 0) -> None:
        """Something new is known of the key, so whoever wrote it lives."""
        seen = Seen.of(state, self._now)
        if isinstance(seen.record, Unreadable):
            self._emit(LeaseUnreadable(self._params.key, seen.revision, seen.record.why))
        self.phase = Watching(seen, self._now if pause_until is None else pause_until, failures)

    def _try_later(self, seen: Seen, failures: int) -> None:
        self.phase = Watching(seen, self._now + self._params.retry_after(failures), failures)

    def _lose(self, phase: Holding, reason: LossReason) -> None:
        self.effects.append(Lost(phase.epoch, reason))
        if reason is not LossReason.GIVEN_UP:
            self._emit(LeaseLost(self._params.key, phase.epoch, reason))

    def _read(self) -> Request:
        request = self._next_request(_AT_ONCE)
        self.effects.append(ReadKey(self._params.key, request.number))
        return request

    def _swap(self, expected: int, record: Held | Released) -> Request:
        request = self._next_request(record.duration if isinstance(record, Held) else _AT_ONCE)
        self.effects.append(SwapKey(self._params.key, request.number, expected, write_record(record)))
        return request

    def _next_request(self, duration: timedelta) -> Request:
        self.requests += 1
        return Request(self.requests, self._now, self._now + self._params.request_limit, duration)

    def _emit(self, body: LeaseTaken | LeaseLost | LeaseReleased | ReleaseNotStored | LeaseUnreadable) -> None:
        self.effects.append(Emit(body))

    def _ours(self, record: Record) -> bool:
        return isinstance(record, Held) and record.owner == self._claimant

    def _seen_ours(self, epoch: int, revision: int) -> Seen:
        return Seen(revision, Held(self._claimant, epoch, self._params.duration), self._now)


def _request_of(phase: Phase) -> Request | None:
    return None if isinstance(phase, Watching) else phase.request


def _node_of(record: Record) -> str:
    match record:
        case Held():
            return record.owner.node
        case Released():
            return record.by.node
        case Absent() | Unreadable():
            return ""
        case _:
            assert_never(record)
