"""Durations and shares: exact values, and that what is written is read back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.site.units import duration_text, parse_duration, parse_share


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("300ms", timedelta(milliseconds=300)),
        ("3s", timedelta(seconds=3)),
        ("1.5s", timedelta(milliseconds=1500)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("250us", timedelta(microseconds=250)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_a_number_and_its_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "3", "s", "3 s", "3sec", "-3s", "1m30s", "3S", "٣s", "1e3s", "999999999999d"])
def test_anything_else_is_none(text: str) -> None:
    assert parse_duration(text) is None


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(milliseconds=300), "300ms"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(seconds=60), "1m"),
        (timedelta(hours=36), "36h"),
        (timedelta(microseconds=250), "250us"),
        (timedelta(0), "0s"),
    ],
)
def test_a_duration_is_written_in_the_largest_whole_unit(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text


@pytest.mark.parametrize(("text", "share"), [("50%", 0.5), ("0%", 0.0), ("12.5%", 0.125), ("150%", 1.5)])
def test_a_share_is_written_in_per_cent(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["50", "0.5", "%", "1000%", "-1%"])
def test_no_other_form_is_a_share(text: str) -> None:
    assert parse_share(text) is None
