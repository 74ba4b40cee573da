"""The lease keeper's machine: every lease of a node, by key, and between them and the outside its three neighbours: the
store, the holder (speaker) and the Brain.

Invariants: what a sleep has cost is told before whatever input ended the sleep is looked at; the death of the Brain or
of its link changes nothing; the holder's silence ends renewals and nothing else.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.agenda import Agenda
from yaoki.core.event import Emit, EventBody, EventId, EventNumbering
from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.election.events import StoreLost, StoreReturned
from yaoki.election.lease import Lease
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import Claimant, Held
from yaoki.election.lease_state import (
    Confirming,
    Granted,
    Holding,
    LeaseEffect,
    LeaseInput,
    Lost,
    NotWant,
    Releasing,
    RevisionSeen,
    Seen,
    StoreAnswered,
    Taking,
    Unread,
    Want,
    Watching,
)
from yaoki.election.store import ReadKey, StoreFailed, StoreSpec, SwapKey
from yaoki.node.holder_messages import (
    HoldLeases,
    LeaseOver,
    LeaseSeen,
    LeaseValid,
)
from yaoki.node.lease_messages import (
    AskStore,
    ConfigureLeases,
    EndLeases,
    HolderBack,
    HolderGone,
    KeeperEffect,
    KeeperInput,
    KeySeen,
    LeaseState,
    LeaseStatus,
    OpenStore,
    RepeatLeaseStatus,
    StoreSaid,
    WatchKeys,
)
from yaoki.node.messages import Published

FAILURES_TO_TELL = 3
"""Requests that fail one after another, of whatever lease, before the store is called lost."""


class LeaseKeeper:
    """The machine of one lease keeper. `source` names it in events ("lb1/lease")."""

    def __init__(self, source: str, claimant: Claimant) -> None:
        self._numbering = EventNumbering(source)
        self._claimant = claimant
        self._store: StoreSpec | None = None
        self._leases: dict[str, Lease] = {}
        self._listed: frozenset[str] = frozenset()
        self._statuses: dict[str, LeaseStatus] = {}
        self._agenda: Agenda[str] = Agenda()
        self._watched: WatchKeys | None = None
        self._failures = 0
        self._holder_is_new = False
        self._ending = False

    @property
    def ended(self) -> bool:
        """Whether the process may end: it was told to, and nothing is held."""
        return self._ending and not any(_is_bound(lease) for lease in self._leases.values())

    def handle(self, now: Instant, input_: KeeperInput) -> list[KeeperEffect]:
        """See yaoki.core.machine.Machine."""
        effects: list[KeeperEffect] = []
        for key in self._agenda.due(now):
            effects += self._give(now, key, TimerFired())
        match input_:
            case TimerFired():
                pass
            case StoreSaid():
                effects += self._store_said(now, input_)
            case KeySeen():
                effects += self._give(now, input_.key, RevisionSeen(input_.state))
            case HoldLeases():
                effects += self._hold(now, input_)
            case HolderBack():
                self._holder_is_new = True
            case HolderGone():
                effects += self._holder_gone(now)
            case ConfigureLeases():
                effects += self._configure(now, input_)
            case RepeatLeaseStatus():
                effects += self.statuses()
            case EndLeases():
                effects += self._end(now)
            case _:
                assert_never(input_)
        return effects

    def deadline(self) -> Deadline | None:
        """The earliest of all leases."""
        return self._agenda.next()

    def statuses(self) -> list[LeaseStatus]:
        """Every lease, in the order in which they were configured."""
        return [replace(self._statuses[key], valid_until=_valid_until(lease)) for key, lease in self._leases.items()]

    # --- the Brain ----------------------------------------------------------------------------------------------------

    def _configure(self, now: Instant, wish: ConfigureLeases) -> list[KeeperEffect]:
        effects: list[KeeperEffect] = []
        if wish.store != self._store:
            self._store, self._watched = wish.store, None
            effects.append(OpenStore(wish.store))
        self._listed = frozenset(params.key for params in wish.leases)
        for key in [key for key, lease in self._leases.items() if key not in self._listed and not _is_bound(lease)]:
            self._drop(key)
        effects += self._watch(wish.leases)
        for params in wish.leases:
            held = self._leases.get(params.key)
            if held is None:
                self._leases[params.key] = Lease(params, self._claimant, now)
            else:
                held.params = params
            effects += self._give(now, params.key, TimerFired())
        return effects

    def _watch(self, leases: tuple[LeaseParams, ...]) -> list[KeeperEffect]:
        """Half a duration without news of a held lease is three renewals."""
        keys = tuple(dict.fromkeys([*self._leases, *(params.key for params in leases)]))
        silence = min((params.duration / 2 for params in leases), default=timedelta(0))
        wanted = WatchKeys(keys, silence)
        if wanted == self._watched or self._store is None:
            return []
        self._watched = wanted
        return [wanted]

    def _end(self, now: Instant) -> list[KeeperEffect]:
        self._ending = True
        effects: list[KeeperEffect] = []
        for key in [key for key, lease in self._leases.items() if not _is_bound(lease)]:
            effects += self._give(now, key, NotWant())
        return effects

    def _drop(self, key: str) -> None:
        del self._leases[key], self._statuses[key]
        self._agenda.set(key, None)

    # --- the holder ---------------------------------------------------------------------------------------------------

    def _hold(self, now: Instant, hold: HoldLeases) -> list[KeeperEffect]:
        effects: list[KeeperEffect] = []
        wishes = {wish.key: wish for wish in hold.wishes}
        for key, lease in list(self._leases.items()):
            wish = wishes.get(key)
            if wish is None:
                effects += self._give(now, key, NotWant()) if lease.memory.wish is not None else []
            elif not self._ending or _is_bound(lease):
                before = lease.memory.phase
                effects += self._give(now, key, Want(hold.until, wish.patience, wish.claim))
                if self._holder_is_new and isinstance(before, Holding) and lease.memory.phase == before:
                    effects.append(LeaseValid(key, wish.claim, before.epoch, before.valid_until))
        self._holder_is_new = False
        return effects

    def _holder_gone(self, now: Instant) -> list[KeeperEffect]:
        """Its wishes end now. What is held is not given up: its kernel may answer until the lease has run out."""
        effects: list[KeeperEffect] = []
        for key, lease in list(self._leases.items()):
            wish = lease.memory.wish
            if wish is not None:
                effects += self._give(now, key, Want(now, wish.patience, wish.claim))
        return effects

    # --- the store ----------------------------------------------------------------------------------------------------

    def _store_said(self, now: Instant, said: StoreSaid) -> list[KeeperEffect]:
        effects: list[KeeperEffect] = []
        if isinstance(said.result, StoreFailed):
            self._failures += 1
            if self._failures == FAILURES_TO_TELL:
                effects.append(self._publish(now, StoreLost(said.result.why)))
        else:
            if self._failures >= FAILURES_TO_TELL:
                effects.append(self._publish(now, StoreReturned()))
            self._failures = 0
        return effects + self._give(now, said.request.key, StoreAnswered(said.request.request, said.result))

    # --- one lease ----------------------------------------------------------------------------------------------------

    def _give(self, now: Instant, key: str, input_: LeaseInput) -> list[KeeperEffect]:
        """One input to one lease, and what becomes of its effects."""
        lease = self._leases.get(key)
        if lease is None:  # it was dropped meanwhile
            return []
        effects = lease.handle(now, input_)
        events = {effect: self._publish(now, effect.body) for effect in effects if isinstance(effect, Emit)}
        cause = next((event.event.id for event in events.values()), None)
        out = [self._translated(lease, effect, events, cause) for effect in effects]
        self._agenda.set(key, lease.deadline())
        out += self._seen_elsewhere(now, lease)
        out += self._changed_status(now, key, lease, cause)
        if key not in self._listed and not _is_bound(lease):
            self._drop(key)
        return out

    def _translated(
        self, lease: Lease, effect: LeaseEffect, events: dict[Emit, Published], cause: EventId | None
    ) -> KeeperEffect:
        key = lease.params.key
        match effect:
            case ReadKey() | SwapKey():
                return AskStore(effect, lease.params.request_limit)
            case Granted():
                return LeaseValid(key, effect.claim, effect.epoch, effect.valid_until, cause)
            case Lost():
                return LeaseOver(key, effect.epoch, effect.reason, cause)
            case Emit():
                return events[effect]
            case _:
                assert_never(effect)

    def _seen_elsewhere(self, now: Instant, lease: Lease) -> list[KeeperEffect]:
        """A holder that waits is told of every renewal by another: it knows then that the store is there for it."""
        match lease.memory.phase:
            case Watching(seen=Seen(record=Held(owner=owner), since=since)) if since == now and owner != self._claimant:
                return [LeaseSeen(lease.params.key, owner.node)] if lease.memory.wish is not None else []
            case _:
                return []

    def _changed_status(self, now: Instant, key: str, lease: Lease, cause: EventId | None) -> list[KeeperEffect]:
        owner, epoch = _owner(lease, self._claimant)
        before, state = self._statuses.get(key), _state(lease)
        if before is not None and (before.state, before.owner, before.epoch) == (state, owner, epoch):
            return []
        since = now if before is None or before.state is not state else before.since
        self._statuses[key] = LeaseStatus(key, state, since, owner, epoch, _valid_until(lease), cause)
        return [self._statuses[key]]

    def _publish(self, now: Instant, body: EventBody) -> Published:
        return Published(self._numbering.event(now, Emit(body)))


def _is_bound(lease: Lease) -> bool:
    """Whether the store holds, or may come to hold, our word for it."""
    return isinstance(lease.memory.phase, Taking | Holding | Releasing)


def _state(lease: Lease) -> LeaseState:
    match lease.memory.phase:
        case Unread():
            return LeaseState.UNKNOWN
        case Watching() | Confirming() | Taking():
            return LeaseState.STANDBY if lease.memory.wish is None else LeaseState.WAITING
        case Holding():
            return LeaseState.HELD
        case Releasing():
            return LeaseState.RELEASING
        case _:
            assert_never(lease.memory.phase)


def _owner(lease: Lease, claimant: Claimant) -> tuple[str, int]:
    """Who holds it, and its epoch, by what was last heard of the store."""
    match lease.memory.phase:
        case Holding() as phase:
            return claimant.node, phase.epoch
        case Watching() | Confirming() | Taking() as phase if isinstance(phase.seen.record, Held):
            return phase.seen.record.owner.node, phase.seen.record.epoch or phase.seen.revision
        case _:
            return "", 0


def _valid_until(lease: Lease) -> Instant | None:
    return lease.memory.phase.valid_until if isinstance(lease.memory.phase, Holding) else None
