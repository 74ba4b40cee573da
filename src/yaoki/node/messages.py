"""What the assemblies of a node say to each other, and to the drivers that run them.

Three assemblies, three processes: the speaker (SpeakerBrain), the check worker (CheckShard) and the node (Brain). The
messages between them are values and cross links that can stall or break. A receiver that has just (re)connected is
brought up to date by the sender repeating its whole wish (ConfigureRouters, ConfigureChecks) or state (RouterStatus,
VerdictChanged for every check): all of these are idempotent.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.checks.check import CheckId, CheckSpec, Finding
from yaoki.core.address import Family, IPAddress, IPInterface, MacAddress
from yaoki.core.event import Event, EventId
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.node.holder_messages import HolderOrder, HolderReport, KeeperBack, LeasesInherited
from yaoki.pool.member import Health
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.heartbeat import HeartbeatFlaw
from yaoki.vrrp.params import RouterKey, RouterParams
from yaoki.vrrp.peer_params import NO_PEERS, HeartbeatParams

# --- to the speaker ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureRouters:
    """The complete list of virtual routers, and of the peers; what is unchanged is not touched."""

    routers: tuple[RouterParams, ...]
    because: EventId | None = None
    heartbeat: HeartbeatParams = NO_PEERS


@dataclass(frozen=True, slots=True)
class SetPriority:
    """Advertise another priority from now on (tracking): the configured one and the weights of what has failed, any
    number; the speaker adds those of the interfaces and keeps the sum within 1..254. `barred`: may not become Active;
    None: as it was told last, because a check that it tracks has not spoken.
    """

    router: RouterKey
    priority: int
    because: EventId | None = None
    barred: bool | None = False


@dataclass(frozen=True, slots=True)
class ReleaseRouters:
    """Give up every VIP (priority 0, make before break) and then run no routers; the speaker's process ends when the
    last one is relieved, or has waited for it in vain."""

    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class AdmitRouter:
    """Let a router that failback `manual` holds out, or that is in quarantine, own its VIP again."""

    router: RouterKey
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class MoveRouter:
    """If it owns its VIP, let it leave as soon as another owner is heard, and stand by from then on."""

    router: RouterKey
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class AnnounceRouter:
    """Somebody else has claimed a VIP, or answers for it: if it is owned here, announce its addresses again at once."""

    router: RouterKey
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class GuardPrograms:
    """To the speaker's driver, which does not trouble its brain with it: the balancer has another program, or an
    address has another deadline in it; look, and write the deadlines at once."""


SpeakerOrder = ConfigureRouters | SetPriority | AdmitRouter | MoveRouter | AnnounceRouter | ReleaseRouters

# --- from the speaker's driver: the world ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PacketArrived:
    """A protocol-112 packet, IP header and authentication removed. `received` is when the kernel took it, on the
    speaker's clock; `flaw` is what is wrong with its authentication."""

    interface: str
    family: Family
    source: IPAddress
    destination: IPAddress
    hop_limit: int
    payload: bytes
    received: Instant
    flaw: Rejection | None = None


@dataclass(frozen=True, slots=True)
class KeysFound:
    """The keys of the routers about to be configured were read; those in `missing` cannot sign, and may not own."""

    missing: tuple[RouterKey, ...]


@dataclass(frozen=True, slots=True)
class InterfaceFound:
    """What the kernel says of an interface: up or not (administrative and carrier), its own addresses, and which VIP
    addresses marked as ours it holds, at whatever MAC. Sent for every interface at start and on each change. `ipv6`
    are those of its own that may be sent from and are not link-local.

    `held` is None when the notification tells nothing of addresses. `carrier_changes` is the kernel's count: a change
    of it between two findings that are both "up" is a flap too short to be seen.
    """

    interface: str
    up: bool
    ipv4: IPAddress | None
    ipv6_link_local: IPAddress | None
    held: tuple[IPInterface, ...] | None = None
    carrier_changes: int = 0
    ipv6: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class HeartbeatArrived:
    """A UDP payload from a peer's address and heartbeat port, authentication removed. `received` and `flaw` are as for
    PacketArrived."""

    interface: str
    source: IPAddress
    hop_limit: int
    payload: bytes
    received: Instant
    flaw: HeartbeatFlaw | None = None


