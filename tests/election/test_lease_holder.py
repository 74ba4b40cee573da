"""The holder's side: what may be answered for, and until when."""

from datetime import timedelta

import pytest

from yaoki.core.instant import Instant
from yaoki.election.lease_holder import LeaseHolder

NOW = Instant.of_seconds(100)
LATER = NOW + timedelta(seconds=1.5)
US = timedelta(microseconds=1)


def test_a_lease_that_was_not_wanted_or_not_granted_is_not_answered_for() -> None:
    holder = LeaseHolder()
    assert not holder.answers(NOW)
    holder.granted(claim=0, epoch=7, valid_until=LATER)
    assert not holder.answers(NOW)
    holder.want()
    assert not holder.answers(NOW)


def test_a_grant_counts_until_its_very_end() -> None:
    holder = LeaseHolder()
    holder.want()
    holder.granted(claim=1, epoch=7, valid_until=LATER)
    assert holder.answers(LATER - US)
    assert not holder.answers(LATER)
    assert (holder.epoch, holder.answers_until) == (7, LATER)


def test_a_loss_counts_at_once() -> None:
    holder = LeaseHolder()
    holder.want()
    holder.granted(claim=1, epoch=7, valid_until=LATER)
    holder.over()
    assert not holder.answers(NOW)
    assert holder.epoch is None
    holder.granted(claim=1, epoch=9, valid_until=LATER)
    assert holder.answers(NOW)


@pytest.mark.req("B-21")
def test_a_grant_that_was_on_its_way_while_the_lease_was_given_up_counts_nothing() -> None:
    holder = LeaseHolder()
    holder.want()
    holder.granted(claim=1, epoch=7, valid_until=LATER)
    holder.gave_up()
    holder.granted(claim=1, epoch=7, valid_until=LATER)
    assert not holder.answers(NOW)
    holder.want()
    holder.granted(claim=1, epoch=7, valid_until=LATER)
    assert not holder.answers(NOW)
    holder.granted(claim=2, epoch=9, valid_until=LATER)
    assert holder.answers(NOW)


def test_wanting_on_is_no_new_claim() -> None:
    holder = LeaseHolder()
    holder.want()
    holder.granted(claim=1, epoch=7, valid_until=LATER)
    holder.want()
    assert holder.claim == 1
    assert holder.answers(NOW)


@pytest.mark.req("B-19")
def test_what_an_earlier_process_held_is_held_under_its_claim_until_its_end_and_not_under_another() -> None:
    holder = LeaseHolder()
    holder.inherit(claim=5, epoch=7, valid_until=Instant(100))
    holder.want()
    assert (holder.claim, holder.epoch, holder.answers_until) == (5, 7, Instant(100))
    assert holder.answers(Instant(99))
    assert not holder.answers(Instant(100))
    holder.gave_up()
    holder.want()
    assert (holder.claim, holder.epoch, holder.answers_until) == (6, None, None)
