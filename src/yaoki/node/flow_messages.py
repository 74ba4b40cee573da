"""What the FlowCopier and the Brain say to each other, and what the copier's driver does for it.

The copier is a process of its own, so that neither the Brain's death nor its load costs a flow. It sees for itself, by
the kernel's word, which VIPs this node owns.
"""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.lb.flow import CopiedService, Flow
from yaoki.lb.flow_datagram import DatagramFlaw
from yaoki.lb.service import ServiceKey
from yaoki.node.messages import Published
from yaoki.vrrp.peer_params import PeerParams, PeerPath

# --- from the Brain ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureFlows:
    """The complete list of services whose flows are copied, with the servers that may have flows, and of the nodes to
    copy to and from. Flows of a server that is not listed are neither told nor taken."""

    peers: tuple[PeerParams, ...]
    services: tuple[CopiedService, ...]


@dataclass(frozen=True, slots=True)
class ChangeServices:
    """Some of the services that are configured, with the servers that they have now."""

    services: tuple[CopiedService, ...]


@dataclass(frozen=True, slots=True)
class RepeatFlowStatus:
    """The Brain has just (re)connected: send the status again."""


CopierOrder = ConfigureFlows | ChangeServices | RepeatFlowStatus

# --- from the driver --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddressesHeld:
    """The VIP addresses that this node's kernel has now."""

    addresses: frozenset[IPAddress]


@dataclass(frozen=True, slots=True)
class FlowsSeen:
    """Packets that passed through this node made these flows, or changed their stage."""

    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class EventsOverrun:
    """The kernel could not tell of all flows."""


@dataclass(frozen=True, slots=True)
class TableRead:
    """The answer to a ReadTable: some of the flows of the services, and whether these were the last."""

    flows: tuple[Flow, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class TableFilled:
    """The share of the kernel's table of flows that is in use, 0..1; told each second."""

    share: float


@dataclass(frozen=True, slots=True)
class FlowsPut:
    """The answer to a PutFlows: so many are in the kernel now, so many it refused."""

    put: int
    refused: int


@dataclass(frozen=True, slots=True)
class DatagramArrived:
    """A UDP payload from a peer's address and flow copier's port, authentication removed; `flaw` is what is wrong with
    that."""

    interface: str
    source: IPAddress
    hop_limit: int
    payload: bytes
    flaw: DatagramFlaw | None = None


CopierInput = (
    CopierOrder
    | AddressesHeld
    | FlowsSeen
    | EventsOverrun
    | TableRead
    | TableFilled
    | FlowsPut
    | DatagramArrived
    | TimerFired
)

# --- what the copier wants done ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeepPaths:
    """The ways to the peers; nothing is heard from anywhere else."""

    paths: tuple[PeerPath, ...]


@dataclass(frozen=True, slots=True)
class WatchFlows:
    """Tell of flows of these services, and of no others: under address translation, with `servers` the address and port
    of those of them that speak TCP; and with direct return, of which those that every node leads to the same server
    need not be told."""

    services: tuple[ServiceKey, ...]
    servers: frozenset[tuple[IPAddress, int]] = frozenset()
    direct: tuple[CopiedService, ...] = ()


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send to a peer."""

    path: PeerPath
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReadTable:
    """Read the next part of the kernel's flows; `again`: from the beginning. A TableRead follows."""

    again: bool


@dataclass(frozen=True, slots=True)
class PutFlows:
    """Put these flows into the kernel. `owned`: what the kernel has of its own is not touched, for this node owns the
    VIP and its word is the newer one; else it is brought to this. A FlowsPut follows."""

    flows: tuple[Flow, ...]
    owned: bool


@dataclass(frozen=True, slots=True)
class RememberSources:
    """Keep these sources, masked, with a server of a service for so long, as persistence does with each packet."""

    service: ServiceKey
    server: IPAddress
    port: int
    sources: tuple[bytes, ...]
    seconds: int


# --- to the Brain -----------------------------------------------------------------------------------------------------


class CopyState(StrEnum):
    """Where this node stands with the flows of one peer."""

    SILENT = "silent"
    """It has not been heard for a while."""
    ASKED = "asked"
    COPYING = "copying"
    """It is telling all its flows."""
    FOLLOWING = "following"
    """All is told; news are followed."""


@dataclass(frozen=True, slots=True)
class PeerCopy:
    """What is known of one peer's flows. `copied`: how many it told when it told all, and when that was. `told`: how
    many were taken from it; `lost`: datagrams of it that did not arrive."""

    node: str
    state: CopyState
    since: Instant
    heard: Instant | None = None
    copied: int | None = None
    copied_at: Instant | None = None
    taken: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """The copier as it is. `catching_up`: a peer is still asked or telling, so a VIP that another owns had better stay
    there. `told`: flows told to the peers in this life; `refused`: copies that the kernel did not take."""

    catching_up: bool
    peers: tuple[PeerCopy, ...] = ()
    told: int = 0
    refused: int = 0


CopierReport = FlowStatus | Published
CopierEffect = KeepPaths | WatchFlows | SendDatagram | ReadTable | PutFlows | RememberSources | CopierReport
