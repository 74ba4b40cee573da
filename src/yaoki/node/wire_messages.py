"""What the Brain's wire observer takes in and wants done; the driver's side is a packet socket on each interface."""

from dataclasses import dataclass

from yaoki.core.address import IPAddress, MacAddress
from yaoki.packet.claim import Claim

# --- in ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WireInterface:
    """An interface of a VIP as it is now: whether frames pass, its MAC, and the own addresses that questions come from.

    Sent when it is watched first, and on each change.
    """

    interface: str
    up: bool
    mac: MacAddress | None
    ipv4: IPAddress | None
    ipv6_link_local: IPAddress | None


@dataclass(frozen=True, slots=True)
class ClaimsSeen:
    """What arrived on an interface of the watched addresses, in order."""

    interface: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class FramesDropped:
    """So many frames about watched addresses were dropped unseen, since this was said last."""

    interface: str
    dropped: int


WireInput = WireInterface | ClaimsSeen | FramesDropped

# --- out --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WatchWire:
    """The complete list of interfaces, each with the addresses whose claims are wanted."""

    places: tuple[tuple[str, tuple[IPAddress, ...]], ...]


@dataclass(frozen=True, slots=True)
class AskWire:
    """Ask for an address by ARP or neighbour solicitation, from this node's own address."""

    interface: str
    address: IPAddress


WireOrder = WatchWire | AskWire
