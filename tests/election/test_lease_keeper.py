"""The keeper's machine: many leases, and its three neighbours."""

from datetime import timedelta

import pytest

from tests.election.scene import D, held
from yaoki.core.codec import Codec
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.events import LeaseLost, LeaseReleased, LeaseTaken, LossReason, StoreLost, StoreReturned
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import Claimant, Released, write_record
from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import Endpoint, EtcdStore, LocalStore, ReadKey, StoreFailed
from yaoki.node.holder_messages import (
    HolderOrder,
    HolderReport,
    HoldLeases,
    LeaseOver,
    LeaseValid,
    LeaseWish,
)
from yaoki.node.lease_keeper import FAILURES_TO_TELL, LeaseKeeper
from yaoki.node.lease_messages import (
    AskStore,
    ConfigureLeases,
    EndLeases,
    HolderBack,
    KeeperEffect,
    KeeperInput,
    KeeperOrder,
    KeeperReport,
    KeySeen,
    LeaseState,
    LeaseStatus,
    OpenStore,
    RepeatLeaseStatus,
    StoreSaid,
    WatchKeys,
)
from yaoki.node.messages import Published

START = Instant.of_seconds(100)
FOREVER = Instant.of_seconds(1_000_000)
MS = timedelta(milliseconds=1)
ME, OTHER = Claimant("lb1", "boot-a"), Claimant("lb2", "boot-b")
STORE = LocalStore()
A, B = "vip/a", "vip/b"


def params(*keys: str, duration: timedelta = D) -> tuple[LeaseParams, ...]:
    return tuple(LeaseParams.usual(key, duration) for key in keys)


def hold(*keys: str, until: Instant = FOREVER, claim: int = 1) -> HoldLeases:
    return HoldLeases(tuple(LeaseWish(key, claim) for key in keys), until)


class Hands:
    """A keeper between a store that answers a millisecond later, unless it is `silent`, and two readers."""

    def __init__(self, *leases: LeaseParams) -> None:
        self.keeper = LeaseKeeper("lb1/lease", ME)
        self.store = MemoryStore()
        self.silent = False
        self.now = START
        self.out: list[KeeperEffect] = []
        for key in (A, B):
            self.store.write(key, write_record(Released(OTHER, 0)))
        self.give(ConfigureLeases(STORE, leases or params(A, B)))

    def give(self, input_: KeeperInput) -> list[KeeperEffect]:
        """One input; returns what it made the keeper do, the store's questions left out."""
        told = self._handle(input_)
        return [effect for effect in told if not isinstance(effect, AskStore)]

    def sleep(self, duration: timedelta) -> list[KeeperEffect]:
        end = self.now + duration
        told: list[KeeperEffect] = []
        while (deadline := self.keeper.deadline()) is not None and deadline.at <= end:
            self.now = max(self.now, deadline.at, key=lambda at: at.us)
            told += self.give(TimerFired())
        self.now = end
        return told

    def _handle(self, input_: KeeperInput) -> list[KeeperEffect]:
        told = self.keeper.handle(self.now, input_)
        self.out += told
        for effect in list(told):
            if isinstance(effect, AskStore) and not self.silent:
                self.now += MS
                said = StoreSaid(effect.request, self.store.carry_out(effect.request))
                told += self._handle(said)
        return told

    def events(self) -> list[EventBody]:
        return [effect.event.body for effect in self.out if isinstance(effect, Published)]

    def state(self, key: str) -> LeaseState:
        return next(status.state for status in self.keeper.statuses() if status.key == key)


def holder_hears(effects: list[KeeperEffect]) -> list[HolderReport]:
    return [effect for effect in effects if isinstance(effect, LeaseValid | LeaseOver)]


def test_the_store_is_opened_and_its_keys_watched_before_anything_is_asked_of_it() -> None:
    hands = Hands()
    assert hands.out[:2] == [OpenStore(STORE), WatchKeys((A, B), D / 2)]
    asked = [effect for effect in hands.out if isinstance(effect, AskStore)]
    assert [ask.request for ask in asked] == [ReadKey(A, 1), ReadKey(B, 1)]
    assert asked[0].limit == LeaseParams.usual(A, D).request_limit


