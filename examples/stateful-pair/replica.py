"""What one replica of the key-value service decides. Pure: time comes in, nothing is sent, and only the log is written.

Who owns the VIP serves: that Yaoki says, by the epoch. A replica that does not serve asks the other one again and again
for records that it has not got. Its question says how far it has come, and so acknowledges; the answer is a promise:
for PROMISE_S from now no write is accepted that the asker has not acknowledged. So who was answered, and lacks
nothing, may claim for CLAIM_S from its question that its data is current, and a write is accepted when both have it, or
when the claim of the other one is over.

Invariants: every accepted write is in the log of whoever has a claim; the records of one epoch are one owner's, so two
logs that share a record are equal up to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

WRITE_LIMIT_S = 1.0
"""A write that is not accepted within this time is refused."""
CLAIM_S = 4.0
"""Well above the time in which Yaoki lets a standby take over: 1.1 times the lease of 1.5 s."""
STALL_S = 1.0
"""Who has not looked for so long does not know how old the requests are that wait for it."""
PROMISE_S = CLAIM_S * 1.02 + WRITE_LIMIT_S + STALL_S
"""Outlasts the claim though one clock is fast and the other slow, by what a write may be late that came in time."""
ANSWER_LIMIT = 20
"""Records in one answer."""

Runs = tuple[tuple[int, int], ...]
"""For each epoch in a log, in order: the epoch, and how long the log is up to its last record."""


@dataclass(frozen=True, slots=True)
class Record:
    """A key set to a value. An owner's first record of its epoch has no key: it marks where the epoch begins."""

    epoch: int
    key: str
    value: str


class Log:
    """The records, oldest first; in memory."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.records: list[Record] = []
        self._ends: dict[int, int] = {}
        Log.append(self, records)

    def append(self, records: Iterable[Record]) -> None:
        """Add records at the end."""
        for record in records:
            self.records.append(record)
            self._ends[record.epoch] = len(self.records)

    def cut(self, length: int) -> None:
        """Keep the first `length` records."""
        del self.records[length:]
        self._ends = {record.epoch: end for end, record in enumerate(self.records, 1)}

    @property
    def runs(self) -> Runs:
        """See Runs."""
        return tuple(self._ends.items())

    @property
    def position(self) -> tuple[int, int]:
        """Where it ends; of two logs the one with the greater position has every write that was accepted."""
        return _position(self.runs)


@dataclass(frozen=True, slots=True)
class Ask:
    """`serves` is the asker's epoch, None if it does not serve and so wants records."""

    runs: Runs
    serves: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """`serves` as in Ask. Of the asker's log the first `common` records are the answerer's, too; `records` follow them.
    `promises`: with these the asker lacks nothing, and until PROMISE_S from now nothing is accepted without it."""

    serves: int | None
    promises: bool
    common: int = 0
    records: tuple[Record, ...] = ()


class Refusal(StrEnum):
    """Why a request is refused."""

    NOT_OWNED = "this node does not own the address"
    OVERTAKEN = "another node owns the address under a later epoch"
    NOT_CURRENT = "this node lost touch with the data before it took over"
    UNCONFIRMED = "the other replica has not confirmed it; whether it is kept is not known"


