"""What virtual routers report: event bodies and the reasons they carry. Values only; text is made at the edge."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from yaoki.core.address import Family, IPAddress
from yaoki.core.event import EventBody, Severity
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.params import ChecksumForm, RouterKey


class Reason(StrEnum):
    """Why a virtual router is in its state."""

    CONFIGURED = "configured, waiting for its interface"
    STARTED = "started, listening for an active router"
    OWNS_ADDRESSES = "priority 255, owner of the addresses"
    ADDRESSES_HELD = "the addresses were held from before"
    NOBODY_HEARD = "no active router heard"
    ACTIVE_SILENT = "the active router fell silent"
    ACTIVE_RELEASED = "the active router gave up"
    PREEMPTED_LOWER = "retook from a lower priority"
    ACTIVE_FAILING = "retook from one that lost more of its priority"
    HIGHER_PRIORITY = "a higher priority was heard"
    GREATER_ADDRESS = "equal priority, greater address heard"
    HELD_OUT = "returned, waiting to be admitted"
    QUARANTINED = "returned, in quarantine until its data is known to be current"
    ADMITTED = "admitted, it may own again"
    BARRED = "may not own while what it tracks has failed"
    HINDERED = "another router of its sync group may not own"
    REPLACED = "another node has taken this one's place"
    GROUP_ELSEWHERE = "the rest of its sync group is owned elsewhere"
    KEPT = "keeps what it may not own, for nobody better takes it"
    OVERSLEPT = "the speaker had stood still for too long"
    LEASE_GRANTED = "the lease was granted"
    LEASE_RAN_OUT = "the lease ran out"
    LEASE_TAKEN = "another node holds the lease"
    OTHER_FAMILY = "the other family gave way"
    NO_GATE = "the kernel refused the dead-man gate"
    NO_KEY = "the key that signs its advertisements is not there"
    INTERFACE_DOWN = "interface down"
    NO_SOURCE_ADDRESS = "interface has no address to send from"
    STOPPED = "stopped"
    REMOVED = "removed from the configuration"
    MOVED = "moved away by an operator"
    NOBODY_TOOK_OVER = "nobody else took over"


@dataclass(frozen=True, slots=True)
class BecameActive(EventBody):
    """This router owns the addresses from now on. `epoch` is the fencing token of its lease, if it owns by one."""

    router: RouterKey
    vip: str
    reason: Reason
    priority: int
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class BecameBackup(EventBody):
    """This router listens; `peer` is the router that it gave way to, if any."""

    router: RouterKey
    vip: str
    reason: Reason
    peer: IPAddress | None = None
    peer_priority: int | None = None


@dataclass(frozen=True, slots=True)
class RouterInitialized(EventBody):
    """This router takes no part in the election."""

    router: RouterKey
    vip: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class HandOverBegun(EventBody):
    """This router leaves. It serves until another one has taken over, `within` this time at most."""

    router: RouterKey
    vip: str
    reason: Reason
    within: timedelta


@dataclass(frozen=True, slots=True)
class HandedOver(EventBody):
    """Another router took over from this one, which left, and was heard `after` this time."""

    router: RouterKey
    vip: str
    peer: IPAddress
    peer_priority: int
    after: timedelta


@dataclass(frozen=True, slots=True)
class NobodyTookOver(EventBody):
    """This router left and was not relieved."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str
    waited: timedelta


@dataclass(frozen=True, slots=True)
class PeerReleased(EventBody):
    """Priority zero was heard: the Active router gives up."""

    router: RouterKey
    peer: IPAddress


@dataclass(frozen=True, slots=True)
class HeldOut(EventBody):
    """Failback is manual and this router, returning, found a lower one Active: it may not own until admitted."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str
    peer: IPAddress
    peer_priority: int


@dataclass(frozen=True, slots=True)
class Quarantined(EventBody):
    """The VIP is stateful and this node returns: it may not own, whoever else does, until it is released."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class QuarantineLifted(EventBody):
    """Nobody owns, and the site file says that the quarantine ends then."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class NobodyOwns(EventBody):
    """The Active router fell silent while this one is held out or barred: nobody owns the VIP until somebody admits
    it, or what it tracks works again."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class BidMade(EventBody):
    """A standby of higher priority than the owner's asks it to give its lease up."""

    router: RouterKey
    vip: str
    priority: int


@dataclass(frozen=True, slots=True)
class BidInVain(EventBody):
    """The owner, of lower priority, kept its lease in spite of a bid; another one follows."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class Admitted(EventBody):
    """A router that was held out may own again."""

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class SecondOwnerSuspected(EventBody):
    """An Active router heard another one; both answered for the addresses. This one asserts itself."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str
    peer: IPAddress
    peer_priority: int


@dataclass(frozen=True, slots=True)
class AddressListMismatch(EventBody):
    """A peer advertises other addresses than are configured here. The election goes on."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    peer: IPAddress
    theirs: tuple[IPAddress, ...]
    ours: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class PeerMayBeDeaf(EventBody):
    """A lower router is Active beside this one and advertises other addresses: it may discard our advertisements for
    that, as keepalived 2.2.7 does when their number differs. While it does, both answer for the addresses they share.
    """

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    router: RouterKey
    vip: str
    peer: IPAddress
    theirs: tuple[IPAddress, ...]
    ours: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class IntervalLearnt(EventBody):
    """The Active router advertises at another interval than is configured here; its interval counts (version 3)."""

    router: RouterKey
    peer: IPAddress
    interval: timedelta
    configured: timedelta


@dataclass(frozen=True, slots=True)
class ChecksumFormLearnt(EventBody):
    """Advertisements are sent from now on in the checksum form that a peer uses."""

    router: RouterKey
    peer: IPAddress
    form: ChecksumForm


@dataclass(frozen=True, slots=True)
class PriorityChanged(EventBody):
    """Tracking changed the priority that this router advertises."""

    router: RouterKey
    vip: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Barred(EventBody):
    """What this router tracks without a weight has failed: it may not become Active."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class NoBetterOwner(EventBody):
    """A barred router is Active: it keeps the addresses, with the least priority, until one that is well takes them."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class Unbarred(EventBody):
    """What this router tracks works again: it may own, with this priority."""

    router: RouterKey
    vip: str
    priority: int


@dataclass(frozen=True, slots=True)
class AddressLost(EventBody):
    """Somebody took an address off an interface while this router owns it; it was put back."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class InterfaceWentDown(EventBody):
    """An interface with virtual routers lost its link or was taken down."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str


@dataclass(frozen=True, slots=True)
class InterfaceCameUp(EventBody):
    """An interface with virtual routers has its link."""

    interface: str


@dataclass(frozen=True, slots=True)
class PacketRejected(EventBody):
    """Packets were discarded; `count` of them for this reason on this interface since the speaker started.

    `source` and `offset` belong to the one that made the event. At most one event per interface and reason in each
    speaker_reception.REJECTION_QUIET; the count misses none.
    """

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    source: IPAddress
    reason: Rejection
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class ForeignRouterHeard(EventBody):
    """Somebody runs a virtual router here that is not configured on this node; said once for each."""

    interface: str
    family: Family
    vrid: int
    source: IPAddress


@dataclass(frozen=True, slots=True)
class OutOfStepWithOwner(EventBody):
    """This spare runs another generation of the site than the VIP's owner, and so takes over last."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class InStepWithOwner(EventBody):
    """This router counts with its own priority again: it runs what the VIP's owner runs, or owns the VIP itself."""

    router: RouterKey
    vip: str