def test_the_same_configuration_again_changes_nothing() -> None:
    hands = Hands()
    hands.give(hold(A))
    before = hands.keeper.statuses()
    assert hands.give(ConfigureLeases(STORE, params(A, B))) == []
    assert hands.keeper.statuses() == before


def test_what_is_wanted_is_taken_and_what_is_wanted_no_more_is_released() -> None:
    hands = Hands()
    told = hands.give(hold(A))
    [valid] = holder_hears(told)
    assert isinstance(valid, LeaseValid)
    assert (valid.key, valid.claim, valid.epoch) == (A, 1, 3)
    assert hands.state(A) is LeaseState.HELD
    assert hands.state(B) is LeaseState.STANDBY
    told = hands.give(hold(B))
    assert [type(report) for report in holder_hears(told)] == [LeaseOver, LeaseValid]
    assert [type(body) for body in hands.events()] == [LeaseTaken, LeaseReleased, LeaseTaken]
    assert hands.state(A) is LeaseState.STANDBY


def test_what_is_said_of_a_lease_names_the_event_that_caused_it() -> None:
    hands = Hands()
    told = hands.give(hold(A))
    [taken] = [effect.event for effect in told if isinstance(effect, Published)]
    [valid] = holder_hears(told)
    assert isinstance(valid, LeaseValid)
    assert valid.because == taken.id
    [status] = [effect for effect in told if isinstance(effect, LeaseStatus) and effect.state is LeaseState.HELD]
    assert (status.because, status.owner, status.epoch) == (taken.id, "lb1", 3)


def test_every_renewal_extends_what_the_holder_may_rely_on_and_is_no_change_of_status() -> None:
    hands = Hands()
    hands.give(hold(A))
    told = hands.sleep(D)
    untils = [report.valid_until for report in holder_hears(told) if isinstance(report, LeaseValid)]
    assert len(untils) >= 5
    assert untils == sorted(untils, key=lambda at: at.us)
    assert not [effect for effect in told if isinstance(effect, LeaseStatus | Published)]


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    "input_",
    [
        hold(A, B),
        ConfigureLeases(STORE, params(A, B)),
        KeySeen(A, MemoryStore().state(A)),
        HolderBack(),
        RepeatLeaseStatus(),
        EndLeases(),
        TimerFired(),
    ],
    ids=lambda input_: type(input_).__name__,
)
def test_after_a_sleep_every_lease_is_said_to_be_lost_before_anything_else(input_: KeeperInput) -> None:
    hands = Hands()
    hands.give(hold(A, B))
    hands.now += 10 * D
    hands.silent = True
    told = hands.keeper.handle(hands.now, input_)
    losses = [effect for effect in told if isinstance(effect, LeaseOver)]
    assert isinstance(told[0], LeaseOver)
    assert {(loss.key, loss.reason) for loss in losses} == {(A, LossReason.EXPIRED), (B, LossReason.EXPIRED)}
    assert not [effect for effect in told if isinstance(effect, LeaseValid)]


def test_without_the_brain_everything_goes_on() -> None:
    hands = Hands()
    hands.give(hold(A))
    hands.sleep(20 * D)
    assert hands.state(A) is LeaseState.HELD
    assert [type(body) for body in hands.events()] == [LeaseTaken]


def test_a_silent_holder_s_lease_runs_out_and_is_not_taken_again() -> None:
    hands = Hands()
    hands.give(hold(A, until=hands.now + 300 * MS))
    told = hands.sleep(5 * D)
    over = holder_hears(told)[-1]
    assert isinstance(over, LeaseOver)
    assert (over.key, over.epoch, over.reason) == (A, 3, LossReason.HOLDER_SILENT)
    assert isinstance(hands.events()[-1], LeaseLost)


def test_a_holder_that_comes_back_is_told_at_once_what_it_holds() -> None:
    hands = Hands()
    hands.give(hold(A))
    assert holder_hears(hands.give(hold(A))) == []
    assert hands.give(HolderBack()) == []
    [valid] = holder_hears(hands.give(hold(A)))
    assert isinstance(valid, LeaseValid)
    assert valid.epoch == 3
    assert holder_hears(hands.give(hold(A))) == []


def test_the_brain_is_told_of_every_lease_when_it_asks() -> None:
    hands = Hands()
    hands.give(hold(A))
    told = hands.give(RepeatLeaseStatus())
    assert [(status.key, status.state) for status in told if isinstance(status, LeaseStatus)] == [
        (A, LeaseState.HELD),
        (B, LeaseState.STANDBY),
    ]