_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class AbilitiesFound:
    """What the machine grants the speaker, told once at start: whether the kernel has gates, whether the scheduler is a
    real-time one, and how long a tick of the kernel is."""

    gate: bool = False
    punctual: bool = True
    tick: timedelta = _MILLISECOND


@dataclass(frozen=True, slots=True)
class ArmedAddress:
    """An address that an earlier life of the speaker armed the gate for; zero if the gate is shut by now."""

    address: IPAddress
    open_for: timedelta


@dataclass(frozen=True, slots=True)
class GateFound:
    """The gate as an earlier life of the speaker left it, told once at start, before any order."""

    armed: tuple[ArmedAddress, ...]


@dataclass(frozen=True, slots=True)
class GateShut:
    """The kernel refused RefreshGate: the gate had shut already."""

    router: RouterKey


@dataclass(frozen=True, slots=True)
class AddressTaken:
    """The kernel takes packets for an IPv6 address that it was told to hold: the local route is in. Told of each
    ClaimAddress of one, as soon as it is so."""

    interface: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class GateOpened:
    """The answer to an ArmGate that names a router: the gate is armed, and open."""

    router: RouterKey


@dataclass(frozen=True, slots=True)
class GateRefused:
    """The answer to an ArmGate that names a router: the kernel refused it, or has no gate."""

    router: RouterKey


GateInput = AbilitiesFound | GateFound | GateShut | GateOpened | GateRefused
KeeperInput = KeeperBack | LeasesInherited | HolderReport
WorldInput = PacketArrived | HeartbeatArrived | InterfaceFound | AddressTaken | KeysFound
SpeakerInput = SpeakerOrder | WorldInput | GateInput | KeeperInput | TimerFired

# --- what the speaker wants done -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendAdvertisement:
    """Send `payload` as IP protocol 112 with TTL or hop limit 255 out of `interface`; from `mac`, or from its own."""

    interface: str
    family: Family
    source: IPAddress
    destination: IPAddress
    payload: bytes
    mac: MacAddress | None = None


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Send `payload` by UDP from and to the heartbeat port, out of `interface`, with TTL or hop limit 255."""

    interface: str
    source: IPAddress
    destination: IPAddress
    payload: bytes


@dataclass(frozen=True, slots=True)
class ClaimAddress:
    """Put a VIP on an interface, IPv6 without duplicate address detection; no error if it is there already. It is at
    `mac` from then on and at no other: a virtual one, or the interface's own."""

    interface: str
    address: IPInterface
    mac: MacAddress | None = None


@dataclass(frozen=True, slots=True)
class ReleaseAddress:
    """Take a VIP off an interface; no error if it is gone already."""

    interface: str
    address: IPInterface


@dataclass(frozen=True, slots=True)
class AnnounceAddress:
    """Tell the neighbours: gratuitous ARP in request and reply form, or an unsolicited neighbour advertisement. Of an
    IPv6 address not before AddressTaken, unless that does not come. `mac` is as for ClaimAddress."""

    interface: str
    address: IPAddress
    mac: MacAddress | None = None


@dataclass(frozen=True, slots=True)
class ArmGate:
    """Have the kernel silence these addresses of `interface` (ARP, neighbour discovery and IP, both ways) when the gate
    is not opened again within `limit`. It is open now. If a `router` is named, GateOpened or GateRefused is given."""

    interface: str
    addresses: tuple[IPAddress, ...]
    limit: timedelta
    router: RouterKey | None = None


@dataclass(frozen=True, slots=True)
class RefreshGate:
    """Keep an armed gate open for another `limit`; one that has shut meanwhile stays shut, and GateShut is given. Comes
    before its router's advertisement, and is carried out right after that was sent (yaoki.runtime.speaker_voice)."""

    router: RouterKey
    addresses: tuple[IPAddress, ...]
    limit: timedelta


@dataclass(frozen=True, slots=True)
class DisarmGate:
    """Silence these addresses no more; no error if they are not armed."""

    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class LimitAddress:
    """Let a VIP that is on an interface last for `lifetime` from now, None for ever; no error if it is not there."""

    interface: str
    address: IPInterface
    lifetime: timedelta | None


