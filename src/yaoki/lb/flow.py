"""A flow of a service, as one node tells another of it.

Of a TCP connection no window is told: under address translation the receiver's kernel is asked to be liberal about it
instead; direct return knows of none.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from ipaddress import IPv6Address

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.schedulers import Pick
from yaoki.lb.service import ServiceKey, SourcePersistence

MAX_SECONDS = (1 << 31) - 1
HASH_OCTETS = 8
_HASHED = bytes.fromhex("0100000000000000")
"""100::/64, which no packet comes from (RFC 6666)."""


class Stage(IntEnum):
    """How far a flow has come: its first packets were seen; both sides have spoken; one side has ended it. A flow of
    UDP never closes."""

    OPENING = 1
    ESTABLISHED = 2
    CLOSING = 3


@dataclass(frozen=True, slots=True)
class Flow:
    """A client's flow to a service, and the server it was given. `seconds`: how long the kernel that has it keeps it
    without a further packet, 0..MAX_SECONDS. A `client_port` of 0: the client is known by a hash only."""

    service: ServiceKey
    client: IPAddress
    client_port: int
    server: IPAddress
    port: int
    stage: Stage
    seconds: int


@dataclass(frozen=True, slots=True)
class DirectService:
    """What else has to be known of a service with direct return. `macs`: of its servers, in their order; None where it
    is not known yet, or is none of the server's (`tunnel`). `found_by`: how every node finds the server of a flow that
    it was not told of, and then only flows with another server need telling; None if no node does. `weights`: the
    servers' shares of new flows by that, 0 for one that gets none. `idle_timeout`: a flow is kept for so long without a
    packet; None is the usual for its protocol."""

    macs: tuple[MacAddress | None, ...]
    found_by: Pick | None = None
    weights: tuple[int, ...] = ()
    idle_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CopiedService:
    """A service whose flows are copied, and its servers that may have flows: address and port of each. What persistence
    remembers of a flow's source goes with it. `direct` is None under address translation."""

    key: ServiceKey
    servers: tuple[tuple[IPAddress, int], ...]
    persistence: SourcePersistence | None = None
    direct: DirectService | None = None


def hashed_client(hash_: bytes) -> IPv6Address:
    """Stands for a client that is known by HASH_OCTETS octets of hash: nftables keeps no more of an IPv6 flow."""
    return IPv6Address(_HASHED + hash_)


def hash_of(flow: Flow) -> bytes | None:
    """The other way; None of a flow whose client is known."""
    packed = flow.client.packed
    return packed[-HASH_OCTETS:] if not flow.client_port and packed.startswith(_HASHED) else None
