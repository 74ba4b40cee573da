"""The lease machine by hand: taking, renewing, losing, releasing; exact instants."""

from datetime import timedelta

import pytest

from tests.election.scene import (
    KEY,
    LIMIT,
    ME,
    MS,
    OTHER,
    PARAMS,
    START,
    WAIT,
    D,
    Hands,
    R,
    events,
    held,
    orders,
    released,
)
from yaoki.core.machine import TimerFired
from yaoki.election.events import (
    LeaseLost,
    LeaseReleased,
    LeaseTaken,
    LeaseUnreadable,
    LossReason,
    ReleaseNotStored,
)
from yaoki.election.lease import RELEASE_ATTEMPTS
from yaoki.election.lease_params import LeaseParams, wait_out
from yaoki.election.lease_record import Claimant, Held, Released, read_record
from yaoki.election.lease_state import Granted, Holding, Lost, StoreAnswered, Watching
from yaoki.election.store import KeyRead, KeyState, NotSwapped, ReadKey, StoreFailed, Swapped

US = timedelta(microseconds=1)


def challenger(value: bytes | None, *, revision: int = 5, params: LeaseParams = PARAMS) -> Hands:
    """Wants the lease and has just read the key for the first time."""
    hands = Hands(params)
    hands.want()
    hands.sleep(timedelta(0))
    hands.read(revision, value)
    return hands


def owner() -> Hands:
    """Took a lease that another had released; the swap was sent now, at revision 6, so the epoch is 6."""
    hands = challenger(released(OTHER))
    hands.read(5, released(OTHER))
    hands.answer(Swapped(6))
    return hands


# --- taking -----------------------------------------------------------------------------------------------------------


def test_a_machine_reads_the_key_at_once_even_if_nobody_wants_it() -> None:
    hands = Hands()
    deadline = hands.lease.deadline()
    assert deadline is not None
    assert deadline.at == START
    hands.give(TimerFired())
    assert hands.asked == ReadKey(KEY, 1)
    hands.read(5, held(OTHER))
    assert hands.lease.deadline() is None


def test_a_released_lease_is_read_again_swapped_and_granted_until_a_duration_after_the_swap_was_sent() -> None:
    hands = challenger(released(OTHER))
    assert hands.asked == ReadKey(KEY, 2)
    hands.stall(3 * MS)
    hands.read(5, released(OTHER))
    swap = hands.swap()
    assert swap.expected == 5
    assert read_record(swap.value) == Held(ME, 0, D)
    sent = hands.now
    hands.stall(20 * MS)
    told = hands.answer(Swapped(6))
    assert orders(told) == [Granted(6, sent + D, 1)]
    assert events(told) == [LeaseTaken(KEY, 6, resumed=False, from_node="lb2")]


@pytest.mark.req("Z-04")
@pytest.mark.parametrize("value", [held(OTHER), None], ids=["held", "absent"])
def test_a_lease_that_somebody_may_trust_is_tried_for_a_fiftieth_more_than_its_duration_later(
    value: bytes | None,
) -> None:
    hands = challenger(value)
    assert hands.asked is None
    hands.sleep(WAIT - US)
    assert hands.asked is None
    hands.sleep(US)
    assert isinstance(hands.asked, ReadKey)


def test_the_wait_is_by_the_duration_that_the_owner_wrote_not_by_ones_own() -> None:
    hands = challenger(held(OTHER, duration=4 * D))
    hands.sleep(wait_out(4 * D) - US)
    assert hands.asked is None
    hands.sleep(US)
    assert isinstance(hands.asked, ReadKey)


def test_what_cannot_be_read_is_waited_out_as_the_longest_lease_and_reported() -> None:
    hands = challenger(b"?")
    [event] = events(hands.told)
    assert isinstance(event, LeaseUnreadable)
    assert (event.key, event.revision) == (KEY, 5)
    hands.sleep(timedelta(seconds=61.2))
    assert hands.asked is None
    hands.sleep(timedelta(seconds=0.02))
    assert isinstance(hands.asked, ReadKey)


