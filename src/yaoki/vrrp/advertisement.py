"""The VRRP advertisement on the wire: version 3 (RFC 9568, section 5.2) and version 2 (RFC 3768, section 5.3).

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------+-------+---------------+---------------+---------------+
     |version|type 1 |     VRID      |   priority    | address count |
     +-------+-------+---------------+---------------+---------------+
     |v3: rsvd = 0, interval (12 bit, cs)            |   checksum    |
     |v2: auth type (8), interval (8, s)             |               |
     +-----------------------------------------------+---------------+
     |  addresses: 4 octets each (IPv4) or 16 (IPv6); v2: then 8 octets of authentication data, always there
     +---------------------------------------------------------------+

The checksum covers the message; over IPv6 the pseudo-header, too. Over IPv4 RFC 9568 leaves the pseudo-header out and
keepalived and old FRR put it in: both are accepted, and a decoded advertisement remembers which it was.

Invariant: what decodes is in range, except that its interval and its address list may differ from what is configured.
"""

import struct
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress
from yaoki.packet.checksum import internet_checksum, pseudo_header
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.params import ChecksumForm

PROTOCOL = 112
HOP_LIMIT = 255
GROUP_IPV4 = IPv4Address("224.0.0.18")
GROUP_IPV6 = IPv6Address("ff02::12")
MAX_ADDRESSES = 255

_TYPE_ADVERTISEMENT = 1
_HEADER = struct.Struct("!BBBBHH")
_AUTHENTICATION_LENGTH = 8
_CENTISECOND = timedelta(milliseconds=10)
_SECOND = timedelta(seconds=1)


class Rejection(StrEnum):
    """Why a packet of protocol 112 is not taken for an advertisement to one of our virtual routers (RFC 9568 7.1)."""

    HOP_LIMIT = "hop limit is not 255"
    TRUNCATED = "truncated"
    VERSION = "wrong version"
    TYPE = "not an advertisement"
    VRID = "VRID is zero"
    NO_ADDRESSES = "no addresses"
    CHECKSUM = "wrong checksum"
    INTERVAL = "advertisement interval does not fit"
    AUTHENTICATION = "unknown authentication"
    OWN_ADDRESS = "sent from our own address"
    NOT_A_PEER = "sent by none of the peers"
    UNSIGNED = "not signed"
    TRAILER = "authentication trailer that cannot be"
    UNKNOWN_KEY = "signed with an unknown key"
    WRONG_HMAC = "wrong HMAC"
    STALE = "signed too long ago, or by another clock"
    REPLAYED = "signed, and heard before"


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One advertisement. Priority 0 means that the Active router gives up; 255 that it owns the addresses.

    `checksum` is the form on the wire: always the message only in version 2, always with the pseudo-header over IPv6.
    `authentication_type` and `authentication` exist in version 2 only; RFC 3768 left type 0 alone in use.
    """

    version: int
    vrid: int
    priority: int
    interval: timedelta
    addresses: tuple[IPAddress, ...]
    checksum: ChecksumForm = ChecksumForm.PSEUDO_HEADER
    authentication_type: int = 0
    authentication: bytes = bytes(_AUTHENTICATION_LENGTH)

    def __post_init__(self) -> None:
        if self.version not in (2, 3) or not 1 <= self.vrid <= 255 or not 0 <= self.priority <= 255:
            raise ValueError(f"no advertisement has version {self.version}, VRID {self.vrid}, priority {self.priority}")
        if not 1 <= len(self.addresses) <= MAX_ADDRESSES:
            raise ValueError(f"an advertisement has 1 to {MAX_ADDRESSES} addresses, not {len(self.addresses)}")

    def encode(self, source: IPAddress, destination: IPAddress) -> bytes:
        """The payload of the IP packet from `source` to `destination`."""
        head = self.version << 4 | _TYPE_ADVERTISEMENT
        if self.version == 3:
            timing, tail = self.interval // _CENTISECOND, b""
        else:
            timing, tail = self.authentication_type << 8 | self.interval // _SECOND, self.authentication
        body = b"".join(address.packed for address in self.addresses) + tail
        message = _HEADER.pack(head, self.vrid, self.priority, len(self.addresses), timing, 0) + body
        covered = message
        if self.checksum is ChecksumForm.PSEUDO_HEADER:
            covered = pseudo_header(source, destination, protocol=PROTOCOL, length=len(message)) + message
        return message[:6] + internet_checksum(covered).to_bytes(2, "big") + message[8:]


def decode(
    data: bytes, *, source: IPAddress, destination: IPAddress, hop_limit: int
) -> Advertisement | Malformed[Rejection]:
    """The advertisement in an IP packet of protocol 112, checked as RFC 9568 7.1 and RFC 3768 7.1 demand of all.

    The checks that need the configuration (VRID, version, interval of version 2) are the reader's.
    """
    # RFC 9568 5.1.1.3: a packet whose TTL is not 255 has crossed a router and MUST be discarded.
    if hop_limit != HOP_LIMIT:
        return Malformed(Rejection.HOP_LIMIT, 0)
    if len(data) < _HEADER.size:
        return Malformed(Rejection.TRUNCATED, len(data))
    head, vrid, priority, count, timing, _ = _HEADER.unpack_from(data)
    version, family = head >> 4, Family.of(source)
    if version != 3 and not (version == 2 and family is Family.IPV4):
        return Malformed(Rejection.VERSION, 0)
    if head & 15 != _TYPE_ADVERTISEMENT:
        return Malformed(Rejection.TYPE, 0)
    size = 4 if family is Family.IPV4 else 16
    end = _HEADER.size + count * size
    if len(data) < end + (_AUTHENTICATION_LENGTH if version == 2 else 0):
        return Malformed(Rejection.TRUNCATED, len(data))
    form = _checksum_form(data, version, source, destination)
    if form is None:
        return Malformed(Rejection.CHECKSUM, 6)
    if vrid == 0:
        return Malformed(Rejection.VRID, 1)
    if count == 0:
        return Malformed(Rejection.NO_ADDRESSES, 3)
    interval = (timing & 0xFFF) * _CENTISECOND if version == 3 else (timing & 0xFF) * _SECOND
    if not interval:
        return Malformed(Rejection.INTERVAL, 4)
    addresses: tuple[IPAddress, ...] = tuple(
        IPv4Address(data[at : at + 4]) if size == 4 else IPv6Address(data[at : at + 16])
        for at in range(_HEADER.size, end, size)
    )
    if version == 3:
        return Advertisement(version, vrid, priority, interval, addresses, form)
    return Advertisement(
        version, vrid, priority, interval, addresses, form, timing >> 8, data[end : end + _AUTHENTICATION_LENGTH]
    )


def _checksum_form(data: bytes, version: int, source: IPAddress, destination: IPAddress) -> ChecksumForm | None:
    """The form in which the checksum of `data` is right, None if in no form that its version and family allow."""
    if Family.of(source) is Family.IPV4 and internet_checksum(data) == 0:
        return ChecksumForm.MESSAGE_ONLY
    if version == 3:
        header = pseudo_header(source, destination, protocol=PROTOCOL, length=len(data))
        if internet_checksum(header + data) == 0:
            return ChecksumForm.PSEUDO_HEADER
    return None
