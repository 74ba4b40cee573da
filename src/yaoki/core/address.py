"""Addresses as values: IP addresses are the standard library's; MAC addresses and families are here."""

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Self

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network


class Family(Enum):
    """Address family; the value is the IP version."""

    IPV4 = 4
    IPV6 = 6

    @classmethod
    def of(cls, address: IPAddress | IPInterface | IPNetwork) -> "Family":
        """The family of any address, interface address or network."""
        return cls(address.version)

    @property
    def bits(self) -> int:
        """Length of an address in bits."""
        return 32 if self is Family.IPV4 else 128


_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?:[:-][0-9A-Fa-f]{1,2}){5}")


@dataclass(frozen=True, slots=True)
class MacAddress:
    """An Ethernet address of six octets. Raises ValueError for any other length."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != 6:
            raise ValueError(f"a MAC address has 6 octets, not {len(self.octets)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "02:00:00:00:00:01" (":" or "-" between octets). Raises ValueError for other forms."""
        if _MAC.fullmatch(text) is None:
            raise ValueError(f'"{text}" is no MAC address')
        return cls(bytes(int(part, 16) for part in text.replace("-", ":").split(":")))

    def __str__(self) -> str:
        return self.octets.hex(":")


BROADCAST = MacAddress(b"\xff" * 6)


def parse_address(text: str) -> IPAddress:
    """An IPv4 or IPv6 address. Raises ValueError with the reason."""
    try:
        return IPv4Address(text)
    except ValueError:
        return IPv6Address(text)
