"""What can go wrong in the simulated world, as values. A fault begins, lasts and ends; yaoki.sim.injector does it.

To add one: a class here with its sentence, its branches in the injector, its line in a mix of yaoki.sim.schedule.
"""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.address import IPAddress
from yaoki.sim.network import Conditions
from yaoki.sim.servers import Condition


class Part(StrEnum):
    """A process of a node; `all` for all of them. A node without leases has no keeper."""

    MAIN = "main"
    SPEAKER = "speaker"
    WORKER = "worker"
    ALL = "all"
    KEEPER = "keeper"


class Between(StrEnum):
    """The links of a node, made by its main process, and that of its speaker to its lease keeper."""

    SPEAKER = "main-speaker"
    WORKER = "main-worker"
    KEEPER = "main-keeper"
    HOLDER = "speaker-keeper"


@dataclass(frozen=True, slots=True)
class RoughNetwork:
    """Frames from `source` (None: from everybody) are late, lost, doubled or out of order."""

    network: str
    source: str | None
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Partition:
    """Frames of `away` do not reach the others and, unless `one_way`, nor those of the others them. The neighbours hear
    both halves."""

    network: str
    away: tuple[str, ...]
    one_way: bool


@dataclass(frozen=True, slots=True)
class Blackhole:
    """Nothing passes a node's port in either direction, and the carrier stays."""

    network: str
    node: str


@dataclass(frozen=True, slots=True)
class CarrierLost:
    """The cable of an interface is out: all the time, or `times` times in a row if it flaps."""

    node: str
    interface: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Paused:
    """SIGSTOP, then SIGCONT."""

    node: str
    part: Part


@dataclass(frozen=True, slots=True)
class Killed:
    """SIGKILL; its supervisor starts it again when the fault ends."""

    node: str
    part: Part


@dataclass(frozen=True, slots=True)
class Slowed:
    """A busy machine: timers of a process fire up to `lateness_us` late."""

    node: str
    part: Part
    lateness_us: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """The whole machine stands still and its clock with it, as a virtual machine that is being moved."""

    node: str


@dataclass(frozen=True, slots=True)
class PowerLost:
    """Everything stops at once and only the disk survives; power returns when the fault ends."""

    node: str


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """Somebody sets the wall clock."""

    node: str
    by_us: int


@dataclass(frozen=True, slots=True)
class LinkStalled:
    """Nothing moves between two processes; messages wait."""

    node: str
    between: Between


@dataclass(frozen=True, slots=True)
class LinkBroken:
    """The link between two processes ends and cannot be made again while this lasts."""

    node: str
    between: Between


@dataclass(frozen=True, slots=True)
class ServerFault:
    """A real server is not as it should be."""

    host: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class AddressLeaked:
    """A real server for direct return answers questions for a VIP's address, which it has for itself; it does so with
    the MAC of its own address `own`."""

    network: str
    host: str
    address: IPAddress
    own: IPAddress


@dataclass(frozen=True, slots=True)
class StoreAway:
    """The store of leases is not reached by a node; None: by nobody."""

    node: str | None


@dataclass(frozen=True, slots=True)
class StoreSlow:
    """The store takes up to `by_us` longer for a node, each way."""

    node: str
    by_us: int


@dataclass(frozen=True, slots=True)
class PlaneRefuses:
    """The kernel refuses every change of the balancer plane's tables."""

    node: str


@dataclass(frozen=True, slots=True)
class GatesRefused:
    """The kernel refuses to arm any dead-man gate; those that are armed stay so, and are opened as before."""

    node: str


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    """Somebody deletes the VIPs that a node holds by hand."""

    node: str


@dataclass(frozen=True, slots=True)
class HostilePackets:
    """A machine of the network sends `count` malformed or foreign packets to everybody."""

    network: str
    count: int


@dataclass(frozen=True, slots=True)
class AddressSpoofed:
    """A machine that is no member announces a VIP's address to everybody, once in `every_us`."""

    network: str
    address: IPAddress
    every_us: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """An operator stops a node in good order, and starts it when the fault ends."""

    node: str


@dataclass(frozen=True, slots=True)
class Drained:
    """An operator drains a real server on every node, and takes it back."""

    host: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A node is given its plan again, unchanged."""

    node: str


@dataclass(frozen=True, slots=True)
class SpeakerUpgraded:
    """A newer speaker is started beside that of a node, and takes its place if it can while this lasts."""

    node: str


class Alteration(StrEnum):
    """How an altered site file differs from the one that is simulated."""

    WEIGHTS = "weights"
    """Every server has another weight."""
    SCHEDULES = "schedules"
    """Every check is run more often."""
    SERVICE = "service"
    """The last service is not in it."""


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """A node has an altered site file while this lasts."""

    node: str
    alteration: Alteration


@dataclass(frozen=True, slots=True)
class ServicesDisabled:
    """A node (None: every one) has a site file while this lasts in which these services are not enabled."""

    node: str | None
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Admitted:
    """An operator lets a node own every VIP again that manual failback held it out of."""

    node: str


@dataclass(frozen=True, slots=True)
class Moved:
    """An operator moves a VIP away from a node, and admits it there again when the fault ends."""

    node: str
    vip: str


Fault = (
    RoughNetwork
    | Partition
    | Blackhole
    | CarrierLost
    | Paused
    | Killed
    | Slowed
    | Frozen
    | PowerLost
    | ClockStepped
    | LinkStalled
    | LinkBroken
    | ServerFault
    | AddressLeaked
    | StoreAway
    | StoreSlow
    | PlaneRefuses
    | GatesRefused
    | AddressRemoved
    | HostilePackets
    | AddressSpoofed
    | Stopped
    | Drained
    | Reloaded
    | Reconfigured
    | ServicesDisabled
    | Admitted
    | Moved
    | SpeakerUpgraded
)


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault of a run. Times are microseconds of the world; `number` counts from 1 within the run."""

    number: int
    begins: int
    lasts: int
    fault: Fault

    @property
    def ends(self) -> int:
        return self.begins + self.lasts

    def __str__(self) -> str:
        return f"#{self.number} at {self.begins / 1e6:.3f} s for {self.lasts / 1e6:.3f} s: {self.fault}"
