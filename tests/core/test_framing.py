"""Long messages over datagrams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.framing import MAX_DATAGRAM, BadFrame, Joiner, split


@pytest.mark.parametrize("length", [0, 1, MAX_DATAGRAM - 2, MAX_DATAGRAM - 1, MAX_DATAGRAM, 5 * MAX_DATAGRAM])
def test_a_message_of_any_length_comes_back_whole(length: int) -> None:
    message = bytes(i % 251 for i in range(length))
    datagrams = split(message)
    assert all(len(datagram) <= MAX_DATAGRAM for datagram in datagrams)
    joiner = Joiner()
    assert [joiner.join(d) for d in datagrams] == [None] * (len(datagrams) - 1) + [message]


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_messages_one_after_another_stay_apart(messages: list[bytes]) -> None:
    joiner = Joiner()
    assert [joiner.join(d) for message in messages for d in split(message)] == messages


@pytest.mark.parametrize("datagram", [b"", b"x", b"{}"])
def test_a_datagram_of_another_form_is_refused(datagram: bytes) -> None:
    with pytest.raises(BadFrame):
        Joiner().join(datagram)
