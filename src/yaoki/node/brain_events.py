"""What the node process reports to the event stream: decisions of the Brain, and what befell its process."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import EventBody, Severity
from yaoki.lb.plane import Plane, PlaneReason
from yaoki.lb.service import ServiceKey
from yaoki.pool.member import AdminState, Duty
from yaoki.pool.policy import Outlook, Reason
from yaoki.vrrp.params import RouterKey

# --- plans and processes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlanAdopted(EventBody):
    """This plan is in force now. `reason`: start, reload, last-good."""

    generation: str
    reason: str


@dataclass(frozen=True, slots=True)
class SiteRefused(EventBody):
    """A site file is wrong; what was in force stays. `problems` are located sentences."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    file: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanOnTrial(EventBody):
    """The plan that has come into force is taken back after `limit`, unless somebody keeps it."""

    generation: str
    limit: timedelta


@dataclass(frozen=True, slots=True)
class PlanKept(EventBody):
    """The plan on trial stays in force."""

    generation: str


@dataclass(frozen=True, slots=True)
class PlanTakenBack(EventBody):
    """Nobody has kept the plan on trial: the one before it is in force again."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    generation: str


@dataclass(frozen=True, slots=True)
class LastGoodTaken(EventBody):
    """The file could not be used at start (`why`), so the last good one is in force."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    file: str
    why: str


@dataclass(frozen=True, slots=True)
class BrainCrashed(EventBody):
    """The node process has died of a mistake of ours and was started anew; `times` in a row."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str
    times: int


@dataclass(frozen=True, slots=True)
class FlowsNotCounted(EventBody):
    """The flows of servers that are chosen by them could not be counted; new flows go by the latest count."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    why: str


@dataclass(frozen=True, slots=True)
class NodeStarted(EventBody):
    """The node process runs; `start` counts its starts since the state directory was made."""

    version: str
    start: int


@dataclass(frozen=True, slots=True)
class NodeStopping(EventBody):
    """The node gives up what it holds, because somebody asked."""

    why: str
    cleanup: bool


class Part(StrEnum):
    """The processes beside the node process."""

    SPEAKER = "speaker"
    CHECKS = "checks"
    LEASES = "leases"
    FLOWS = "flows"


@dataclass(frozen=True, slots=True)
class PartReached(EventBody):
    """The link to another process of this node is up."""

    part: Part


@dataclass(frozen=True, slots=True)
class PartLost(EventBody):
    """The link to another process of this node is down; it is started again if it has died."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    part: Part
    why: str


@dataclass(frozen=True, slots=True)
class PartDied(EventBody):
    """Another process of this node has ended by itself; it is started again after `again_in`."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    part: Part
    status: int
    again_in: timedelta


@dataclass(frozen=True, slots=True)
class SpeakerNotSucceeded(EventBody):
    """A newer speaker could not take the place of the one that runs, which goes on."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR


@dataclass(frozen=True, slots=True)
class PartHung(EventBody):
    """Another process of this node lives, but has not answered for so long that it is ended, to be started anew."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    part: Part
    silent_for: timedelta


@dataclass(frozen=True, slots=True)
class PartUnfit(EventBody):
    """Another process of this node speaks another version's language; it goes on with what it has."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    part: Part
    why: str


# --- services ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServerDutyChanged(EventBody):
    """A real server takes up or gives up its work for one virtual service. `service` names it on one address."""

    service: str
    address: IPAddress
    server: str
    duty: Duty
    reason: Reason
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class ServiceEmpty(EventBody):
    """No server of a virtual service is known to work; `outlook` says what is done about it."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    service: str
    address: IPAddress
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class ServiceServing(EventBody):
    """A virtual service that was empty has a server again."""

    service: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class PanicBegan(EventBody):
    """So many servers failed at once that the checker is suspected: all go on serving."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    service: str
    address: IPAddress
    failing: int
    of: int


@dataclass(frozen=True, slots=True)
class PanicEnded(EventBody):
    """Enough servers pass their checks again; verdicts count again."""

    service: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class PriorityWanted(EventBody):
    """Something `tracked` changes the priority with which this node asks for a VIP; 0: it may not own."""

    vip: str
    router: RouterKey
    tracked: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class BalancerApplied(EventBody):
    """The kernel has what was decided; `changes` in the plane's words, at most the first ten."""

    changes: tuple[str, ...]
    count: int
    took: timedelta