def test_a_lease_that_is_listed_no_more_is_dropped_or_kept_until_it_is_given_up() -> None:
    hands = Hands()
    hands.give(hold(A))
    hands.give(ConfigureLeases(STORE, ()))
    assert [status.key for status in hands.keeper.statuses()] == [A]
    hands.sleep(3 * D)
    assert hands.state(A) is LeaseState.HELD
    hands.give(hold())
    assert hands.keeper.statuses() == []
    assert hands.keeper.deadline() is None
    assert hands.give(KeySeen(A, hands.store.state(A))) == []


def test_other_parameters_are_taken_up_while_a_lease_is_held() -> None:
    hands = Hands()
    hands.give(hold(A))
    hands.give(ConfigureLeases(STORE, params(A, B, duration=2 * D)))
    told = hands.sleep(D)
    last = holder_hears(told)[-1]
    assert isinstance(last, LeaseValid)
    assert last.valid_until > hands.now + D
    assert hands.state(A) is LeaseState.HELD


def test_another_store_is_opened_and_watched() -> None:
    hands = Hands()
    other = EtcdStore((Endpoint("192.0.2.1", 2379),), "yaoki/")
    told = hands.give(ConfigureLeases(other, params(A, B)))
    assert told == [OpenStore(other), WatchKeys((A, B), D / 2)]


def test_a_store_that_does_not_answer_is_told_once_and_its_return_too() -> None:
    hands = Hands()
    hands.give(hold(A))
    for number in range(2 * FAILURES_TO_TELL):
        hands.give(StoreSaid(ReadKey(B, 100 + number), StoreFailed("refused")))
    assert [body for body in hands.events() if isinstance(body, StoreLost)] == [StoreLost("refused")]
    hands.sleep(D)
    assert [body for body in hands.events() if isinstance(body, StoreReturned)] == [StoreReturned()]
    for _ in range(FAILURES_TO_TELL - 1):
        hands.give(StoreSaid(ReadKey(B, 100), StoreFailed("refused")))
    assert len([body for body in hands.events() if isinstance(body, StoreLost)]) == 1


def test_the_end_takes_nothing_and_waits_for_what_is_held_to_be_given_up() -> None:
    hands = Hands()
    hands.give(hold(A))
    assert not hands.keeper.ended
    hands.give(EndLeases())
    assert not hands.keeper.ended
    hands.give(hold(A, B))
    assert hands.state(B) is LeaseState.STANDBY
    hands.give(hold())
    assert hands.keeper.ended
    assert isinstance(hands.events()[-1], LeaseReleased)


def test_with_nothing_held_the_end_is_at_once() -> None:
    hands = Hands()
    hands.give(EndLeases())
    assert hands.keeper.ended


def test_another_s_renewals_are_heard_by_the_watch() -> None:
    hands = Hands()
    hands.store.write(A, held(OTHER))
    hands.give(KeySeen(A, hands.store.state(A)))
    hands.give(hold(A))
    for _ in range(10):
        hands.sleep(D / 6)
        hands.store.write(A, held(OTHER, epoch=4))
        hands.give(KeySeen(A, hands.store.state(A)))
    assert hands.state(A) is LeaseState.WAITING
    hands.sleep(2 * D)
    assert hands.state(A) is LeaseState.HELD


MESSAGES = [
    (ConfigureLeases(EtcdStore((Endpoint("192.0.2.1", 2379, tls=True),), "yaoki/"), params(A, B)), KeeperOrder),
    (ConfigureLeases(LocalStore(), ()), KeeperOrder),
    (RepeatLeaseStatus(), KeeperOrder),
    (EndLeases(), KeeperOrder),
    (hold(A, B), HolderOrder),
    (LeaseValid(A, 1, 7, START), HolderReport),
    (LeaseOver(A, 7, LossReason.TAKEN), HolderReport),
    (LeaseStatus(A, LeaseState.HELD, START, "lb1", 7, START), KeeperReport),
]


@pytest.mark.parametrize(("message", "type_"), MESSAGES, ids=lambda value: type(value).__name__)
def test_messages_cross_the_links_unchanged(message: object, type_: object) -> None:
    codec = Codec()
    assert codec.decode(codec.encode(message), type_) == message
