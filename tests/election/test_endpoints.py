"""Whom the etcd driver asks next."""

from datetime import timedelta

import pytest

from yaoki.core.instant import Instant
from yaoki.election.store import Endpoint
from yaoki.runtime.stores.endpoints import FIRST_PAUSE, Endpoints

A, B, C = (Endpoint(f"192.0.2.{number}", 2379) for number in (1, 2, 3))
NOW = Instant.of_seconds(100)
MS = timedelta(milliseconds=1)


def test_the_one_that_worked_last_is_asked_again() -> None:
    endpoints = Endpoints((A, B, C))
    assert [endpoints.choose(NOW) for _ in range(3)] == [A, A, A]
    assert Endpoints((A, B, C), first=4).choose(NOW) == B


def test_a_silent_one_is_left_alone_for_its_pause_and_only_returned_to_when_the_next_fails() -> None:
    endpoints = Endpoints((A, B, C))
    endpoints.silent(A, NOW)
    assert endpoints.choose(NOW) == B
    assert endpoints.choose(NOW + FIRST_PAUSE) == B
    endpoints.silent(B, NOW + MS)
    assert endpoints.choose(NOW + MS) == C
    endpoints.silent(C, NOW + FIRST_PAUSE)
    assert endpoints.choose(NOW + FIRST_PAUSE) == A


def test_when_all_are_silent_the_one_whose_pause_ends_first_is_asked() -> None:
    endpoints = Endpoints((A, B, C))
    for number, endpoint in enumerate((B, C, A)):
        endpoints.silent(endpoint, NOW + number * MS)
    assert endpoints.choose(NOW + 5 * MS) == B


@pytest.mark.parametrize(("silences", "pause_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (6, 8)])
def test_pauses_double_up_to_their_limit(silences: int, pause_s: int) -> None:
    for endpoints, asked in ((Endpoints((A, B)), B), (Endpoints((A, B)), A)):
        for _ in range(silences):
            endpoints.silent(A, NOW)
        over = NOW + timedelta(seconds=pause_s)
        assert endpoints.choose(over - MS if asked == B else over) == asked


def test_an_answer_ends_what_earlier_silences_were_counted() -> None:
    endpoints = Endpoints((A, B))
    for _ in range(5):
        endpoints.silent(A, NOW)
    endpoints.worked(A)
    endpoints.silent(A, NOW)
    assert endpoints.choose(NOW + FIRST_PAUSE) == A


def test_one_that_answers_but_cannot_is_followed_by_the_next_without_a_pause() -> None:
    endpoints = Endpoints((A, B, C))
    endpoints.refused(A)
    assert endpoints.choose(NOW) == B
    endpoints.refused(A)
    assert endpoints.choose(NOW) == B
    endpoints.refused(B)
    endpoints.refused(C)
    assert endpoints.choose(NOW) == A
