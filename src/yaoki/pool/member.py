"""A member of a pool, and what an operator has decided about it."""

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Member:
    """One member as a policy sees it. `weight` is the configured weight, 0..65535; 0 drains."""

    name: str
    weight: int
    health: Health = Health.UNKNOWN
    admin: AdminState = AdminState.READY

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 65535:
            raise ValueError(f"weight {self.weight} is outside 0..65535")
