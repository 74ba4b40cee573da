"""Who answers for one address of a VIP: it is asked for again and again, by every member. Pure.

The question has the node's own address as its sender, never the VIP, so it teaches nobody anything new. A node never
hears its own answer; so whoever else answers an owner's question is a second owner.

What one question shows may be a planned move, in which two may answer for a moment: two owners are told of after the
same has been seen twice, CONFIRM_TIME apart. Silence is told of only while an Active router is heard by VRRP, and after
WireParams.silent_after.

Invariant: while `resting` is not set a question is asked at least each ask_every, and nothing is concluded from
questions asked before the role changed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import Emit
from yaoki.core.instant import Deadline, Instant
from yaoki.vrrp.claim_watch import Reassert
from yaoki.vrrp.member_macs import Ask
from yaoki.vrrp.params import RouterKey
from yaoki.vrrp.wire_events import AnsweredUnadvertised, OneAnswers, OwnedButSilent, TwoOwnersSeen
from yaoki.vrrp.wire_params import SILENT_INTERVALS, SILENT_QUESTIONS, WireParams

ANSWER_TIME = timedelta(milliseconds=100)
"""Answers to a question are waited for so long."""
CONFIRM_TIME = timedelta(milliseconds=150)
"""From a doubtful answer to the next question."""
HEARD_LATELY = timedelta(seconds=25)
"""The speaker repeats now and then (STATUS_REFRESH) that it hears an Active router; beside this, some intervals."""
CALM_QUESTIONS = 2
"""Questions in a row that one node alone answers, before two owners count as over."""
MAX_ANSWERS = 8
"""Noted for one question."""

# --- what VRRP says here ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owning:
    """This node is Active. `heard_at` is when another's advertisement was heard last."""

    since: Instant
    heard_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """This node is on standby; `peer` was the Active router when it was heard last."""

    since: Instant
    peer: IPAddress | None = None
    heard_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """This node takes no part, or hands over just now, or its speaker says nothing. `serving`: it holds the addresses
    until it is relieved."""

    since: Instant
    serving: bool = False


Role = Owning | Listening | Aside

# --- the question under way -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resting:
    """Nobody is asked while the interface is not there."""


@dataclass(frozen=True, slots=True)
class Pausing:
    """Asked again at `ask_at`."""

    ask_at: Instant


@dataclass(frozen=True, slots=True)
class Waiting:
    """Asked at `asked_at`; judged ANSWER_TIME later. `blind`: answers may have been lost, nothing is concluded."""

    asked_at: Instant
    answers: tuple[MacAddress, ...] = ()
    blind: bool = False


Question = Resting | Pausing | Waiting

# --- what is seen -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plain:
    """Nothing to tell of. `unanswered` questions in a row were not answered, the first asked at `silent_since`;
    `doubtful`: several answered the latest; `unadvertised` is the MAC that was told of as answering without being
    advertised."""

    silent_since: Instant | None = None
    unanswered: int = 0
    doubtful: bool = False
    unadvertised: MacAddress | None = None


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody answers; it was told."""

    since: Instant


@dataclass(frozen=True, slots=True)
class Contested:
    """Several answer; it was told. `calm` questions in a row were answered by one."""

    macs: tuple[MacAddress, ...]
    calm: int = 0


Sight = Plain | Silent | Contested


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered last."""

    mac: MacAddress
    at: Instant


Effect = Ask | Reassert | Emit


