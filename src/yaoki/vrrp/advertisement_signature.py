"""The trailer behind an advertisement (yaoki.packet.authentication), as keepalived 2.4 has it. Pure.

RFC 9568 knows no authentication; the trailer is outside the message that its count of addresses describes.

The HMAC covers a pseudo-header (4 or 6, version, VRID, 0, source in 16 octets), the message with its checksum read as
zero, and the trailer with the HMAC read as zero. The message's own checksum leaves the trailer out over IPv4, and takes
it in over IPv6, where the kernel computes it over all that the packet carries.
"""

import struct

from yaoki.core.address import Family, IPAddress
from yaoki.packet.authentication import LENGTH, Key, Trailer, trailer
from yaoki.packet.checksum import upper_layer_checksum
from yaoki.vrrp.advertisement import PROTOCOL

_PSEUDO = struct.Struct("!BBBx16s")
_CHECKSUM = slice(6, 8)
_MESSAGE_HEADER = 8
_VERSION_2_TAIL = 8


def signed(message: bytes, source: IPAddress, destination: IPAddress, key: Key, sequence: int) -> bytes:
    """The payload with its trailer, and over IPv6 with the checksum of both."""
    whole = message + trailer(covered(message, source), key, sequence)
    if Family.of(source) is Family.IPV4:
        return whole
    blank = _with_checksum(whole, 0)
    return _with_checksum(blank, upper_layer_checksum(source, destination, protocol=PROTOCOL, data=blank))


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


def covered(message: bytes, source: IPAddress) -> bytes:
    """What the trailer signs."""
    pseudo = _PSEUDO.pack(Family.of(source).value, message[0] >> 4, message[1], source.packed)
    return pseudo + _with_checksum(message, 0)


def _with_checksum(message: bytes, checksum: int) -> bytes:
    return message[: _CHECKSUM.start] + checksum.to_bytes(2, "big") + message[_CHECKSUM.stop :]
