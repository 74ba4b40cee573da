"""What the Brain takes in and what it wants done; its messages to the other assemblies are in yaoki.node.messages."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import Emit, EventId
from yaoki.core.machine import TimerFired
from yaoki.lb.plane import PlaneChoice
from yaoki.lb.service import Desired, ServiceKey, Way
from yaoki.node.decisions import Decisions, OperatorCommand
from yaoki.node.flow_messages import CopierOrder, FlowStatus
from yaoki.node.lease_messages import KeeperOrder, LeaseStatus
from yaoki.node.messages import (
    AdmitRouter,
    AnnounceRouter,
    ConfigureChecks,
    ConfigureRouters,
    MoveRouter,
    PeerStatus,
    Published,
    ReleaseRouters,
    RepeatVerdicts,
    RouterStatus,
    SetPriority,
    VerdictChanged,
)
from yaoki.node.wire_messages import WireInput, WireOrder
from yaoki.site.model import DataCheck
from yaoki.site.node_plan import NodePlan

# --- in ---------------------------------------------------------------------------------------------------------------


class PlanReason(StrEnum):
    """Why the Brain is given a plan."""

    START = "start"
    RELOAD = "reload"
    LAST_GOOD = "last-good"
    TAKEN_BACK = "taken-back"
    """The one on trial was not kept."""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """The site file, compiled for this node."""

    plan: NodePlan
    reason: PlanReason = PlanReason.START
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class BalancerFound:
    """What the balancer plane had in the kernel when this Brain started; it is the starting point of every decision.

    Given once, before the first plan; an empty Desired on a machine that held nothing.
    """

    found: Desired


@dataclass(frozen=True, slots=True)
class SpeakerBack:
    """The link to the speaker is up: repeat the whole wish."""


@dataclass(frozen=True, slots=True)
class SpeakerLost:
    """The link to the speaker is down; what it holds, it holds on."""

    why: str


@dataclass(frozen=True, slots=True)
class WorkerBack:
    """The link to the check worker is up: repeat the whole wish."""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The link to the check worker is down; its last verdicts stand, and grow old."""

    why: str


@dataclass(frozen=True, slots=True)
class KeeperReached:
    """The link to the lease keeper is up: repeat the whole wish."""


@dataclass(frozen=True, slots=True)
class KeeperLost:
    """The link to the lease keeper is down; it and the speaker go on with what they were told."""

    why: str


@dataclass(frozen=True, slots=True)
class CopierReached:
    """The link to the flow copier is up: repeat the whole wish."""


@dataclass(frozen=True, slots=True)
class CopierLost:
    """The link to the flow copier is down; it goes on with what it was told."""

    why: str


@dataclass(frozen=True, slots=True)
class NeighbourFound:
    """The kernel's neighbour table changed; `mac` None: the address does not answer."""

    address: IPAddress
    mac: MacAddress | None


@dataclass(frozen=True, slots=True)
class RouteFound:
    """How the kernel sends packets to an address across routers; `way` None: it knows no way, or its next hop does not
    answer."""

    address: IPAddress
    way: Way | None


@dataclass(frozen=True, slots=True)
class ApplyFinished:
    """The ApplyBalancer under way has ended: what was changed, in the plane's words, or why it failed."""

    changes: tuple[str, ...] = ()
    took: timedelta = timedelta(0)
    error: str | None = None
    planes: tuple[tuple[ServiceKey, PlaneChoice], ...] = ()
    """Which plane carries each service now, and why; empty where nobody chooses."""


@dataclass(frozen=True, slots=True)
class Operate:
    """A person's command. An Answer with the same number follows."""

    request: int
    command: OperatorCommand


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Release what this node holds; the process ends when the speaker has."""

    why: str
    cleanup: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """The driver has something to report (a hook failed, the journal could not be written)."""

    emit: Emit


@dataclass(frozen=True, slots=True)
class DataChecked:
    """A CheckData has ended: the data is current (`why` None), or why that is not known."""

    vip: str
    run: int
    why: str | None = None


PartInput = (
    SpeakerBack
    | SpeakerLost
    | WorkerBack
    | WorkerLost
    | KeeperReached
    | KeeperLost
    | LeaseStatus
    | CopierReached
    | CopierLost
    | FlowStatus
    | RouterStatus
    | PeerStatus
    | Published
)
"""From the links to the node's other processes."""

BrainInput = (
    PartInput
    | NewPlan
    | BalancerFound
    | VerdictChanged
    | NeighbourFound
    | RouteFound
    | WireInput
    | ApplyFinished
    | DataChecked
    | Operate
    | StopRequested
    | Note
    | TimerFired
)

# --- out --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApplyBalancer:
    """Bring the balancer plane to `desired`. One at a time: the next comes after ApplyFinished."""

    desired: Desired
    because: EventId | None = None


@dataclass(frozen=True, slots=True)
class TakeOutServers:
    """Servers that take less by `desired` than by what was asked before get nothing more, whatever is under way; this
    is not answered. It overtakes an ApplyBalancer, and the next one asks for the whole again."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class WatchNeighbours:
    """The complete list of addresses whose MAC is wanted, with the interface each is on, and of those across routers to
    which the way is wanted."""

    addresses: tuple[tuple[str, IPAddress], ...]
    routed: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepDecisions:
    """Write the decisions to the journal before anything that follows is done."""

    decisions: Decisions


@dataclass(frozen=True, slots=True)
class KeepEpoch:
    """Write the epoch under which this node owns a VIP for its application to read; None: it does not own it."""

    vip: str
    epoch: int | None


@dataclass(frozen=True, slots=True)
class RunHook:
    """Start a hook; `environment` is all that it is told."""

    hook: str
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CheckData:
    """Run a VIP's data check; a DataChecked with the same number follows. `environment` is all that it is told."""

    check: DataCheck
    run: int
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """To the person whose Operate had this number: done (`why` None), or why not and what would do."""

    request: int
    why: str | None = None
    cure: str = ""
    event: EventId | None = None


BrainEffect = (
    ConfigureRouters
    | SetPriority
    | AdmitRouter
    | MoveRouter
    | AnnounceRouter
    | ReleaseRouters
    | ConfigureChecks
    | RepeatVerdicts
    | KeeperOrder
    | CopierOrder
    | ApplyBalancer
    | TakeOutServers
    | WatchNeighbours
    | WireOrder
    | KeepDecisions
    | KeepEpoch
    | RunHook
    | CheckData
    | Answer
    | Published
)
