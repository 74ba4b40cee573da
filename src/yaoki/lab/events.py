"""What the nodes of a lab say happened, reduced to what a row's detection and switch are reckoned from."""

from dataclasses import dataclass
from enum import StrEnum


class Turn(StrEnum):
    """Verdicts, and effects in the kernel that follow them."""

    TOOK_OVER = "took-over"
    SERVER_FELL = "server-fell"
    APPLIED = "applied"


@dataclass(frozen=True, slots=True)
class LabEvent:
    """One turn on one node, on the lab's clock. `subject` names the VIP, server or service."""

    at_us: int
    node: str
    turn: Turn
    subject: str = ""
