"""What the speaker is asked for: virtual routers in an order that harms nobody, and priorities that follow what
is tracked.

A cold start asks for VIPs once tables are there and checks have spoken. A new plan first gives up the routers that are
not in it, then waits for the tables, then asks for the rest; so it is with VIPs that are withdrawn and brought back.
While a tracked check has not spoken, the speaker goes by what it was told last, be it by an earlier life of this
process: who restarts may not let a node own that is hindered.

Invariant: apart from the first time and a repeat for a new speaker, nothing is sent that the speaker was told already.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from yaoki.core.event import Emit, EventId
from yaoki.core.instant import Deadline, Instant
from yaoki.node.brain_events import PriorityWanted
from yaoki.node.messages import ConfigureRouters, RouterStatus, SetPriority
from yaoki.site.node_plan import NodePlan, Tracked, TrackedProbe, TrackPlan
from yaoki.vrrp.events import Reason
from yaoki.vrrp.params import RouterKey, RouterParams
from yaoki.vrrp.peer_params import NO_PEERS
from yaoki.vrrp.standing import LEAST_PRIORITY, OWNER_PRIORITY, standing

STARTUP_HOLD = timedelta(seconds=2)
"""Longest wait for tables and first verdicts before VIPs are asked for all the same."""

_BARRED = frozenset({Reason.BARRED.value, Reason.HINDERED.value, Reason.KEPT.value})


class RouterWish:
    """The routers and priorities wanted, and those that the speaker was told."""

    def __init__(self, moved: tuple[str, ...]) -> None:
        self.moved = moved
        """VIPs that a person moved away: wanted with the least priority, to own only if nobody else does."""
        self.held_back: frozenset[str] = frozenset()
        """VIPs that are not to be taken from another for the moment: likewise."""
        self._withdrawn: frozenset[str] = frozenset()
        self._wanted: tuple[RouterParams, ...] = ()
        self._heartbeat = NO_PEERS
        self._tracks_of: dict[RouterKey, tuple[TrackPlan, ...]] = {}
        self._told: ConfigureRouters | None = None
        self._because: EventId | None = None
        self._hold_until: Instant | None = None
        self._warm = False
        self._lost: dict[RouterKey, tuple[TrackPlan, ...]] = {}
        self._unjudged: set[RouterKey] = set()
        self._reported: dict[RouterKey, RouterStatus] = {}
        self._causes: dict[RouterKey, EventId] = {}
        self._told_priorities: dict[RouterKey, tuple[int, bool | None]] = {}

    def reported(self, statuses: Iterable[RouterStatus]) -> None:
        """What the speaker says of its routers, whose priorities and bars an earlier life may have told it."""
        self._reported = {status.router: status for status in statuses}

    def deadline(self) -> Deadline | None:
        """The end of the hold."""
        return None if self._hold_until is None else Deadline(self._hold_until, "startup hold")

    def found_tables(self, found: bool) -> None:
        """Whether the kernel had tables at start: then this is a restart, and checks need not speak first."""
        self._warm = found

    def new_plan(self, now: Instant, plan: NodePlan, because: EventId) -> None:
        """Want these routers from now on."""
        self._wanted, self._heartbeat, self._because = plan.routers, plan.heartbeat, because
        self._tracks_of = {
            params.key: tuple(track for track in plan.tracks if track.router == params.key)
            for params in plan.routers
            # The owner of the addresses advertises 255, always (RFC 9568 6.1).
            if params.priority != OWNER_PRIORITY and any(track.router == params.key for track in plan.tracks)
        }
        self._hold_until = now + STARTUP_HOLD
        keys = {params.key for params in plan.routers}
        for kept in (self._lost, self._causes, self._told_priorities):
            for key in kept.keys() - keys:
                kept.pop(key, None)

    def withdraw(self, now: Instant, vips: frozenset[str], because: EventId | None) -> None:
        """Want no router of these VIPs; those that were withdrawn until now as soon as their tables are there."""
        if vips != self._withdrawn:
            self._withdrawn, self._because = vips, because
            self._hold_until = now + STARTUP_HOLD

    def tracked(self, works: Callable[[Tracked], bool | None], causes: Mapping[Tracked, EventId | None]) -> list[Emit]:
        """Follow what is tracked; what to tell of priorities that change. `works` is None for what is not known yet,
        which changes nothing."""
        emits = []
        # Of services it is known at once: their servers are presumed to be as the kernel has them.
        self._unjudged = {
            key
            for key, tracks in self._tracks_of.items()
            if any(isinstance(track.tracked, TrackedProbe) and works(track.tracked) is None for track in tracks)
        }
        for params in self._wanted:
            tracks = self._tracks_of.get(params.key, ())
            lost = tuple(track for track in tracks if works(track.tracked) is track.reverse)
            before = self.wanted_priority(params)
            self._lost[params.key] = lost
            after = self.wanted_priority(params)
            if before == after:
                continue
            named = [track.tracked for track in tracks]
            tracked = next((each for each in named if each in causes), named[0])
            cause = causes.get(tracked, self._because)
            emits.append(Emit(PriorityWanted(params.vip, params.key, str(tracked), before, after), cause))
        return emits

    def announced(self, wanted: Emit, event: EventId) -> None:
        """What `tracked` wanted to tell was told as this event: the cause of the order to the speaker."""
        assert isinstance(wanted.body, PriorityWanted)
        self._causes[wanted.body.router] = event

    def wanted_priority(self, params: RouterParams) -> int:
        """The priority that a router shall advertise now, as far as the Brain knows; 0: it may not own."""
        return standing(params.priority, self._weights(params)).effective

    @property
    def _asked(self) -> tuple[RouterParams, ...]:
        return tuple(params for params in self._wanted if params.vip not in self._withdrawn)

    def _aside(self, params: RouterParams) -> bool:
        return params.vip in self.moved or params.vip in self.held_back

    def _weights(self, params: RouterParams) -> list[int | None]:
        moved = [LEAST_PRIORITY - params.priority] if self._aside(params) else []
        return [*moved, *(track.weight for track in self._lost.get(params.key, ()))]

    def apply(self, now: Instant, *, tables_ready: bool, checks_spoken: bool) -> list[ConfigureRouters | SetPriority]:
        """What to tell the speaker now."""
        effects: list[ConfigureRouters | SetPriority] = []
        if self._hold_until is not None:
            held_long_enough = now >= self._hold_until
            warm = self._warm or self._told is not None
            if held_long_enough or (tables_ready and (warm or checks_spoken)):
                self._hold_until = None
                effects += self._tell(self._asked)
            elif self._told is not None:
                keys = {params.key for params in self._asked}
                effects += self._tell(tuple(params for params in self._told.routers if params.key in keys))
        return [*effects, *self._tell_priorities()]

    def repeat(self) -> list[ConfigureRouters | SetPriority]:
        """The whole wish again, for a speaker that may know nothing."""
        self._told_priorities = {}
        return [] if self._told is None else [self._told, *self._tell_priorities()]

    def _tell(self, routers: tuple[RouterParams, ...]) -> list[ConfigureRouters]:
        before = () if self._told is None else self._told.routers
        if self._told is not None and before == routers and self._told.heartbeat == self._heartbeat:
            return []
        for params in routers:
            if params not in before:
                # A router configured anew begins with its configured priority.
                self._told_priorities.pop(params.key, None)
        self._told = ConfigureRouters(routers, self._because, self._heartbeat)
        return [self._told]

    def _tell_priorities(self) -> Iterable[SetPriority]:
        """A tracked router's priority is told at least once: a speaker older than this Brain may still have another. So
        is that of one which the file has taken the track from since.
        One that an operator moved away, or that is held back, waits for no check; its bar does."""
        for params in () if self._told is None else self._told.routers:
            unjudged = params.key in self._unjudged
            if unjudged and not self._aside(params):
                continue
            weights = self._weights(params)
            priority = params.priority + sum(weight for weight in weights if weight is not None)
            barred = True if None in weights else None if unjudged else False
            wanted = priority, barred
            told = self._told_priorities.get(params.key)
            changed = wanted != (params.priority, False) or self._says_otherwise(params)
            if told != wanted and (params.key in self._tracks_of or told is not None or changed):
                self._told_priorities[params.key] = wanted
                yield SetPriority(params.key, priority, self._causes.get(params.key), barred=barred)

    def _says_otherwise(self, params: RouterParams) -> bool:
        """Whether the speaker holds a router for barred, or has lowered its priority, be it for an interface."""
        status = self._reported.get(params.key)
        return status is not None and (status.reason in _BARRED or status.priority != params.priority)
