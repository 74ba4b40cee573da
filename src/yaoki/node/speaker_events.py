"""What the speaker's process reports of itself and of the kernel, besides what its routers report."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from yaoki.core.address import Family, IPAddress, IPInterface
from yaoki.core.event import EventBody, Severity
from yaoki.vrrp.events import Reason
from yaoki.vrrp.heartbeat import HeartbeatFlaw
from yaoki.vrrp.params import RouterKey


@dataclass(frozen=True, slots=True)
class SpeakerStarted(EventBody):
    """The speaker runs and waits for its orders."""

    pid: int


@dataclass(frozen=True, slots=True)
class SpeakerEnded(EventBody):
    """The speaker has released every VIP and ends."""

    pid: int


@dataclass(frozen=True, slots=True)
class PunctualityRefused(EventBody):
    """The kernel refused what keeps the speaker punctual; adverts of less than 50 ms are not safe then."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelRefused(EventBody):
    """The kernel refused a change or a packet, for the `count`th time; it is tried again.

    At most one event for each interface and change in each speaker_refusals.REFUSAL_QUIET.
    """

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    interface: str
    change: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class AddressNotOurs(EventBody):
    """A VIP was on the interface already, put there by somebody else; it will be left there on release, too."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    address: IPInterface


@dataclass(frozen=True, slots=True)
class AddressNotTaken(EventBody):
    """The kernel does not take packets for an IPv6 VIP `waited` after it was told to hold it; it is announced all the
    same, and packets may be lost until it does."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    address: IPAddress
    waited: timedelta


@dataclass(frozen=True, slots=True)
class LeaseWithoutGate(EventBody):
    """The kernel refused the gate of a VIP that is owned by lease: it is not owned here, and the lease is given up. It
    may not own until the kernel takes the gate, which is tried each duration of the lease."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class KeyUnavailable(EventBody):
    """A key of a VIP whose advertisements are signed cannot be used. A router that has not got the key that signs may
    not own; it goes on with what it had, if it had one."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    router: RouterKey
    vip: str
    why: str


@dataclass(frozen=True, slots=True)
class HeartbeatKeyUnavailable(EventBody):
    """A key of heartbeats cannot be used. Without the one that signs none are sent to this peer; those that were read
    before serve on."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    peer: str
    why: str


@dataclass(frozen=True, slots=True)
class OrderUnreadable(EventBody):
    """The node process sent what this version of the speaker cannot read; it goes on as it was last told."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str


@dataclass(frozen=True, slots=True)
class PeerHeard(EventBody):
    """A peer's speaker is heard, for the first time or again."""

    peer: str
    interface: str


@dataclass(frozen=True, slots=True)
class PeerSilent(EventBody):
    """A peer is heard on no path any more; `interfaces` are those on which it was heard last."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    peer: str
    interfaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerPathHeard(EventBody):
    """A peer that is heard elsewhere is heard on this interface, too."""

    peer: str
    interface: str


@dataclass(frozen=True, slots=True)
class PeerPathSilent(EventBody):
    """A peer is not heard on this interface any more, but still on another."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    peer: str
    interface: str


@dataclass(frozen=True, slots=True)
class PeerOwnsNoMore(EventBody):
    """A peer that was the owner of a VIP says that its virtual router takes no part any more."""

    peer: str
    vip: str
    family: Family


@dataclass(frozen=True, slots=True)
class PeerRestarted(EventBody):
    """A peer's speaker has begun a new life without having been missed."""

    peer: str


@dataclass(frozen=True, slots=True)
class GenerationDiffers(EventBody):
    """A peer runs another configuration than this node, and has for longer than a roll-out takes."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    peer: str
    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class GenerationAgrees(EventBody):
    """A peer of which GenerationDiffers was told runs the same configuration again."""

    peer: str
    ours: str


@dataclass(frozen=True, slots=True)
class NodeReplaced(EventBody):
    """A peer says that by its configuration (`theirs`) another node has taken this one's place. Nothing is owned here
    any more, unless it is and nobody else takes it, until this node is given the site file that its peers run."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    peer: str
    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class NodeNotReplaced(EventBody):
    """No peer says any more that another node has taken this one's place: it may own again."""


@dataclass(frozen=True, slots=True)
class HeartbeatRejected(EventBody):
    """What came to the heartbeat port is no heartbeat of the peer there; `count` of this kind so far.

    At most one event for each interface and reason in each speaker_peering.REJECTION_QUIET.
    """

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    source: IPAddress
    reason: HeartbeatFlaw
    count: int


@dataclass(frozen=True, slots=True)
class GateArmed(EventBody):
    """A peer is heard: from now on the kernel silences the VIP if this speaker dies or stands still for `limit`."""

    router: RouterKey
    vip: str
    limit: timedelta


@dataclass(frozen=True, slots=True)
class GateDisarmed(EventBody):
    """No peer is heard any more: this node keeps the VIP whatever becomes of its speaker."""

    router: RouterKey
    vip: str


@dataclass(frozen=True, slots=True)
class GateUnavailable(EventBody):
    """The kernel has no gate here: if this speaker dies or hangs, the VIP has two owners."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    why: str


@dataclass(frozen=True, slots=True)
class GateRebuilt(EventBody):
    """Somebody has removed the dead-man gate, as by flushing the whole ruleset; it was made anew."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey


@dataclass(frozen=True, slots=True)
class ProgramsGuarded(EventBody):
    """The balancer's programs in BPF are others than before: from now on the dead-man gate holds for so many."""

    programs: int


@dataclass(frozen=True, slots=True)
class IntervalRaised(EventBody):
    """The configured interval is shorter than what is safe on this machine, and was raised to that."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str
    configured: timedelta
    raised_to: timedelta


@dataclass(frozen=True, slots=True)
class Overslept(EventBody):
    """This speaker stood still for longer than its dead-man limit: the VIP is silenced here and may be owned elsewhere,
    so it is given up first. `asleep` is None if the kernel said so."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    router: RouterKey
    vip: str
    asleep: timedelta | None


@dataclass(frozen=True, slots=True)
class GroupHindered(EventBody):
    """No router of a sync group may own here, because this one may not, or takes no part."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    group: str
    vip: str
    router: RouterKey
    reason: Reason


@dataclass(frozen=True, slots=True)
class GroupApart(EventBody):
    """Of a sync group, this node owns a part, and `peer` another, `vip`, and may not own the rest: this node, which
    failback `manual` holds out of that, takes it all."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    group: str
    vip: str
    router: RouterKey
    peer: IPAddress | None


@dataclass(frozen=True, slots=True)
class GroupFree(EventBody):
    """The routers of a sync group may own here again."""

    group: str