@dataclass(frozen=True, slots=True)
class HushAddresses:
    """Have the kernel answer neither ARP nor neighbour solicitations for these addresses, nor send any itself; packets
    to and from them pass. They may not be there yet, or no more."""

    interface: str
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class AnswerAgain:
    """Take HushAddresses back; no error if there is nothing to take back."""

    interface: str
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class RefuseDelivery:
    """The complete list of addresses to which packets are dropped when they come up to this node itself, whether it has
    them or not (Accept_Mode, RFC 9568 6.1). Neighbour discovery is never dropped."""

    addresses: tuple[IPAddress, ...]


class RouterState(StrEnum):
    """Names of the virtual-router states as reported (RFC 9568, section 6.4; the last one is ours)."""

    INITIALIZE = "initialize"
    BACKUP = "backup"
    ACTIVE = "active"
    LEAVING = "leaving"

    @property
    def owns(self) -> bool:
        """Whether the addresses are held."""
        return self in (RouterState.ACTIVE, RouterState.LEAVING)


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """State of one virtual router, sent on each change. `priority` 0: it may not own. `peer` is the Active router last
    heard and its priority. `epoch` is the fencing token of the lease that it owns by, and `lease_until` when that would
    run out."""

    router: RouterKey
    vip: str
    state: RouterState
    since: Instant
    priority: int
    reason: str
    peer: IPAddress | None = None
    peer_priority: int | None = None
    peer_heard: Instant | None = None
    because: EventId | None = None
    epoch: int | None = None
    lease_until: Instant | None = None


@dataclass(frozen=True, slots=True)
class PathStatus:
    """A path to a peer: the interface here and the address there; `heard` is when a heartbeat last came by it."""

    interface: str
    peer: IPAddress
    alive: bool
    heard: Instant | None


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer as its heartbeats tell, sent on each change. `generation` is None as long as nothing was heard."""

    node: str
    alive: bool
    since: Instant
    paths: tuple[PathStatus, ...]
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """An event of an assembly, on its way to the event stream."""

    event: Event


SpeakerReport = RouterStatus | PeerStatus | Published
GateEffect = ArmGate | RefreshGate | DisarmGate | LimitAddress | HushAddresses | AnswerAgain
AddressEffect = ClaimAddress | ReleaseAddress | AnnounceAddress | RefuseDelivery
SpeakerEffect = SendAdvertisement | SendHeartbeat | AddressEffect | GateEffect | HolderOrder | SpeakerReport

# --- to and from the check worker ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureChecks:
    """The complete list of checks. A check whose spec is unchanged keeps its verdict and its timers."""

    checks: tuple[CheckSpec, ...]
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class RepeatVerdicts:
    """Somebody has just (re)connected: send every verdict again, each with the instant at which it was reached."""


@dataclass(frozen=True, slots=True)
class AskCheckStatus:
    """Report on every check. `number` comes back in the answers, so that a late answer is told from the awaited one."""

    number: int


ShardOrder = ConfigureChecks | RepeatVerdicts | AskCheckStatus


@dataclass(frozen=True, slots=True)
class ProbeFinished:
    """From the worker's driver: the probe that StartProbe numbered so ended and was judged."""

    number: int
    finding: Finding


ShardInput = ShardOrder | ProbeFinished | TimerFired


@dataclass(frozen=True, slots=True)
class StartProbe:
    """To the worker's driver: probe now; a ProbeFinished with this number must follow within the timeout, whatever
    happens. Numbers are never used twice."""

    number: int
    check: CheckSpec


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """A check's verdict changed (or is repeated after a reconnect). `finding` is the probe that tipped it."""

    check: CheckId
    health: Health
    finding: Finding
    at: Instant
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """One check as a reader sees it: its verdict and since when, and its newest finding and how old that is.

    `streak` counts the latest results in a row that speak against the verdict. `since` is None before the first
    verdict, `last` and `last_at` before the first result.
    """

    check: CheckId
    name: str
    health: Health
    since: Instant | None = None
    last: Finding | None = None
    last_at: Instant | None = None
    streak: int = 0


@dataclass(frozen=True, slots=True)
class CheckStatusReport:
    """Answer to AskCheckStatus as of `at`, in pages; `more` is False on the last one."""

    number: int
    at: Instant
    checks: tuple[CheckStatus, ...]
    more: bool = False


ShardReport = VerdictChanged | CheckStatusReport | Published
ShardEffect = StartProbe | ShardReport
