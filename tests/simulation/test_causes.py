"""The invariant of events and their causes, given events that no engine makes."""

import pytest

from tests.simulation.scene import Scene
from yaoki.core.event import Event, EventBody, EventId
from yaoki.core.instant import Instant
from yaoki.sim.invariants.conduct import EVENTS_REMEMBERED
from yaoki.sim.ledger import InvariantBroken


def event(number: int, because: EventId | None = None) -> Event:
    return Event(EventId("lb1/test", number), Instant(0), EventBody(), because)


def test_a_cause_that_never_was_is_found() -> None:
    scene = Scene()
    scene.world.ledger.published("lb1", event(1))
    scene.world.ledger.published("lb1", event(2, EventId("lb1/test", 1)))
    with pytest.raises(InvariantBroken, match="names lb1/test:9 as its cause"):
        scene.world.ledger.published("lb1", event(3, EventId("lb1/test", 9)))


def test_what_happened_long_ago_may_still_be_a_cause_and_be_published_once_more() -> None:
    scene = Scene()
    published = scene.world.ledger.published
    for number in range(1, EVENTS_REMEMBERED + 2):
        published("lb1", event(number))
    last = EVENTS_REMEMBERED + 2
    published("lb1", event(last, EventId("lb1/test", 1)))
    published("lb1", event(1))
    published("lb1", event(last + 1))
    with pytest.raises(InvariantBroken, match="as its cause, which nobody has made"):
        published("lb1", event(last + 2, EventId("lb1/test", last + 2)))


def test_a_gap_in_the_numbers_and_a_number_given_twice_are_found() -> None:
    scene = Scene()
    scene.world.ledger.published("lb1", event(1))
    scene.world.ledger.published("lb1", event(1))
    with pytest.raises(InvariantBroken, match="names two events"):
        scene.world.ledger.published("lb1", event(1, EventId("lb1/test", 1)))
    with pytest.raises(InvariantBroken, match="follows number 1"):
        scene.world.ledger.published("lb1", event(3))
