"""The Internet checksum (RFC 1071) and the pseudo-headers that go into it (RFC 793 3.1, RFC 8200 8.1).

Invariant: `internet_checksum` of bytes that include their own correct checksum is 0.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress

_PSEUDO_IPV4 = struct.Struct("!4s4sBBH")
_PSEUDO_IPV6 = struct.Struct("!16s16sIHBB")


def internet_checksum(data: bytes) -> int:
    """One's complement of the one's complement sum of the 16-bit words; an odd last octet is padded with zero.

    2**16 is 1 modulo 65535, so the sum of the words is the whole number modulo 65535; a sum that is not zero is never
    folded to zero, hence the 0xffff.
    """
    number = int.from_bytes(data, "big")
    if len(data) & 1:
        number <<= 8
    total = number % 0xFFFF
    if total == 0 and number:
        total = 0xFFFF
    return total ^ 0xFFFF


def pseudo_header(source: IPAddress, destination: IPAddress, *, protocol: int, length: int) -> bytes:
    """The pseudo-header of an upper-layer packet of `length` octets. Both addresses are of one family."""
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        return _PSEUDO_IPV4.pack(source.packed, destination.packed, 0, protocol, length)
    if isinstance(source, IPv6Address) and isinstance(destination, IPv6Address):
        return _PSEUDO_IPV6.pack(source.packed, destination.packed, length, 0, 0, protocol)
    raise ValueError(f"{source} and {destination} are of two families")


def upper_layer_checksum(source: IPAddress, destination: IPAddress, *, protocol: int, data: bytes) -> int:
    """Checksum over the pseudo-header and `data`; 0 where `data` includes its own correct checksum."""
    return internet_checksum(pseudo_header(source, destination, protocol=protocol, length=len(data)) + data)
