"""A lease's parameters: what is refused, and the exact values of every formula."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.election.lease_params import LeaseParams, least_duration, wait_out

MS = timedelta(milliseconds=1)
US = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("duration", "waited"),
    [
        (1500 * MS, 1_530_304 * US),
        (500 * MS, 510_102 * US),
        (250 * MS, 255_051 * US),
        (99 * US, 101 * US),
        (1 * US, 2 * US),
        (60_000 * MS, 61_212_122 * US),
    ],
)
def test_a_challenger_waits_a_fiftieth_longer_than_the_owner_trusts(duration: timedelta, waited: timedelta) -> None:
    assert wait_out(duration) == waited


@pytest.mark.req("Z-04")
@given(st.integers(1, 60_000_000))
def test_a_fast_challenger_outwaits_a_slow_owner(duration_us: int) -> None:
    """In hundredths of a microsecond of true time: the owner's clock shows 99 where the challenger's shows 101."""
    owner_trusts = duration_us * 100 * 101
    challenger_waits = wait_out(duration_us * US) // US * 100 * 99
    assert owner_trusts <= challenger_waits < owner_trusts + 100 * 101


@pytest.mark.parametrize(
    ("duration_ms", "renew_us", "limit_us"),
    [
        (60_000, 10_000_000, 200_000),
        (2500, 416_666, 200_000),
        (1500, 250_000, 150_000),
        (500, 83_333, 50_000),
        (250, 41_666, 50_000),
        (100, 16_666, 20_000),
    ],
)
def test_the_usual_pace(duration_ms: int, renew_us: int, limit_us: int) -> None:
    params = LeaseParams.usual("vip/web", duration_ms * MS)
    assert (params.renew_every, params.request_limit) == (renew_us * US, limit_us * US)


@pytest.mark.parametrize(
    ("failures", "ms"), [(0, 23.437), (1, 23.437), (2, 46.875), (3, 93.75), (4, 187.5), (5, 375), (6, 375), (99, 375)]
)
def test_retries_double_up_to_a_quarter_of_the_duration(failures: int, ms: float) -> None:
    assert LeaseParams.usual("vip/web", 1500 * MS).retry_after(failures) == timedelta(milliseconds=ms)


@pytest.mark.parametrize(("election_ms", "least_ms"), [(500, 1500), (1000, 2500), (100, 700)])
def test_a_duration_outlasts_the_election_of_a_store_leader(election_ms: int, least_ms: int) -> None:
    assert least_duration(election_ms * MS) == least_ms * MS


@pytest.mark.parametrize(
    ("key", "duration_ms", "renew_ms", "limit_ms", "why"),
    [
        ("", 1500, 250, 300, "needs a key"),
        ("k", 99, 10, 10, "duration"),
        ("k", 60_001, 10, 10, "duration"),
        ("k", 1500, 0, 300, "renewal"),
        ("k", 1500, 500, 300, "renewal"),
        ("k", 1500, 250, 0, "request limit"),
        ("k", 1500, 250, 501, "request limit"),
    ],
)
def test_parameters_by_which_one_lost_request_costs_the_lease_are_refused(
    key: str, duration_ms: int, renew_ms: int, limit_ms: int, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        LeaseParams(key, duration_ms * MS, renew_ms * MS, limit_ms * MS)


def test_the_limits_themselves_are_allowed() -> None:
    LeaseParams("k", 1500 * MS, 499 * MS, 500 * MS)
    LeaseParams.usual("k", 100 * MS)
    LeaseParams.usual("k", 60_000 * MS)