class AnswerWatch:
    """Watches one address; `node_of` says whose a MAC is. `last` is the latest answer, `asked_at` the latest judged
    question and `answers` those to it."""

    def __init__(
        self, params: WireParams, address: IPAddress, now: Instant, *, node_of: Callable[[MacAddress], str | None]
    ) -> None:
        self.params = params
        self.address = address
        self.role: Role = Aside(now)
        self.question: Question = Resting()
        self.sight: Sight = Plain()
        self.last: Answer | None = None
        self.asked_at: Instant | None = None
        self.answers: tuple[MacAddress, ...] = ()
        self.node_of = node_of
        self._announced: dict[MacAddress, Instant] = {}

    # --- inputs

    def begin(self, ask_at: Instant) -> None:
        """The interface is there: ask from now on."""
        if isinstance(self.question, Resting):
            self.question = Pausing(ask_at)

    def rest(self) -> None:
        """The interface is not there: conclude nothing."""
        self.question = Resting()
        if isinstance(self.sight, Plain):
            self.sight = Plain()

    def blinded(self) -> None:
        """Frames were lost before anybody looked at them."""
        if isinstance(self.question, Waiting):
            self.question = replace(self.question, blind=True)
        if isinstance(self.sight, Plain):
            self.sight = replace(self.sight, silent_since=None, unanswered=0)

    def know(self, role: Role) -> None:
        """What VRRP says here. Another role begins anew: what was seen before belongs to the former owner."""
        before, self.role = self.role, role
        if (type(before), before.since) == (type(role), role.since):
            return
        self._announced.clear()
        if isinstance(self.sight, Plain):
            self.sight = Plain()
        if isinstance(self.question, Waiting):
            self.question = replace(self.question, blind=True)

    def answered(self, now: Instant, mac: MacAddress) -> None:
        """An answer to this node's question has come."""
        self.last = Answer(mac, now)
        question = self.question
        # One node answers once. Two owners may both answer with the virtual MAC, and are told apart by nothing else.
        another = isinstance(question, Waiting) and (mac not in question.answers or mac == self.params.virtual_mac)
        if isinstance(question, Waiting) and another and len(question.answers) < MAX_ANSWERS:
            self.question = replace(question, answers=(*question.answers, mac))

    def announced(self, now: Instant, mac: MacAddress) -> None:
        """A member has announced the address: it lives, and means to own it."""
        if len(self._announced) < MAX_ANSWERS or mac in self._announced:
            self._announced[mac] = now

    def timer_fired(self, now: Instant) -> list[Effect]:
        """Ask, or judge what has been answered."""
        question = self.question
        match question:
            case Resting():
                return []
            case Pausing(ask_at):
                if now < ask_at:
                    return []
                self.question = Waiting(now)
                return [Ask(self.address)]
            case Waiting(asked_at, answers, blind):
                if now < asked_at + ANSWER_TIME:
                    return []
                # Whoever was stopped that long may find the answers lost as well as late.
                late = now - asked_at > ANSWER_TIME + self.params.ask_every
                effects = [] if blind or late else self._judge(now, asked_at, answers)
                doubtful = isinstance(self.sight, Plain) and self.sight.doubtful
                pause = CONFIRM_TIME if doubtful else self.params.ask_every - ANSWER_TIME
                self.question = Pausing(max(asked_at + ANSWER_TIME, now) + pause)
                return effects
            case _:
                assert_never(question)

    def deadline(self) -> Deadline | None:
        """The next question, or the end of the wait for answers."""
        match self.question:
            case Resting():
                return None
            case Pausing(ask_at):
                return Deadline(ask_at, "question")
            case Waiting(asked_at):
                return Deadline(asked_at + ANSWER_TIME, "answers")
            case _:
                assert_never(self.question)

    # --- judging

    def _judge(self, now: Instant, asked_at: Instant, answers: tuple[MacAddress, ...]) -> list[Effect]:
        self.asked_at, self.answers = asked_at, answers
        members = tuple(mac for mac in answers if self.node_of(mac) is not None)
        owning = isinstance(self.role, Owning)
        if len(members) + owning > 1:
            return self._several(now, members)
        if members or owning:
            return self._one(now, members)
        # Whoever is no member has answered: that is a claim, not a silence.
        return [] if answers else self._nobody(now, asked_at)

    def _several(self, now: Instant, members: tuple[MacAddress, ...]) -> list[Effect]:
        sight = self.sight
        match sight:
            case Plain():
                if not sight.doubtful:
                    self.sight = replace(sight, silent_since=None, unanswered=0, doubtful=True)
                    return []
                effects = self._unadvertised(now, members)
                macs = members
            case Silent():
                self.sight = Plain(doubtful=True)
                return []
            case Contested():
                self.sight = Contested(members)
                return [Reassert()] if self._may_reassert(members) else []
            case _:
                assert_never(sight)
        self.sight = Contested(macs)
        nodes = tuple(str(self.node_of(mac)) for mac in macs)
        if isinstance(self.role, Owning):
            nodes = (self.params.here, *nodes)
        effects.append(Emit(TwoOwnersSeen(*self._what, nodes, macs)))
        return [*effects, Reassert()] if self._may_reassert(members) else effects

    def _one(self, now: Instant, members: tuple[MacAddress, ...]) -> list[Effect]:
        node = str(self.node_of(members[0])) if members else self.params.here
        sight = self.sight
        match sight:
            case Plain(silent_since, unanswered, doubtful):
                if silent_since is not None or unanswered or doubtful:
                    self.sight = Plain(unadvertised=sight.unadvertised)
                return [] if isinstance(self.role, Owning) else self._unadvertised(now, members)
            case Silent():
                self.sight = Plain()
                return [Emit(OneAnswers(*self._what, node))]
            case Contested(macs, calm):
                if calm + 1 < CALM_QUESTIONS:
                    self.sight = Contested(macs, calm + 1)
                    return []
                self.sight = Plain()
                return [Emit(OneAnswers(*self._what, node))]
            case _:
                assert_never(sight)

    def _nobody(self, now: Instant, asked_at: Instant) -> list[Effect]:
        sight = self.sight
        match sight:
            case Plain():
                since = asked_at if sight.silent_since is None else sight.silent_since
                unanswered = sight.unanswered + 1
                self.sight = replace(sight, silent_since=since, unanswered=unanswered, doubtful=False)
            case Contested():
                # Both are gone; who answers next is told when somebody does.
                self.sight = Silent(asked_at)
                return []
            case Silent():
                return []
            case _:
                assert_never(sight)
        role = self.role
        if not isinstance(role, Listening) or role.peer is None:
            return []
        long_enough = unanswered >= SILENT_QUESTIONS and now - since >= self.params.silent_after
        if not long_enough or not self._advertised(now):
            return []
        self.sight = Silent(since)
        return [Emit(OwnedButSilent(*self._what, role.peer, now - since))]

    def _unadvertised(self, now: Instant, members: tuple[MacAddress, ...]) -> list[Effect]:
        """Whether a member answers that nobody hears advertise; told once for each MAC in a role."""
        sight, role = self.sight, self.role
        if not isinstance(sight, Plain) or not members or sight.unadvertised == members[0]:
            return []
        if isinstance(role, Aside) or self._advertised(now):
            return []
        if isinstance(role, Listening) and now - role.since < self.params.silent_after:
            return []
        self.sight = replace(sight, unadvertised=members[0])
        node = str(self.node_of(members[0]))
        return [Emit(AnsweredUnadvertised(*self._what, node, members[0]))]

    def _advertised(self, now: Instant) -> bool:
        """Whether VRRP hears another Active router."""
        role = self.role
        match role:
            case Aside():
                return False
            case Owning(since, heard_at):
                return heard_at is not None and heard_at > since
            case Listening(_, _, heard_at):
                lately = HEARD_LATELY + SILENT_INTERVALS * self.params.interval
                return heard_at is not None and now - heard_at <= lately
            case _:
                assert_never(role)

    def _may_reassert(self, members: tuple[MacAddress, ...]) -> bool:
        """Of two owners that both announce only the one of higher priority goes on, or they would take the neighbours
        from each other for ever."""
        if not isinstance(self.role, Owning):
            return False
        ours = self.params.priority(self.params.here)
        return all(mac not in self._announced or ours > self.params.priority(str(self.node_of(mac))) for mac in members)

    @property
    def _what(self) -> tuple[str, RouterKey, IPAddress, str]:
        return self.params.vip, self.params.router, self.address, self.params.router.interface
