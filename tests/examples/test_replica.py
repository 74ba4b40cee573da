"""What a replica of the key-value service of examples/stateful-pair decides."""

import pytest

from replica import ANSWER_LIMIT, CLAIM_S, PROMISE_S, STALL_S, Answer, Ask, Log, Record, Refusal, Replica

START = 1000.0
FREE = START + PROMISE_S
"""When what an earlier life may have promised is over."""


def log(*epochs: int) -> Log:
    return Log(Record(epoch, f"key{place}", f"value{place}") for place, epoch in enumerate(epochs, 1))


def looking(replica: Replica, until: float, epoch: int | None) -> None:
    """Look several times a second from START on."""
    now = START
    while now < until:
        replica.look(now, epoch)
        now += STALL_S / 2
    replica.look(until, epoch)


def alone(at: float = FREE, *, owned: int = 1) -> Replica:
    """An owner that promises nobody anything any more."""
    replica = Replica(Log(), START)
    looking(replica, at, owned)
    return replica


def exchange(now: float, asker: Replica, answerer: Replica) -> bool:
    ask = asker.ask()
    return asker.learn(now, ask, answerer.answer(now, ask))


def test_who_does_not_own_takes_no_write() -> None:
    replica = Replica(Log(), START)
    assert replica.write(START, "a", "1") is Refusal.NOT_OWNED
    assert replica.refusal(START) is Refusal.NOT_OWNED


def test_an_owner_without_a_peer_waits_for_what_an_earlier_life_may_have_promised() -> None:
    replica = Replica(Log(), START)
    replica.look(START, 7)
    place = replica.write(START, "a", "1")
    assert isinstance(place, int)
    looking(replica, FREE - 0.01, 7)
    assert not replica.accepted(FREE - 0.01, place, 7)
    assert replica.refusal(FREE - 0.01) is Refusal.UNCONFIRMED
    assert replica.accepted(FREE, place, 7)
    assert replica.values == {"a": "1"}


def test_a_write_is_accepted_when_the_other_one_asks_for_what_follows_it() -> None:
    owner, standby = Replica(Log(), START), Replica(Log(), START)
    owner.look(START, 7)
    assert not exchange(START, standby, owner)
    place = owner.write(START, "a", "1")
    assert isinstance(place, int)
    exchange(START, standby, owner)
    assert not owner.accepted(START, place, 7), "it was sent, and may not have come"
    exchange(START, standby, owner)
    assert owner.accepted(START, place, 7)


def test_who_lacks_nothing_claims_so_from_its_question_on_and_binds_the_owner_for_longer() -> None:
    owner, standby = alone(), Replica(Log(), START)
    exchange(FREE, standby, owner)
    assert standby.current(FREE + CLAIM_S - 0.01)
    assert not standby.current(FREE + CLAIM_S)
    place = owner.write(FREE, "a", "1")
    assert isinstance(place, int)
    now = FREE
    while now < FREE + PROMISE_S - STALL_S:
        now += STALL_S / 2
        owner.look(now, 1)
        assert not owner.accepted(now, place, 1)
    assert owner.accepted(FREE + PROMISE_S, place, 1)


def test_who_still_lacks_something_claims_nothing_and_binds_nobody() -> None:
    owner, standby = alone(), Replica(Log(), START)
    for number in range(ANSWER_LIMIT + 5):
        owner.write(FREE, str(number), "x")
    assert exchange(FREE, standby, owner), "there is more"
    assert not standby.current(FREE)
    place = owner.write(FREE, "a", "1")
    assert isinstance(place, int)
    assert owner.accepted(FREE, place, 1)
    assert not exchange(FREE, standby, owner)
    assert standby.current(FREE)