def test_patience_lets_a_better_placed_node_go_first() -> None:
    for value, wait in ((held(OTHER), WAIT), (released(OTHER), timedelta(0))):
        hands = Hands()
        hands.want(patience=40 * MS)
        hands.sleep(timedelta(0))
        hands.read(5, value)
        hands.sleep(wait + 40 * MS - US)
        assert hands.asked is None
        hands.sleep(US)
        assert isinstance(hands.asked, ReadKey)


def test_the_wait_counts_from_the_answer_of_the_read_not_from_its_question() -> None:
    hands = Hands()
    hands.want()
    hands.sleep(timedelta(0))
    hands.stall(LIMIT - US)
    hands.read(5, held(OTHER))
    hands.sleep(WAIT - US)
    assert hands.asked is None


def test_the_wait_runs_while_nobody_wants_the_lease() -> None:
    hands = Hands()
    hands.sleep(timedelta(0))
    hands.read(5, held(OTHER))
    hands.sleep(2 * D)
    assert hands.asked is None
    hands.want()
    assert isinstance(hands.asked, ReadKey)


def test_each_new_revision_starts_the_wait_anew_and_an_old_one_does_not() -> None:
    hands = challenger(held(OTHER))
    for revision in range(6, 12):
        hands.sleep(R)
        hands.see(revision, held(OTHER, epoch=5))
    hands.sleep(R)
    hands.see(11, held(OTHER, epoch=5))
    hands.see(9, held(OTHER, epoch=5))
    hands.sleep(WAIT - R - US)
    assert hands.asked is None
    hands.sleep(US)
    assert isinstance(hands.asked, ReadKey)


@pytest.mark.req("B-21")
def test_a_woken_challenger_does_not_steal_a_lease_that_was_renewed_while_it_slept() -> None:
    """The renewals wait unread in its sockets: first its timer fires, then it hears of them in whatever order."""
    hands = challenger(held(OTHER))
    hands.stall(10 * D)
    hands.give(TimerFired())
    assert isinstance(hands.asked, ReadKey)
    hands.read(29, held(OTHER, epoch=5))
    assert hands.asked is None
    hands.sleep(WAIT - US)
    assert hands.asked is None

    hands.stall(10 * D)
    hands.give(TimerFired())
    read = hands.asked
    assert isinstance(read, ReadKey)
    hands.see(53, held(OTHER, epoch=5))
    hands.give(StoreAnswered(read.request, KeyRead(KeyState(53, held(OTHER, epoch=5)))))
    assert hands.asked is read, "the answer to a challenge that was given up starts none"
    hands.sleep(WAIT - US)
    assert hands.asked is read


def test_a_challenge_is_swapped_against_the_snapshot_even_if_the_watch_runs_ahead_of_the_answer() -> None:
    hands = challenger(held(OTHER))
    hands.sleep(WAIT)
    hands.read(5, held(OTHER))
    swap = hands.swap()
    hands.see(6, held(OTHER, epoch=5))
    assert swap.expected == 5
    hands.answer(NotSwapped(KeyState(6, held(OTHER, epoch=5))))
    assert orders(hands.told) == []
    hands.sleep(WAIT - US)
    assert hands.asked is None


def test_a_wish_that_ends_before_the_challenge_starts_none() -> None:
    hands = challenger(held(OTHER))
    hands.want(until=hands.now + D)
    assert hands.lease.deadline() is None
    hands.sleep(2 * D)
    assert hands.asked is None


def test_a_wish_that_ends_during_the_read_ends_the_challenge() -> None:
    hands = challenger(released(OTHER))
    hands.not_want()
    hands.read(5, released(OTHER))
    assert hands.asked is None


def test_a_swap_that_succeeds_after_the_wish_ended_is_released_and_never_granted() -> None:
    hands = challenger(released(OTHER))
    hands.read(5, released(OTHER))
    hands.not_want()
    hands.answer(Swapped(6))
    assert orders(hands.told) == []
    assert read_record(hands.swap().value) == Released(ME, 6)


def test_a_swap_answered_after_its_own_duration_grants_nothing_but_is_followed_by_another() -> None:
    hands = challenger(released(OTHER))
    hands.read(5, released(OTHER))
    hands.stall(D)
    assert orders(hands.answer(Swapped(6))) == []
    hands.read(6, held(ME))
    assert read_record(hands.swap().value) == Held(ME, 6, D)
    assert orders(hands.answer(Swapped(7))) == [Granted(6, hands.now + D, 1)]


