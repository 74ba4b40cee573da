"""What the wire observer reports: claims and answers for VIPs as ARP and neighbour discovery show them.

`interface` is the port on which it was seen.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import EventBody, Severity
from yaoki.packet.claim import Form
from yaoki.vrrp.params import RouterKey


@dataclass(frozen=True, slots=True)
class ForeignClaim(EventBody):
    """Somebody says to have an address of a VIP, for the `count`th time, and is no member: all of them are known.
    `others` claims came from more MACs than are told apart. One MAC is told of once in each claim_watch.CLAIM_QUIET.
    """

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    vip: str
    router: RouterKey
    address: IPAddress
    mac: MacAddress
    interface: str
    form: Form
    count: int
    others: int = 0


@dataclass(frozen=True, slots=True)
class UnknownClaim(EventBody):
    """A MAC that is not known claims an address of a VIP; it may be that of one of `members`, which have not been heard
    from since this node started."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    vip: str
    router: RouterKey
    address: IPAddress
    mac: MacAddress
    interface: str
    form: Form
    count: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArpLeaked(EventBody):
    """A real server for direct return claims the VIP's address: its ARP suppression is missing."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    vip: str
    router: RouterKey
    address: IPAddress
    mac: MacAddress
    interface: str
    form: Form
    count: int
    server: str


@dataclass(frozen=True, slots=True)
class ClaimsEnded(EventBody):
    """A MAC that was told of as claiming an address has been quiet for claim_watch.CLAIM_QUIET."""

    vip: str
    router: RouterKey
    address: IPAddress
    mac: MacAddress
    interface: str
    count: int


@dataclass(frozen=True, slots=True)
class TwoOwnersSeen(EventBody):
    """Several members answered one request, twice in a row; the node that tells is among them if it owns the VIP."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    vip: str
    router: RouterKey
    address: IPAddress
    interface: str
    nodes: tuple[str, ...]
    macs: tuple[MacAddress, ...]


@dataclass(frozen=True, slots=True)
class OwnedButSilent(EventBody):
    """`peer` advertises the VIP, but nobody has answered for the address for `silent_for`."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    vip: str
    router: RouterKey
    address: IPAddress
    interface: str
    peer: IPAddress
    silent_for: timedelta


@dataclass(frozen=True, slots=True)
class AnsweredUnadvertised(EventBody):
    """A member answers for the address, but nobody but this node, if it owns the VIP, advertises it."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    vip: str
    router: RouterKey
    address: IPAddress
    interface: str
    member: str
    mac: MacAddress


@dataclass(frozen=True, slots=True)
class OneAnswers(EventBody):
    """What was told of an address is over: one node has it and answers for it."""

    vip: str
    router: RouterKey
    address: IPAddress
    interface: str
    member: str


@dataclass(frozen=True, slots=True)
class MemberMacChanged(EventBody):
    """A member's own address is at another MAC, and the former one answers no more."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    member: str
    address: IPAddress
    interface: str
    mac: MacAddress
    before: MacAddress


@dataclass(frozen=True, slots=True)
class MemberContested(EventBody):
    """Somebody claims a member's own address while that member still answers for it; it is not taken for the member."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    member: str
    address: IPAddress
    interface: str
    mac: MacAddress
    known: MacAddress


@dataclass(frozen=True, slots=True)
class WireFlooded(EventBody):
    """More ARP and neighbour discovery about the VIPs arrives on an interface than is looked at; `dropped` in all."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    dropped: int


@dataclass(frozen=True, slots=True)
class WireUnwatched(EventBody):
    """The kernel refuses to show what is said on an interface; tried again."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    why: str
