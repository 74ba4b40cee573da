"""The virtual router MAC address (RFC 9568, section 7.3): that of whoever owns the addresses, whichever machine it is.

IPv4:  00-00-5E-00-01-{VRID}      IPv6:  00-00-5E-00-02-{VRID}
"""

from enum import StrEnum
from typing import Final

from yaoki.core.address import Family, MacAddress

PREFIXES: Final = {Family.IPV4: b"\x00\x00\x5e\x00\x01", Family.IPV6: b"\x00\x00\x5e\x00\x02"}


class MacKind(StrEnum):
    """At which MAC the addresses of a VIP are."""

    OWN = "own"
    VIRTUAL = "virtual"


def virtual_mac(family: Family, vrid: int) -> MacAddress:
    """The address of one virtual router."""
    return MacAddress(PREFIXES[family] + bytes((vrid,)))


def is_virtual(mac: MacAddress) -> bool:
    """Whether a MAC is that of some virtual router."""
    return mac.octets[:5] in PREFIXES.values()
