"""What can be broken in a lab, as values. Carrying them out and mending them is yaoki.lab.injector's business."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.lab.software import Part

HANG = timedelta(seconds=6)
FLAP = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class StopNode:
    """The orderly stop of a node."""

    node: str


@dataclass(frozen=True, slots=True)
class KillNode:
    """SIGKILL to processes of a node; its kernel goes on."""

    node: str
    part: Part


@dataclass(frozen=True, slots=True)
class HangNode:
    """SIGSTOP to processes of a node, SIGCONT after `lasts`."""

    node: str
    part: Part
    lasts: timedelta = HANG


@dataclass(frozen=True, slots=True)
class RestartNode:
    """`yaoki restart` on a node."""

    node: str


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """A site file with one more service is applied on every node."""


@dataclass(frozen=True, slots=True)
class PowerOff:
    """All links and processes of a machine at once; it forgets what its kernel was told."""

    machine: str


@dataclass(frozen=True, slots=True)
class PowerOffTogether:
    """As PowerOff, several machines at once."""

    machines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CutLink:
    """The switch port goes down: the machine's interface loses its carrier."""

    machine: str
    interface: str


@dataclass(frozen=True, slots=True)
class BlackholeLink:
    """The switch port forwards nothing in either direction; the carrier stays."""

    machine: str
    interface: str


@dataclass(frozen=True, slots=True)
class FlapLink:
    """A cut that heals by itself after `lasts`."""

    machine: str
    interface: str
    lasts: timedelta = FLAP


@dataclass(frozen=True, slots=True)
class Partition:
    """Nodes on one network no longer hear each other; everybody else hears both."""

    network: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkDown:
    """The whole switch of a network goes down."""

    network: str


class Trouble(StrEnum):
    """What a real server suffers from."""

    KILLED = "killed"
    HUNG = "hung"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class ServerTrouble:
    """A host's programs are killed; or stop, so that connections are accepted and never answered; or answer 500."""

    host: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class DrainServer:
    """A host's weight becomes 0 in every service, by a site file applied on every node."""

    host: str


@dataclass(frozen=True, slots=True)
class RemoveServer:
    """A host is taken out of every service, by a site file applied on every node."""

    host: str


Fault = (
    StopNode
    | KillNode
    | HangNode
    | RestartNode
    | Reconfigure
    | PowerOff
    | PowerOffTogether
    | CutLink
    | BlackholeLink
    | FlapLink
    | Partition
    | NetworkDown
    | ServerTrouble
    | DrainServer
    | RemoveServer
)