class Replica:
    """See the module. `look` is to be called several times a second and before each of the other methods."""

    def __init__(self, log: Log, now: float) -> None:
        self._log = log
        self._owned: int | None = None
        self._refusal: Refusal | None = Refusal.NOT_OWNED
        self._seen = log.position[0]
        self._acknowledged = 0
        self._looked_at = now
        # What an earlier life has promised is not known.
        self._promised_until = now + PROMISE_S
        self._claims_until: float | None = None
        self._alone = False
        self._accepted = 0
        self._begun = 0
        self._values: dict[str, str] = {}

    @property
    def serves(self) -> int | None:
        """The epoch under which it serves."""
        return self._owned if self._refusal is None else None

    def look(self, now: float, epoch: int | None) -> None:
        """`epoch`: under which this node owns the VIP by Yaoki's word; None if it does not."""
        if now - self._looked_at > STALL_S:
            self._promised_until = max(self._promised_until, now + PROMISE_S)
        self._looked_at = now
        if epoch != self._owned or self._refusal is Refusal.NOT_CURRENT:
            self._owned, self._refusal = epoch, self._why_not(now, epoch)
            if self.serves is not None:
                self._begin(now, self.serves)
        self._advance(now)

    def _why_not(self, now: float, epoch: int | None) -> Refusal | None:
        if epoch is None:
            return Refusal.NOT_OWNED
        if epoch < self._seen:
            return Refusal.OVERTAKEN
        # A replica that was just started has neither claimed nor served: whether its data is current Yaoki has found
        # out, or a person has. One that did knows when that ended.
        resumed = epoch == self._log.position[0]
        lapsed = self._claims_until is not None and not self.current(now)
        return Refusal.NOT_CURRENT if lapsed and not resumed else None

    def _begin(self, now: float, epoch: int) -> None:
        if epoch != self._log.position[0]:
            self._log.append([Record(epoch, "", "")])
        self._seen = epoch
        self._acknowledged = 0
        self._begun = len(self._log.records)
        self._claims_until = now  # from here on it serves by its epoch

    def current(self, now: float) -> bool:
        """Whether nothing that was accepted anywhere is missing here, as far as that can be proved."""
        return self._alone or (self._claims_until is not None and now < self._claims_until)

    def fit(self, now: float) -> bool:
        """Whether it serves or may take over."""
        return self.serves is not None or self.current(now)

    def declare_current(self) -> None:
        """A person says that the data here counts: the other replica is lost, or has no more than this one."""
        self._alone = True

    def refusal(self, now: float) -> Refusal | None:
        """Why nothing is read here; None: everything that was accepted can be read."""
        self._advance(now)
        if self._refusal is None and self._accepted < self._begun:
            return Refusal.UNCONFIRMED
        return self._refusal

    @property
    def values(self) -> Mapping[str, str]:
        """All keys with the values last accepted."""
        return self._values

    def write(self, now: float, key: str, value: str) -> int | Refusal:
        """Take a write; the result is its place, for `accepted`."""
        if self._refusal is not None:
            return self._refusal
        if now >= self._promised_until:
            # It came by the VIP, which Yaoki had silenced here if the other one had taken over by its last claim.
            self._alone = True
        assert self._owned is not None
        self._log.append([Record(self._owned, key, value)])
        return len(self._log.records)

    def accepted(self, now: float, place: int, epoch: int) -> bool:
        """Whether the write that was taken under this epoch is safe."""
        self._advance(now)
        return self.serves == epoch and self._accepted >= place

    def ask(self) -> Ask:
        """What to ask the other one next."""
        return Ask(self._log.runs, self.serves)

    def answer(self, now: float, ask: Ask) -> Answer:
        """Answer a question; the promise is made with the answer."""
        self._heard(ask.serves)
        if ask.serves is not None:
            return Answer(self.serves, promises=False)
        if self.serves is None:
            return Answer(None, self._promise_if(now, _position(ask.runs) >= self._log.position))
        common = _common(ask.runs, self._log.runs)
        if common == _position(ask.runs)[1]:
            self._acknowledged = max(self._acknowledged, common)
        self._advance(now)
        records = tuple(self._log.records[common : common + ANSWER_LIMIT])
        complete = common + len(records) == len(self._log.records)
        return Answer(self.serves, self._promise_if(now, complete), common, records)

    def learn(self, asked_at: float, ask: Ask, answer: Answer) -> bool:
        """Take what was answered; the result is whether there is more to be had."""
        self._heard(answer.serves)
        if self.serves is not None or ask != self.ask():
            return False
        if answer.serves is not None:
            if answer.serves < self._seen:
                return False
            self._alone = False
            if answer.common < len(self._log.records):
                self._cut(answer.common)
            self._log.append(answer.records)
        if answer.promises:
            self._claims_until = asked_at + CLAIM_S
        return answer.serves is not None and not answer.promises

    def _heard(self, epoch: int | None) -> None:
        """The other one serves under this epoch: the fencing token."""
        if epoch is None or epoch <= self._seen:
            return
        self._seen = epoch
        self._alone = False
        if self._owned is not None:
            self._refusal = Refusal.OVERTAKEN

    def _promise_if(self, now: float, complete: bool) -> bool:
        if complete:
            self._alone = False
            self._promised_until = max(self._promised_until, now + PROMISE_S)
        return complete

    def _advance(self, now: float) -> None:
        """What is accepted shows."""
        if self.serves is None:
            return
        safe = len(self._log.records) if now >= self._promised_until else self._acknowledged
        for record in self._log.records[self._accepted : safe]:
            if record.key:
                self._values[record.key] = record.value
        self._accepted = max(self._accepted, safe)

    def _cut(self, length: int) -> None:
        self._log.cut(length)
        if length < self._accepted:
            self._accepted, self._values = 0, {}


def _position(runs: Runs) -> tuple[int, int]:
    return runs[-1] if runs else (0, 0)


def _common(one: Runs, other: Runs) -> int:
    """How many records two logs have in common."""
    lengths = dict(other)
    return max((min(length, lengths[epoch]) for epoch, length in one if epoch in lengths), default=0)