# --- renewing ---------------------------------------------------------------------------------------------------------


def test_renewals_are_sent_every_sixth_of_the_duration_and_each_extends_the_lease_from_its_own_sending() -> None:
    hands = owner()
    taken = hands.now
    revision = 6
    for round_ in range(1, 5):
        hands.sleep(taken + round_ * R - hands.now)
        sent = hands.now
        swap = hands.swap()
        assert swap.expected == revision
        assert read_record(swap.value) == Held(ME, 6, D)
        hands.sleep(30 * MS)
        revision += 1
        assert orders(hands.answer(Swapped(revision))) == [Granted(6, sent + D, 1)]


def test_a_failed_renewal_is_tried_again_soon_and_costs_nothing_while_the_lease_lasts() -> None:
    hands = owner()
    hands.sleep(R)
    for _ in range(5):
        hands.answer(StoreFailed("no leader"))
        deadline = hands.lease.deadline()
        assert deadline is not None
        assert deadline.at == hands.now + D // 64
        hands.sleep(deadline.at - hands.now)
    assert orders(hands.told)[1:] == []
    sent = hands.now
    assert orders(hands.answer(Swapped(7))) == [Granted(6, sent + D, 1)]


def test_a_renewal_without_an_answer_is_given_up_at_its_limit_and_tried_again() -> None:
    hands = owner()
    hands.sleep(R)
    first = hands.swap()
    hands.sleep(LIMIT)
    assert hands.swap() is first
    hands.sleep(24 * MS)
    second = hands.swap()
    assert second.request == first.request + 1
    assert second.expected == first.expected


def test_a_renewal_that_was_carried_out_without_an_answer_extends_nothing_and_the_next_builds_on_it() -> None:
    hands = owner()
    until = hands.now + D
    hands.sleep(R)
    hands.answer(StoreFailed("timeout"))
    hands.sleep(24 * MS)
    told = hands.answer(NotSwapped(KeyState(7, held(ME, epoch=6))))
    assert told == []
    phase = hands.lease.memory.phase
    assert isinstance(phase, Holding)
    assert phase.valid_until == until
    answered = hands.now
    hands.sleep(50 * MS)
    assert hands.swap().expected == 7
    sent = answered + PARAMS.retry_after(1)
    assert orders(hands.answer(Swapped(8))) == [Granted(6, sent + D, 1)]


def test_a_late_answer_to_a_renewal_that_was_given_up_is_not_counted() -> None:
    hands = owner()
    hands.sleep(R)
    late = hands.swap().request
    hands.sleep(LIMIT + 24 * MS)
    assert hands.give(StoreAnswered(late, Swapped(7))) == []


def test_an_answer_that_comes_twice_counts_once() -> None:
    hands = owner()
    hands.sleep(R)
    number = hands.swap().request
    hands.answer(Swapped(7))
    before = hands.lease.memory
    assert hands.give(StoreAnswered(number, Swapped(7))) == []
    assert hands.lease.memory == before


def test_a_shorter_duration_never_promises_less_than_was_granted_before() -> None:
    hands = owner()
    until = hands.now + D
    hands.lease.params = LeaseParams.usual(KEY, D / 3)
    hands.sleep(R)
    record = read_record(hands.swap().value)
    assert record == Held(ME, 6, until - hands.now)
    revision = 6
    while hands.now <= until:
        revision += 1
        hands.answer(Swapped(revision))
        assert orders(hands.told)[-1] == Granted(6, max(until, hands.now + D / 3, key=lambda at: at.us), 1)
        hands.sleep(hands.lease.params.renew_every)
    assert read_record(hands.swap().value) == Held(ME, 6, D / 3)


# --- losing -----------------------------------------------------------------------------------------------------------


def test_without_a_good_renewal_the_lease_is_lost_at_its_very_end() -> None:
    hands = owner()
    taken = hands.now
    hands.sleep(D - US)
    assert orders(hands.told)[1:] == []
    told = hands.sleep(US)
    assert orders(told) == [Lost(6, LossReason.EXPIRED)]
    assert events(told) == [LeaseLost(KEY, 6, LossReason.EXPIRED)]
    assert hands.now == taken + D


