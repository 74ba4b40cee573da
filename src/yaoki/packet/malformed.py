"""What a decoder answers when bytes do not make a packet: a value, never an exception.

Invariant: every `decode` of this package and of the wire forms above it returns either its packet or a Malformed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

ReasonT = TypeVar("ReasonT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Malformed(Generic[ReasonT]):
    """Why the bytes were refused, and the offset of the octet at which that showed."""

    reason: ReasonT
    offset: int


class Flaw(StrEnum):
    """What can be wrong with the packets of this package."""

    TRUNCATED = "truncated"
    VERSION = "wrong version"
    TYPE = "not this type of message"
    LENGTH = "a length field that does not fit"
    CHECKSUM = "wrong checksum"
    HARDWARE = "not Ethernet and IPv4"
    HOP_LIMIT = "hop limit is not 255"
    OPTION = "broken option"
    ADDRESS = "an address that may not stand there"