@dataclass(frozen=True, slots=True)
class FlowsRemoved(EventBody):
    """Flows of servers that are out or gone have lost their entries: their next packets are scheduled anew."""

    flows: int
    took: timedelta


@dataclass(frozen=True, slots=True)
class FlowsNotRemoved(EventBody):
    """Flows of servers that are out or gone still lead to them. Tried again with the next change of the tables."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str


@dataclass(frozen=True, slots=True)
class BalancerRefused(EventBody):
    """The kernel did not take the balancer's tables; what it had stays. Tried again after `again_in`."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str
    again_in: timedelta


@dataclass(frozen=True, slots=True)
class NotOnWishedPlane(EventBody):
    """Services are carried otherwise than the file wants, and what hinders that; at most the first ten by name."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    services: tuple[str, ...]
    count: int
    plane: Plane
    reason: PlaneReason
    why: str


@dataclass(frozen=True, slots=True)
class ServiceNotCarried(EventBody):
    """No balancer plane can carry a service here: its packets get no further than this node."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    service: ServiceKey
    why: str


@dataclass(frozen=True, slots=True)
class ServiceCarried(EventBody):
    """A balancer plane carries a service that none could carry before."""

    service: ServiceKey


@dataclass(frozen=True, slots=True)
class NeighbourResolved(EventBody):
    """A server for direct forwarding has this MAC now."""

    address: IPAddress
    mac: MacAddress
    before: MacAddress | None


@dataclass(frozen=True, slots=True)
class WayFound(EventBody):
    """Packets to a server across routers go this way now: by an interface, to a next hop with this MAC, from this
    address; the path takes packets of `mtu` octets."""

    address: IPAddress
    interface: str
    next_hop: IPAddress
    mac: MacAddress
    source: IPAddress
    mtu: int


# --- people -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServerAdministered(EventBody):
    """A person decided about a server; `service` None: everywhere."""

    server: str
    service: str | None
    admin: AdminState


@dataclass(frozen=True, slots=True)
class ServerWeighed(EventBody):
    """A person gave a server another weight; None: the file's again."""

    server: str
    service: str | None
    weight: int | None


@dataclass(frozen=True, slots=True)
class ServiceSwitched(EventBody):
    """A person decided whether a service is served."""

    service: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class VipWithdrawn(EventBody):
    """Nobody is to own a VIP here while every service on it is disabled (`withdrawn`), or that is over."""

    vip: str
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class VipAdmitted(EventBody):
    """A person lets this node own a VIP again."""

    vip: str


@dataclass(frozen=True, slots=True)
class VipMoved(EventBody):
    """A person hands a VIP over to another node; this one stands behind the others until it is admitted again."""

    vip: str
    to: str | None


@dataclass(frozen=True, slots=True)
class Paused(EventBody):
    """Hands off: nothing is applied until it is resumed. VIPs go on by themselves, checks go on."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Resumed(EventBody):
    """Decisions are applied again."""


@dataclass(frozen=True, slots=True)
class DataFoundCurrent(EventBody):
    """The data check of a stateful VIP says that the data here is current: the quarantine ends."""

    vip: str


@dataclass(frozen=True, slots=True)
class DataNotCurrent(EventBody):
    """The data check of a stateful VIP says no, ran out of time or could not be started; it is run again. Told once
    for each `why`."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    vip: str
    why: str


# --- the process's own troubles ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HookFailed(EventBody):
    """A hook ended with an error, ran out of time or could not be started."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    hook: str
    why: str


@dataclass(frozen=True, slots=True)
class HooksPutOff(EventBody):
    """Too many hooks run and wait already; this one is left out."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    hook: str
    limit: int


@dataclass(frozen=True, slots=True)
class HookNeverRuns(EventBody):
    """A hook of the site file waits for events that there are none of."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    hook: str
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JournalUnwritten(EventBody):
    """The journal could not be written: decisions hold, but would not outlive this process. Tried again."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str


@dataclass(frozen=True, slots=True)
class JournalWritten(EventBody):
    """The journal could be written again."""


@dataclass(frozen=True, slots=True)
class JournalUnreadable(EventBody):
    """The journal of an earlier run is damaged; it was put aside, and decisions in it are lost."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str


@dataclass(frozen=True, slots=True)
class SysctlSet(EventBody):
    """A kernel setting was changed; `before` comes back with --cleanup."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SubscriberDropped(EventBody):
    """A reader of the event stream did not keep up and was disconnected."""

    limit: int