def test_a_standby_that_lost_touch_does_not_serve_until_it_is_current_again() -> None:
    owner, standby = alone(), Replica(Log(), START)
    exchange(FREE, standby, owner)
    standby.look(FREE, None)
    standby.look(FREE + CLAIM_S, 2)
    assert standby.write(FREE + CLAIM_S, "a", "1") is Refusal.NOT_CURRENT
    owner.look(FREE + CLAIM_S, None)
    exchange(FREE + CLAIM_S, standby, owner)
    standby.look(FREE + CLAIM_S, 2)
    assert standby.serves == 2


def test_one_that_was_just_started_leaves_that_to_yaoki() -> None:
    replica = Replica(log(1, 1), START)
    assert not replica.current(START)
    replica.look(START, 2)
    assert replica.serves == 2


def test_of_two_that_do_not_serve_the_one_that_came_farther_is_current() -> None:
    far, near = Replica(log(1, 1, 3), START), Replica(log(1, 1, 1, 1), START)
    exchange(START, far, near)
    exchange(START, near, far)
    assert far.current(START)
    assert not near.current(START)


def test_two_that_came_equally_far_are_current_both() -> None:
    one, other = Replica(log(1, 1), START), Replica(log(1, 1), START)
    exchange(START, one, other)
    exchange(START, other, one)
    assert one.current(START)
    assert other.current(START)


def test_an_owner_that_hears_of_a_later_epoch_is_overtaken() -> None:
    replica = alone(owned=5)
    replica.answer(FREE, Ask(((4, 3),), serves=4))
    assert replica.serves == 5
    replica.answer(FREE, Ask(((6, 1),), serves=6))
    assert replica.serves is None
    assert replica.write(FREE, "a", "1") is Refusal.OVERTAKEN
    replica.look(FREE, 5)
    assert replica.serves is None, "the file that says so is an old one"
    replica.look(FREE, 7)
    assert replica.serves is None, "what it had is not current"


def test_records_that_the_new_owner_has_not_got_are_cut() -> None:
    old = Replica(log(1, 1, 1, 1), START)
    new = Replica(log(1, 1), START)
    new.look(START, 2)
    exchange(START, old, new)
    assert old.ask().runs == ((1, 2), (2, 3))


def test_an_answer_to_an_earlier_question_is_not_taken() -> None:
    owner, standby = alone(), Replica(Log(), START)
    ask = standby.ask()
    answer = owner.answer(FREE, ask)
    standby.learn(FREE, ask, answer)
    standby.learn(FREE, ask, answer)
    assert standby.ask().runs == owner.ask().runs


def test_records_of_an_earlier_owner_are_not_taken() -> None:
    standby = Replica(log(1, 3), START)
    standby.learn(START, standby.ask(), Answer(2, promises=True, common=1, records=(Record(2, "a", "1"),)))
    assert standby.ask().runs == ((1, 1), (3, 2))
    assert not standby.current(START)


def test_who_wrote_alone_is_current_until_it_answers_the_other_one() -> None:
    owner = alone()
    owner.write(FREE, "a", "1")
    owner.look(FREE, None)
    assert owner.current(FREE + 1000)
    owner.answer(FREE, Ask((), serves=None))
    assert owner.current(FREE), "the other one has less"
    owner.answer(FREE, Ask(owner.ask().runs, serves=None))
    assert not owner.current(FREE)


def test_who_stood_still_does_not_believe_to_be_alone() -> None:
    replica = alone()
    late = FREE + STALL_S + 0.1
    replica.look(late, 1)
    place = replica.write(late, "a", "1")
    assert isinstance(place, int)
    assert not replica.accepted(late, place, 1)


def test_a_person_may_say_that_the_data_counts() -> None:
    replica = Replica(log(1), START)
    replica.declare_current()
    assert replica.current(START + 1000)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_service_that_is_started_anew_goes_on(epoch: int) -> None:
    replica = Replica(log(1, 1), START)
    looking(replica, FREE, epoch)
    assert replica.serves == epoch
    assert replica.values == {"key1": "value1", "key2": "value2"}
