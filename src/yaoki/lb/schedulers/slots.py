"""Slots: the one form in which a plane is given any scheduler."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from yaoki.lb.service import RealServer


class Pick(StrEnum):
    """How a new flow's slot is found: the next in turn, by a hash of its source address, of source address and port, or
    by the flows that servers have: of all the fewest, or of two slots that are drawn; for their weights."""

    IN_TURN = "in-turn"
    BY_SOURCE = "by-source"
    BY_FLOW = "by-flow"
    LEAST = "least"
    LESS_OF_TWO = "less-of-two"


@dataclass(frozen=True, slots=True)
class Slots:
    """The server of each slot, by its index among the `members`. Never empty."""

    pick: Pick
    members: tuple[RealServer, ...]
    indices: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.indices:
            raise ValueError("slots without servers")

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def one_each(cls, pick: Pick, members: tuple[RealServer, ...]) -> Self:
        """A slot for every member, in their order."""
        return cls(pick, members, tuple(range(len(members))))

    @property
    def servers(self) -> tuple[RealServer, ...]:
        """The server of each slot."""
        return tuple(map(self.members.__getitem__, self.indices))

    @property
    def only(self) -> RealServer | None:
        """The server, if all slots are one server's."""
        first = self.members[self.indices[0]]
        return first if all(self.members[index] == first for index in set(self.indices)) else None

    def share(self, server: RealServer) -> float:
        """The share of new flows that a server gets, 0..1, where that does not depend on the flows that it has."""
        return self.servers.count(server) / len(self.servers)


def name_of(server: RealServer) -> str:
    """What hashing knows a server by: its place on the wire, so that two nodes agree whatever they call it."""
    host = f"[{server.address}]" if server.address.version == 6 else str(server.address)
    return f"{host}:{server.port}"
