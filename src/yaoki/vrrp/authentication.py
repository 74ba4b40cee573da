"""The authentication trailer behind an advertisement: keepalived 2.4's `auth_hmac` (draft-cassen-vrrp-auth-hmac). Pure.

RFC 9568 knows no authentication; the trailer is outside the message that its count of addresses describes.

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

The HMAC covers a pseudo-header (4 or 6, version, VRID, 0, source in 16 octets), the message with its checksum read as
zero, and the trailer with the HMAC read as zero. The message's own checksum leaves the trailer out over IPv4, and takes
it in over IPv6, where the kernel computes it over all that the packet carries.

Invariants: nothing here shows a key; a mark moves only for what was verified; the table of senders has at most
MAX_SENDERS.
"""

import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from yaoki.core.address import Family, IPAddress
from yaoki.packet.checksum import upper_layer_checksum
from yaoki.vrrp.advertisement import PROTOCOL, Rejection
from yaoki.vrrp.authentication_params import LONGEST_KEY, SHORTEST_KEY, AuthenticationParams, Mode, Replay

# Ours.
MAX_SENDERS = 8
"""Of one virtual router whose marks are kept; more than ever advertise at once."""

_HEAD = struct.Struct("!BBHIHH")
_PSEUDO = struct.Struct("!BBBx16s")
_TYPE_SHA256 = 1
_TAG = 16
LENGTH = _HEAD.size + _TAG
_CHECKSUM = slice(6, 8)
_MESSAGE_HEADER = 8
_VERSION_2_TAIL = 8
_SEQUENCE_BITS = 64
_SECOND = timedelta(seconds=1)


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


def signed(message: bytes, source: IPAddress, destination: IPAddress, key: Key, sequence: int) -> bytes:
    """The payload with its trailer, and over IPv6 with the checksum of both."""
    whole = message + trailer(_covered(message, source), key, sequence)
    if Family.of(source) is Family.IPV4:
        return whole
    blank = _with_checksum(whole, 0)
    return _with_checksum(blank, upper_layer_checksum(source, destination, protocol=PROTOCOL, data=blank))


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


def divided(payload: bytes, source: IPAddress, destination: IPAddress) -> tuple[bytes, Trailer | None]:
    """The message as it would be without a trailer, and the trailer, if the length says that there is one."""
    family = Family.of(source)
    if len(payload) < _MESSAGE_HEADER + LENGTH:
        return payload, None
    end = _MESSAGE_HEADER + payload[3] * (4 if family is Family.IPV4 else 16)
    end += _VERSION_2_TAIL if payload[0] >> 4 == 2 else 0
    if len(payload) != end + LENGTH:
        return payload, None
    message = payload[:end]
    if family is Family.IPV6 and upper_layer_checksum(source, destination, protocol=PROTOCOL, data=payload) == 0:
        message = _with_checksum(message, 0)
        message = _with_checksum(message, upper_layer_checksum(source, destination, protocol=PROTOCOL, data=message))
    return message, Trailer.of(payload[end:])


class Verifier:
    """Verifies what one virtual router hears, or what comes from one peer: keys, window, and the last number of each
    sender. Several keys may go by one number."""

    def __init__(self, params: AuthenticationParams, keys: tuple[Key, ...]) -> None:
        self._params = params
        self._keys = keys
        self._marks: dict[IPAddress, int] = {}

    def flaw(self, message: bytes, trailer: Trailer | None, source: IPAddress, wall_ns: int) -> Rejection | None:
        """Why an advertisement is not taken; None if it is authentic, or need not be."""
        return self.judge(trailer, source, wall_ns, lambda: _covered(message, source))

    def judge(
        self, trailer: Trailer | None, source: IPAddress, wall_ns: int, covered: Callable[[], bytes]
    ) -> Rejection | None:
        """The same of any message; `covered` is what its trailer signs."""
        if trailer is None:
            return Rejection.UNSIGNED if self._params.mode is Mode.ENFORCE else None
        if trailer.type != _TYPE_SHA256 or trailer.reserved:
            return Rejection.TRAILER
        now = wall_ns // 1_000_000_000
        # Before the digest, which costs more: an old capture is only refused by this, nothing is trusted for it.
        if self._params.replay is Replay.TIME and self._is_far(trailer.sequence, now):
            return Rejection.STALE
        keys = [key for key in self._keys if key.id == trailer.key]
        if not keys:
            return Rejection.UNKNOWN_KEY
        signed_octets = covered()
        if not any(hmac.compare_digest(_tag(signed_octets, trailer.head, key), trailer.tag) for key in keys):
            return Rejection.WRONG_HMAC
        return None if self._note(source, trailer.sequence, now) else Rejection.REPLAYED

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


def _covered(message: bytes, source: IPAddress) -> bytes:
    pseudo = _PSEUDO.pack(Family.of(source).value, message[0] >> 4, message[1], source.packed)
    return pseudo + _with_checksum(message, 0)


def _tag(covered: bytes, head: bytes, key: Key) -> bytes:
    return hmac.digest(key.octets, covered + head + bytes(_TAG), "sha256")[:_TAG]


def _with_checksum(message: bytes, checksum: int) -> bytes:
    return message[: _CHECKSUM.start] + checksum.to_bytes(2, "big") + message[_CHECKSUM.stop :]


def _is_after(sequence: int, other: int) -> bool:
    """RFC 1982: which of two numbers that wrap around comes later."""
    return _signed(sequence - other, _SEQUENCE_BITS) > 0


def _signed(number: int, bits: int) -> int:
    number %= 1 << bits
    return number - (1 << bits) if number >> (bits - 1) else number
