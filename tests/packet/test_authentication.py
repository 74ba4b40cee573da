"""The numbers and the keys of the authentication trailer."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.secret import SecretRef
from yaoki.packet.authentication import Key, clock_sequence, key_octets, next_sequence
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Replay, default_window

REF = KeyRef(1, SecretRef("vrrp51"))
PARAMS = AuthenticationParams((REF,))
ORDERED = AuthenticationParams((REF,), replay=Replay.MONOTONIC)
SECOND = timedelta(seconds=1)
S = 1_000_000_000
NOW_S = 0x68000000
NOW = NOW_S * S
SEQUENCE = 0x6800000080000000


def test_the_sequence_is_the_clock_or_one_more() -> None:
    assert clock_sequence(NOW + S // 2) == SEQUENCE
    first = next_sequence(None, NOW, PARAMS)
    assert first == NOW_S << 32
    assert next_sequence(first, NOW, PARAMS) == first + 1
    assert next_sequence(first + 0xFFFF, NOW, PARAMS) == first + 0x10000, "the counter carries into the fraction"
    assert next_sequence(first, NOW + S, PARAMS) == clock_sequence(NOW + S)
    assert next_sequence(first, NOW - 5 * S, PARAMS) == first + 1
    assert next_sequence(first, NOW - 6 * S, PARAMS) == clock_sequence(NOW - 6 * S)
    assert next_sequence(first, NOW - 3600 * S, ORDERED) == first + 1


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_with_numbers_that_must_only_grow_they_do(last_ns: int, wall_ns: int) -> None:
    last = clock_sequence(last_ns)
    assert 0 < (next_sequence(last, wall_ns, ORDERED) - last) % 2**64 < 2**63


def test_keys_are_as_keepalived_writes_them_and_are_never_shown() -> None:
    assert key_octets("hex:" + "00ff" * 16) == bytes.fromhex("00ff") * 16
    assert key_octets("a passphrase of 32 characters ..") == b"a passphrase of 32 characters .."
    for wrong in ("hex:0", "hex:zz"):
        with pytest.raises(ValueError, match="hex"):
            key_octets(wrong)
    for octets in (31, 65):
        with pytest.raises(ValueError, match="32 to 64 octets"):
            Key(1, bytes(octets))
    assert repr(Key(7, b"s" * 32)) == "Key(id=7)"


@pytest.mark.parametrize(("interval_ms", "window_s"), [(10, 5), (1000, 5), (1700, 6), (10_000, 30)])
def test_the_window_is_three_intervals_and_five_seconds_at_least(interval_ms: int, window_s: int) -> None:
    assert default_window(timedelta(milliseconds=interval_ms)) == window_s * SECOND
