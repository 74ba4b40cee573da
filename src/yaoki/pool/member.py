"""A member of a pool, and what an operator has decided about it."""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.instant import Instant

DEFAULT_PRIORITY = 100
"""Of a member that is given none; 1..254, the higher serves."""


class AdminState(StrEnum):
    """What a person decided. `drain`: flows it has stay, no new ones. `maint`: out at once, and not checked."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class Health(StrEnum):
    """What the checks found. `unknown` until the first verdict: neither proof of life nor of death."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Duty(StrEnum):
    """What a member does for its pool: `serve` takes new flows, `drain` keeps those it has, `out` has none."""

    SERVE = "serve"
    DRAIN = "drain"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Member:
    """One member as a policy sees it. `weight` is the configured weight, 0..65535; 0 drains. Those of the highest
    `priority` that can serve do, the others stand by. A `sorry` member serves when nobody else can; it has no priority.

    `since` is when `health` became what it is; None before the first verdict. `serving_since` is when the data plane
    began to send it new flows, by an earlier decision or one found in the kernel after a restart; None: it does not.
    `leaks`: it says by ARP or neighbour discovery that it has the address of the service, and had better get no flows.
    """

    name: str
    weight: int
    health: Health = Health.UNKNOWN
    admin: AdminState = AdminState.READY
    since: Instant | None = None
    serving_since: Instant | None = None
    priority: int = DEFAULT_PRIORITY
    sorry: bool = False
    leaks: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 65535:
            raise ValueError(f"weight {self.weight} is outside 0..65535")
