"""What stands under a lease's key: golden values, both ways, and everything else refused without an exception."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.election.lease_record import Absent, Claimant, Held, Released, Unreadable, read_record, write_record

GOLDEN = {
    Held(Claimant("lb1", "0b5c"), 7, timedelta(seconds=1.5)): (
        b'{"is":"Held","owner":{"node":"lb1","boot":"0b5c"},"epoch":7,"duration":1500000}'
    ),
    Released(Claimant("lb1", "0b5c"), 7): b'{"is":"Released","by":{"node":"lb1","boot":"0b5c"},"epoch":7}',
}


@pytest.mark.parametrize(("record", "value"), GOLDEN.items())
def test_records_have_this_form(record: Held | Released, value: bytes) -> None:
    assert write_record(record) == value
    assert read_record(value) == record


def test_a_key_that_is_not_there_is_absent() -> None:
    assert read_record(None) == Absent()


@given(
    st.builds(
        Held,
        st.builds(Claimant, st.text(), st.text()),
        st.integers(0, 2**63),
        st.timedeltas(timedelta(milliseconds=100), timedelta(seconds=60)),
    )
    | st.builds(Released, st.builds(Claimant, st.text(), st.text()), st.integers(0, 2**63))
)
def test_what_was_written_is_read_back(record: Held | Released) -> None:
    assert read_record(write_record(record)) == record


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"lb1",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"is":"Stolen"}',
        b'{"is":"Held","owner":{"node":"lb1","boot":"0b5c"},"epoch":7}',
        b'{"is":"Held","owner":{"node":"lb1","boot":"0b5c"},"epoch":-1,"duration":1500000}',
        b'{"is":"Held","owner":{"node":"lb1","boot":"0b5c"},"epoch":7,"duration":1}',
        b'{"is":"Held","owner":{"node":"lb1","boot":"0b5c"},"epoch":7,"duration":99000000}',
        b'{"is":"Held","owner":{"node":"lb1","boot":"0b5c"},"epoch":7,"duration":1500000,"colour":"red"}',
    ],
)
def test_what_nobody_of_us_wrote_is_unreadable(value: bytes) -> None:
    record = read_record(value)
    assert isinstance(record, Unreadable)
    assert record.why


@given(st.binary())
def test_no_value_raises(value: bytes) -> None:
    read_record(value)
