"""One lease machine between two hands: the values that its tests have in common."""

from datetime import timedelta

from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.lease import Lease
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import Claimant, Held, Released, write_record
from yaoki.election.lease_state import (
    Granted,
    LeaseInput,
    Lost,
    NotWant,
    RevisionSeen,
    StoreAnswered,
    Want,
)
from yaoki.election.store import KeyRead, KeyState, ReadKey, StoreRequest, StoreResult, SwapKey

KEY = "vip/web"
ME = Claimant("lb1", "boot-a")
OTHER = Claimant("lb2", "boot-b")
D = timedelta(milliseconds=1500)
R = timedelta(milliseconds=250)
LIMIT = timedelta(milliseconds=150)
WAIT = timedelta(microseconds=1_530_304)
"""D * 101 / 99, rounded up."""
MS = timedelta(milliseconds=1)
START = Instant.of_seconds(100)
FOREVER = Instant.of_seconds(1_000_000)
PARAMS = LeaseParams.usual(KEY, D)

Told = Granted | Lost | Emit


def held(owner: Claimant, *, epoch: int = 0, duration: timedelta = D) -> bytes:
    return write_record(Held(owner, epoch, duration))


def released(by: Claimant, *, epoch: int = 1) -> bytes:
    return write_record(Released(by, epoch))


class Hands:
    """Drives a lease by hand: the clock moves only when told to, and what the machine asks of the store is kept."""

    def __init__(self, params: LeaseParams = PARAMS, *, claimant: Claimant = ME) -> None:
        self.lease = Lease(params, claimant, START)
        self.now = START
        self.asked: StoreRequest | None = None
        self.told: list[Told] = []

    def give(self, input_: LeaseInput) -> list[Told]:
        """One input now. Returns what the machine told its holder and the event stream."""
        effects = self.lease.handle(self.now, input_)
        requests = [effect for effect in effects if isinstance(effect, ReadKey | SwapKey)]
        assert len(requests) <= 1
        if requests:
            self.asked = requests[0]
        told = [effect for effect in effects if not isinstance(effect, ReadKey | SwapKey)]
        self.told += told
        return told

    def want(self, *, until: Instant = FOREVER, patience: timedelta = timedelta(0), claim: int = 1) -> list[Told]:
        return self.give(Want(until, patience, claim))

    def not_want(self) -> list[Told]:
        return self.give(NotWant())

    def answer(self, result: StoreResult) -> list[Told]:
        """The store answers the last request."""
        assert self.asked is not None, "nothing was asked"
        request, self.asked = self.asked.request, None
        return self.give(StoreAnswered(request, result))

    def read(self, revision: int, value: bytes | None) -> list[Told]:
        assert isinstance(self.asked, ReadKey)
        return self.answer(KeyRead(KeyState(revision, value)))

    def see(self, revision: int, value: bytes) -> list[Told]:
        return self.give(RevisionSeen(KeyState(revision, value)))

    def sleep(self, duration: timedelta) -> list[Told]:
        """The clock moves on; the machine is called at each of its deadlines on the way."""
        end = self.now + duration
        told: list[Told] = []
        while (deadline := self.lease.deadline()) is not None and deadline.at <= end:
            self.now = max(self.now, deadline.at, key=lambda at: at.us)
            told += self.give(TimerFired())
        self.now = end
        return told

    def stall(self, duration: timedelta) -> None:
        """The clock moves on and nobody calls the machine."""
        self.now += duration

    def swap(self) -> SwapKey:
        """The swap asked for last."""
        assert isinstance(self.asked, SwapKey), self.asked
        return self.asked


def events(told: list[Told]) -> list[EventBody]:
    return [effect.body for effect in told if isinstance(effect, Emit)]


def orders(told: list[Told]) -> list[Granted | Lost]:
    return [effect for effect in told if isinstance(effect, Granted | Lost)]
