"""What makes a node a node in the lab: Yaoki itself, or a peer product in its place for comparison.

The rehearsal only ever speaks to this interface, so the same rows measure either.
"""

from enum import StrEnum
from pathlib import Path
from typing import Protocol

from yaoki.lab.events import LabEvent


class Part(StrEnum):
    """Which processes of a node a process fault hits."""

    MAIN = "main"
    SPEAKER = "speaker"
    ALL = "all"


class NodeSoftware(Protocol):
    """Runs the nodes of one lab. Every method returns when its command has been given; none waits for its effect."""

    name: str
    reconfigures: bool
    """Whether `restart` and `apply` are there, and services besides VIPs."""

    def start(self, node: str) -> None:
        """Start the node's processes; they may not be running."""
        ...

    def stop(self, node: str) -> None:
        """The orderly stop: the node gives up what it owns."""
        ...

    def restart(self, node: str) -> None:
        """Start the node's processes anew while everything goes on."""
        ...

    def apply(self, node: str, file: Path) -> None:
        """Give the node another site file."""
        ...

    def processes(self, node: str, part: Part) -> tuple[int, ...]:
        """The process ids that a fault hits; empty if there are none."""
        ...

    def missing(self, node: str) -> str | None:
        """What the node itself still lacks to be whole; None if nothing. It may own nothing and be unseen by probes."""
        ...

    def events(self, node: str, since_us: int) -> tuple[LabEvent, ...]:
        """What the node says happened since then; empty if it does not tell or is not there to tell."""
        ...

    def forget(self, node: str) -> None:
        """After the node's processes were killed from outside: reap them and remove what would hinder a new start."""
        ...
