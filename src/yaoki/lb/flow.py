"""A flow of a service with address translation, as one node tells another of it.

Of a TCP connection no window is told: the receiver's kernel is asked to be liberal about it instead.
"""

from dataclasses import dataclass
from enum import IntEnum

from yaoki.core.address import IPAddress
from yaoki.lb.service import ServiceKey, SourcePersistence

MAX_SECONDS = (1 << 31) - 1


class Stage(IntEnum):
    """How far a flow has come: its first packets were seen; both sides have spoken; one side has ended it. A flow of
    UDP never closes."""

    OPENING = 1
    ESTABLISHED = 2
    CLOSING = 3


@dataclass(frozen=True, slots=True)
class Flow:
    """A client's flow to a service, and the server it was given. `seconds`: how long the kernel that has it keeps it
    without a further packet, 0..MAX_SECONDS."""

    service: ServiceKey
    client: IPAddress
    client_port: int
    server: IPAddress
    port: int
    stage: Stage
    seconds: int


@dataclass(frozen=True, slots=True)
class CopiedService:
    """A service whose flows are copied, and its servers that may have flows: address and port of each. What persistence
    remembers of a flow's source goes with it."""

    key: ServiceKey
    servers: tuple[tuple[IPAddress, int], ...]
    persistence: SourcePersistence | None = None
