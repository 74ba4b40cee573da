"""What every part of a simulated node is given: time, chance, its node's clock and kernel, and a witness.

The witness is how the invariants see a world without being part of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from yaoki.checks.check import CheckId, CheckSpec, Finding
from yaoki.core.event import Event
from yaoki.lb.flow import CopiedService
from yaoki.node.messages import RouterStatus, SendAdvertisement, VerdictChanged
from yaoki.sim.chance import Chance
from yaoki.sim.clock import NodeClock
from yaoki.sim.kernel import Kernel
from yaoki.sim.timeline import Timeline
from yaoki.sim.trace import Record


class Witness(Protocol):
    """Sees what happens, and changes nothing."""

    @property
    def keep(self) -> Callable[[Record], None]:
        """Takes a record of the trace: time, process, input, effects."""
        ...

    def many_effects(self, process: str, count: int, /) -> None:
        """A machine wants more than process.MANY_EFFECTS things done at once."""
        ...

    def started(self, process: str, /) -> None:
        """A process begins with a new machine."""
        ...

    def reported(self, node: str, status: RouterStatus, /) -> None:
        """A virtual router changed its state."""
        ...

    def published(self, node: str, event: Event, /) -> None:
        """An assembly made an event."""
        ...

    def spoke(self, node: str, advertisement: SendAdvertisement, /) -> None:
        """A node advertises from a virtual MAC."""
        ...

    def addresses_changed(self, node: str, interface: str, /) -> None:
        """An interface of a kernel holds other addresses, or has gained or lost its carrier."""
        ...

    def processes_changed(self, node: str, /) -> None:
        """A process of a node began or ceased to run, or was told its wish."""
        ...

    def left(self, node: str, interface: str, vrid: int, version: int, /) -> None:
        """A node advertises priority 0 in an IP version."""
        ...

    def checks_configured(self, node: str, checks: tuple[CheckId, ...], /) -> None:
        """A worker is told which checks to run."""
        ...

    def probed(self, node: str, check: CheckSpec, finding: Finding, /) -> None:
        """A probe has ended, and its worker is about to be told."""
        ...

    def copier_told(self, node: str, services: tuple[CopiedService, ...], /) -> None:
        """A flow copier is told of all services whose flows it is to copy."""
        ...

    def judged(self, node: str, verdict: VerdictChanged, /) -> None:
        """A worker reports a verdict, or repeats it."""
        ...

    def decided(self, node: str, /) -> None:
        """A node's journal holds other decisions of its operator."""
        ...

    def stopping(self, node: str, /) -> None:
        """An operator is about to stop a node in good order."""
        ...

    def stopped(self, node: str, /) -> None:
        """The time that a node was given to stop has passed."""
        ...

    def table_changed(self, node: str, /) -> None:
        """The balancer plane of a node has other tables."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of one node."""

    node: str
    timeline: Timeline
    chance: Chance
    clock: NodeClock
    kernel: Kernel
    witness: Witness
