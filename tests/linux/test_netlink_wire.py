"""Bytes to and from netlink: attributes, neighbours, comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import MacAddress, parse_address
from yaoki.linux.attributes import attribute, attributes, message, messages, nest
from yaoki.linux.neighbours import Neighbour, read, use
from yaoki.linux.nftables_reader import comment_of


def test_attributes_are_padded_and_come_back() -> None:
    data = attribute(1, b"abc") + attribute(2, b"") + nest(3, attribute(4, b"12345678"))
    assert len(data) % 4 == 0
    assert [(kind, len(value)) for kind, value in attributes(data)] == [(1, 3), (2, 0), (3, 12)]


def test_messages_come_back() -> None:
    data = message(20, 1, 7, b"abcd") + message(21, 0, 8, b"")
    assert list(messages(data)) == [(20, 7, b"abcd"), (21, 8, b"")]


@given(st.binary(max_size=200))
def test_garbage_is_read_without_an_exception(data: bytes) -> None:
    list(attributes(data))
    list(messages(data))
    list(read(data))
    comment_of(data)


@pytest.mark.parametrize(("address", "family"), [("192.0.2.21", 2), ("2001:db8:1::21", 10)])
def test_a_nudge_names_interface_and_address(address: str, family: int) -> None:
    wanted = parse_address(address)
    ((kind, _, body),) = messages(use(3, wanted))
    assert kind == 28
    assert body[:12] == bytes((family, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0))
    assert dict(attributes(body[12:])) == {1: wanted.packed}


def neighbour(state: int, *parts: bytes) -> bytes:
    return message(28, 0, 0, bytes((2, 0, 0, 0, 2, 0, 0, 0, state, 0, 0, 1)) + b"".join(parts))


ADDRESS = attribute(1, bytes((192, 0, 2, 21)))
MAC = attribute(2, bytes.fromhex("020000000021"))
KNOWN = Neighbour(2, parse_address("192.0.2.21"), MacAddress.parse("02:00:00:00:00:21"))
FAILED = Neighbour(2, parse_address("192.0.2.21"), None)


@pytest.mark.parametrize(
    ("state", "expected"),
    [(0x01, []), (0x02, [KNOWN]), (0x04, [KNOWN]), (0x08, [KNOWN]), (0x10, [KNOWN]), (0x20, [FAILED]), (0x80, [KNOWN])],
    ids=["incomplete", "reachable", "stale", "delay", "probe", "failed", "permanent"],
)
def test_a_neighbour_is_known_in_every_state_but_failed_and_incomplete(state: int, expected: list[Neighbour]) -> None:
    assert list(read(neighbour(state, ADDRESS, MAC))) == expected


def test_a_neighbour_without_a_mac_or_with_a_strange_one_is_passed_over() -> None:
    assert list(read(neighbour(0x02, ADDRESS))) == []
    assert list(read(neighbour(0x02, ADDRESS, attribute(2, b"12345678")))) == []
    assert list(read(neighbour(0x02, MAC))) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", ""), (b"\x00\x04web\x00", "web"), (b"\x05\x01x\x00\x04web\x00", "web"), (b"\x05\x01x", ""), (b"\x00", "")],
)
def test_a_comment_is_found_among_user_data(data: bytes, expected: str) -> None:
    assert comment_of(data) == expected
