"""The authentication trailer: keepalived 2.4's `auth_hmac` (draft-cassen-vrrp-auth-hmac). It stands behind an
advertisement, and behind what nodes tell each other (yaoki.packet.datagram_signature). Pure.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +---------------+---------------+-------------------------------+
     |    type 1     |    key id     |               0               |
     +---------------+---------------+-------------------------------+
     |                 seconds since 1970 (UTC)                      |
     +-------------------------------+-------------------------------+
     |  fraction of the second, 2^-16|            counter            |
     +-------------------------------+-------------------------------+
     |  HMAC-SHA256, the first 16 octets
     +---------------------------------------------------------------+

The HMAC covers a pseudo-header and the message, which are for whoever sends it to say, and the trailer with the HMAC
read as zero.

Invariants: nothing here shows a key; a mark moves only for what was verified; the table of senders has at most
MAX_SENDERS.
"""

import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import IPAddress
from yaoki.packet.authentication_params import LONGEST_KEY, SHORTEST_KEY, AuthenticationParams, Mode, Replay

# Ours.
MAX_SENDERS = 8
"""Of one virtual router, or of one way to a peer, whose marks are kept; more than ever advertise at once."""

_HEAD = struct.Struct("!BBHIHH")
_TYPE_SHA256 = 1
_TAG = 16
LENGTH = _HEAD.size + _TAG
_SEQUENCE_BITS = 64
_SECOND = timedelta(seconds=1)


class SignatureFlaw(StrEnum):
    """Why what was heard is not authentic."""

    UNSIGNED = "not signed"
    TRAILER = "authentication trailer that cannot be"
    UNKNOWN_KEY = "signed with an unknown key"
    WRONG_HMAC = "wrong HMAC"
    STALE = "signed too long ago, or by another clock"
    REPLAYED = "signed, and heard before"


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its octets. Raises ValueError for a length that the draft does not allow."""

    id: int
    octets: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not SHORTEST_KEY <= len(self.octets) <= LONGEST_KEY:
            raise ValueError(f"a key has {SHORTEST_KEY} to {LONGEST_KEY} octets, not {len(self.octets)}")


def key_octets(text: str) -> bytes:
    """The octets of a key as keepalived writes it: `hex:...`, or the characters themselves. Raises ValueError."""
    return bytes.fromhex(text.removeprefix("hex:")) if text.startswith("hex:") else text.encode()


def clock_sequence(wall_ns: int) -> int:
    """A reading of the wall clock (ns since 1970) as a sequence with counter 0."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return (seconds & 0xFFFFFFFF) << 32 | (rest << 16) // 1_000_000_000 << 16


def next_sequence(last: int | None, wall_ns: int, params: AuthenticationParams) -> int:
    """The sequence after `last`: the clock, or one more where the clock has not gone on. A clock that was set back by
    more than the window would have every advertisement refused: then the clock counts again."""
    now = clock_sequence(wall_ns)
    if last is None or _is_after(now, last):
        return now
    ahead = (last >> 32) - (now >> 32)
    if params.replay is Replay.TIME and ahead > params.window // _SECOND:
        return now
    return (last + 1) % (1 << _SEQUENCE_BITS)


def trailer(covered: bytes, key: Key, sequence: int) -> bytes:
    """The trailer that signs `covered`: pseudo-header and message."""
    head = _HEAD.pack(_TYPE_SHA256, key.id, 0, sequence >> 32, sequence >> 16 & 0xFFFF, sequence & 0xFFFF)
    return head + _tag(covered, head, key)


@dataclass(frozen=True, slots=True)
class Trailer:
    """What came behind a message. `sequence` is its 64-bit number, the seconds in the upper half."""

    type: int
    key: int
    reserved: int
    sequence: int
    head: bytes
    tag: bytes

    @classmethod
    def of(cls, data: bytes) -> "Trailer":
        """What LENGTH octets say."""
        head, tag = data[: _HEAD.size], data[_HEAD.size :]
        kind, key, reserved, seconds, fraction, counter = _HEAD.unpack(head)
        return cls(kind, key, reserved, seconds << 32 | fraction << 16 | counter, head, tag)


class Verifier:
    """Verifies what one virtual router hears, or what comes from one peer: keys, window, and the last number of each
    sender. Several keys may go by one number."""

    def __init__(self, params: AuthenticationParams, keys: tuple[Key, ...]) -> None:
        self._params = params
        self._keys = keys
        self._marks: dict[IPAddress, int] = {}

    def judge(
        self, trailer: Trailer | None, source: IPAddress, wall_ns: int, covered: Callable[[], bytes]
    ) -> SignatureFlaw | None:
        """Why a message is not taken; None if it is authentic, or need not be. `covered` is what its trailer signs, and
        is asked for last."""
        if trailer is None:
            return SignatureFlaw.UNSIGNED if self._params.mode is Mode.ENFORCE else None
        if trailer.type != _TYPE_SHA256 or trailer.reserved:
            return SignatureFlaw.TRAILER
        now = wall_ns // 1_000_000_000
        # Before the digest, which costs more: an old capture is only refused by this, nothing is trusted for it.
        if self._params.replay is Replay.TIME and self._is_far(trailer.sequence, now):
            return SignatureFlaw.STALE
        keys = [key for key in self._keys if key.id == trailer.key]
        if not keys:
            return SignatureFlaw.UNKNOWN_KEY
        signed_octets = covered()
        if not any(hmac.compare_digest(_tag(signed_octets, trailer.head, key), trailer.tag) for key in keys):
            return SignatureFlaw.WRONG_HMAC
        return None if self._note(source, trailer.sequence, now) else SignatureFlaw.REPLAYED

    def _is_far(self, sequence: int, now: int) -> bool:
        return abs(_signed((now & 0xFFFFFFFF) - (sequence >> 32), 32)) > self._params.window // _SECOND

    def _note(self, source: IPAddress, sequence: int, now: int) -> bool:
        """Whether the number has grown; it is remembered then, and the sender heard longest ago may give way."""
        mark = self._marks.pop(source, None)
        # A mark outside the window orders only what the window refuses, and would bar a sender whose clock was mended.
        if mark is not None and self._params.replay is Replay.TIME and self._is_far(mark, now):
            mark = None
        grown = mark is None or _is_after(sequence, mark)
        self._marks[source] = sequence if grown or mark is None else mark
        if len(self._marks) > MAX_SENDERS:
            del self._marks[next(iter(self._marks))]
        return grown


def _tag(covered: bytes, head: bytes, key: Key) -> bytes:
    return hmac.digest(key.octets, covered + head + bytes(_TAG), "sha256")[:_TAG]


def _is_after(sequence: int, other: int) -> bool:
    """RFC 1982: which of two numbers that wrap around comes later."""
    return _signed(sequence - other, _SEQUENCE_BITS) > 0


def _signed(number: int, bits: int) -> int:
    number %= 1 << bits
    return number - (1 << bits) if number >> (bits - 1) else number
