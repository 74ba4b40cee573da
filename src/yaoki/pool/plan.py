"""Plans: ordered, printable changes with their cost, computed before anything is touched.

Each domain has its own Change type; here is what they share, so that one printer and one set of safety rules serve all.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class Action(StrEnum):
    """What a change does to an object."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Change(Protocol):
    """What every domain's change can say of itself. `subject` names the object ("service web")."""

    @property
    def action(self) -> Action: ...

    @property
    def subject(self) -> str: ...

    @property
    def details(self) -> tuple[str, ...]: ...


ChangeT_co = TypeVar("ChangeT_co", bound=Change, covariant=True)


@dataclass(frozen=True, slots=True)
class Plan(Generic[ChangeT_co]):
    """Changes in the order in which they are to be applied; empty when the world is as desired.

    `costs` are what users will feel ("service api: its flows are cut"); `unsafe` are reasons to refuse without --force.
    """

    changes: tuple[ChangeT_co, ...]
    costs: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)