@pytest.mark.req("B-21")
def test_an_owner_that_slept_too_long_has_lost_before_it_hears_anything_else() -> None:
    for slept in (D, D + US, 10 * D):
        hands = owner()
        hands.sleep(R)
        number = hands.swap().request
        hands.stall(slept - R)
        told = hands.give(StoreAnswered(number, Swapped(7)))
        assert orders(told) == [Lost(6, LossReason.EXPIRED)]
        assert isinstance(told[0], Lost)

        hands = owner()
        hands.stall(slept)
        assert hands.want()[0] == Lost(6, LossReason.EXPIRED)


def test_a_lease_that_nobody_took_meanwhile_is_resumed_at_once_with_its_old_epoch() -> None:
    hands = owner()
    hands.stall(10 * D)
    hands.give(TimerFired())
    hands.read(6, held(ME))
    assert read_record(hands.swap().value) == Held(ME, 6, D)
    told = hands.answer(Swapped(7))
    assert orders(told) == [Granted(6, hands.now + D, 1)]
    assert events(told) == [LeaseTaken(KEY, 6, resumed=True, from_node="lb1")]


def test_a_lease_that_another_took_meanwhile_is_left_to_it() -> None:
    hands = owner()
    hands.stall(10 * D)
    hands.give(TimerFired())
    hands.read(9, held(OTHER))
    hands.sleep(WAIT - US)
    assert hands.asked is None


def test_an_owner_whose_record_is_another_s_loses_at_once() -> None:
    hands = owner()
    assert orders(hands.see(9, held(OTHER))) == [Lost(6, LossReason.TAKEN)]
    hands = owner()
    hands.sleep(R)
    assert orders(hands.answer(NotSwapped(KeyState(9, held(OTHER))))) == [Lost(6, LossReason.TAKEN)]
    hands = owner()
    hands.sleep(R)
    assert orders(hands.answer(NotSwapped(KeyState(0, None)))) == [Lost(6, LossReason.TAKEN)]


def test_an_owner_s_own_renewals_in_the_watch_are_no_news() -> None:
    hands = owner()
    assert hands.see(6, held(ME)) == []
    assert hands.see(7, held(ME, epoch=6)) == []
    assert hands.see(5, held(OTHER)) == []


def test_the_same_node_after_a_reboot_waits_like_anybody_else() -> None:
    hands = challenger(held(Claimant("lb1", "an earlier boot")))
    hands.sleep(WAIT - US)
    assert hands.asked is None


def test_a_restarted_process_of_the_same_boot_resumes_at_once_and_promises_no_less_than_its_predecessor() -> None:
    hands = challenger(held(ME, epoch=3, duration=2 * D))
    hands.read(5, held(ME, epoch=3, duration=2 * D))
    assert read_record(hands.swap().value) == Held(ME, 3, 2 * D)
    assert orders(hands.answer(Swapped(6))) == [Granted(3, hands.now + 2 * D, 1)]


def test_a_holder_that_repeats_its_wish_no_more_lets_the_lease_run_out() -> None:
    hands = owner()
    hands.want(until=hands.now + 300 * MS)
    hands.sleep(R)
    sent = hands.now
    hands.answer(Swapped(7))
    told = hands.sleep(2 * D)
    assert hands.asked is None
    assert orders(told) == [Lost(6, LossReason.HOLDER_SILENT)]
    phase = hands.lease.memory.phase
    assert isinstance(phase, Watching)
    assert phase.seen.since == sent + D


def test_a_wish_that_is_repeated_late_but_in_time_saves_the_lease() -> None:
    hands = owner()
    hands.want(until=hands.now + 300 * MS)
    hands.sleep(R)
    hands.answer(Swapped(7))
    hands.sleep(D - 100 * MS)
    hands.want()
    sent = hands.now
    assert orders(hands.answer(Swapped(8))) == [Granted(6, sent + D, 1)]


def test_a_new_claim_is_granted_what_is_held_already() -> None:
    hands = owner()
    until = hands.now + D
    assert hands.want(claim=1) == []
    assert hands.want(claim=2) == [Granted(6, until, 2)]
    hands.sleep(R)
    assert orders(hands.answer(Swapped(7))) == [Granted(6, hands.now + D, 2)]


