"""The trailer behind a heartbeat: that of an advertisement (yaoki.vrrp.authentication), with the keys of the VIPs that
both nodes share. Pure.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +---------------+---------------+-------------------------------+
     |    4 or 6     |       0       |         0x5948 ("YH")         |
     +---------------+---------------+-------------------------------+
     |  source, then destination: 16 octets each, IPv4 padded with zeros
     +---------------------------------------------------------------+

The HMAC covers this pseudo-header, the heartbeat, and the trailer with the HMAC read as zero. A version of 0 is no
advertisement's, so what signs one never signs the other; the destination is covered because a heartbeat says things of
its receiver.
"""

import struct

from yaoki.core.address import Family, IPAddress
from yaoki.vrrp.authentication import LENGTH, Key, Trailer, trailer
from yaoki.vrrp.heartbeat import length_of

_PSEUDO = struct.Struct("!BBH16s16s")
_PURPOSE = 0x5948


def signed(heartbeat: bytes, source: IPAddress, destination: IPAddress, key: Key, sequence: int) -> bytes:
    """The payload with its trailer."""
    return heartbeat + trailer(covered(heartbeat, source, destination), key, sequence)


def divided(payload: bytes) -> tuple[bytes, Trailer | None]:
    """The heartbeat as it would be without a trailer, and the trailer, if the length says that there is one."""
    end = length_of(payload)
    if end is None or len(payload) != end + LENGTH:
        return payload, None
    return payload[:end], Trailer.of(payload[end:])


def covered(heartbeat: bytes, source: IPAddress, destination: IPAddress) -> bytes:
    """What the trailer signs."""
    return _PSEUDO.pack(Family.of(source).value, 0, _PURPOSE, source.packed, destination.packed) + heartbeat