# --- releasing --------------------------------------------------------------------------------------------------------


def test_a_planned_hand_over_tells_the_store_so_that_the_successor_need_not_wait() -> None:
    hands = owner()
    told = hands.not_want()
    assert told == [Lost(6, LossReason.GIVEN_UP)]
    swap = hands.swap()
    assert (swap.expected, read_record(swap.value)) == (6, Released(ME, 6))
    assert hands.answer(Swapped(7)) != []
    assert events(hands.told)[-1] == LeaseReleased(KEY, 6)
    assert hands.lease.deadline() is None

    successor = challenger(swap.value, revision=7)
    assert isinstance(successor.asked, ReadKey)


def test_a_release_that_crosses_a_renewal_is_told_again() -> None:
    hands = owner()
    hands.sleep(R)
    renewal = hands.swap()
    hands.not_want()
    assert hands.swap().expected == renewal.expected
    hands.give(StoreAnswered(renewal.request, Swapped(7)))
    hands.answer(NotSwapped(KeyState(7, held(ME, epoch=6))))
    hands.sleep(24 * MS)
    assert hands.swap().expected == 7
    hands.answer(Swapped(8))
    assert orders(hands.told)[1:] == [Lost(6, LossReason.GIVEN_UP)]


def test_a_release_is_told_a_limited_number_of_times() -> None:
    hands = owner()
    hands.not_want()
    attempts = 0
    for _ in range(1000):
        if hands.asked is not None:
            attempts += 1
            hands.answer(StoreFailed("no leader"))
        hands.sleep(10 * MS)
    assert attempts == RELEASE_ATTEMPTS
    assert events(hands.told)[-1] == ReleaseNotStored(KEY, 6, "no leader")
    assert hands.lease.deadline() is None


def test_a_release_that_finds_another_owner_is_done() -> None:
    hands = owner()
    hands.not_want()
    hands.answer(NotSwapped(KeyState(9, held(OTHER))))
    assert hands.lease.deadline() is None


def test_a_lease_wanted_again_during_its_release_is_taken_anew() -> None:
    hands = owner()
    hands.not_want()
    hands.want(claim=2)
    hands.answer(Swapped(7))
    hands.read(7, released(ME, epoch=6))
    hands.answer(Swapped(8))
    assert orders(hands.told)[-1] == Granted(8, hands.now + D, 2)


# --- a store that fails -----------------------------------------------------------------------------------------------


def test_a_first_read_that_fails_is_repeated_with_growing_pauses() -> None:
    hands = Hands()
    hands.sleep(timedelta(0))
    pauses = []
    for _ in range(7):
        failed = hands.now
        hands.answer(StoreFailed("refused"))
        deadline = hands.lease.deadline()
        assert deadline is not None
        pauses.append((deadline.at - failed) / MS)
        hands.sleep(deadline.at - hands.now)
    assert pauses == [23.437, 46.875, 93.75, 187.5, 375, 375, 375]


def test_a_challenge_that_fails_is_repeated_and_keeps_the_age_of_its_snapshot() -> None:
    hands = challenger(held(OTHER))
    hands.sleep(WAIT)
    hands.answer(StoreFailed("refused"))
    hands.sleep(24 * MS)
    hands.read(5, held(OTHER))
    hands.answer(StoreFailed("timeout"))
    hands.sleep(47 * MS)
    hands.read(5, held(OTHER))
    assert hands.swap().expected == 5


def test_a_taking_that_was_carried_out_without_an_answer_is_found_and_resumed() -> None:
    hands = challenger(released(OTHER))
    hands.read(5, released(OTHER))
    hands.answer(StoreFailed("timeout"))
    hands.sleep(24 * MS)
    hands.read(6, held(ME))
    hands.sleep(timedelta(0))
    hands.read(6, held(ME))
    assert read_record(hands.swap().value) == Held(ME, 6, D)
    told = hands.answer(Swapped(7))
    assert orders(told) == [Granted(6, hands.now + D, 1)]


def test_timers_that_fire_early_or_often_change_nothing() -> None:
    hands = owner()
    before = hands.lease.memory
    for _ in range(3):
        assert hands.give(TimerFired()) == []
    assert hands.lease.memory == before
