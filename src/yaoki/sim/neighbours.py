"""What the other machines of a network believe: at whose MAC each VIP is, as the last announcement told them.

Their cache is what sends traffic to one node or another, so it has to point to the owner once things have settled. An
announcement that a fault kept from them excuses them until the next one arrives: real neighbours ask again in time.
"""

from dataclasses import dataclass

from yaoki.core.address import IPAddress

NEIGHBOURS = "neighbours"
"""The owner, and the group, of their port on a network."""
INTRUDER = "intruder"
"""A machine that is no node and claims addresses all the same."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gratuitous ARP or unsolicited neighbour advertisement of one node for one address."""

    node: str
    address: IPAddress


class Neighbours:
    """The caches of the machines of one network, as one: all of them hear the same broadcasts."""

    def __init__(self) -> None:
        self._believed: dict[IPAddress, str] = {}
        self._missed: set[Announcement] = set()

    def hear(self, announcement: Announcement) -> None:
        """An announcement arrived."""
        self._believed[announcement.address] = announcement.node
        self._missed.discard(announcement)

    def miss(self, announcement: Announcement) -> None:
        """An announcement was sent and did not arrive."""
        self._missed.add(announcement)

    def believe(self, address: IPAddress) -> str | None:
        """At whose MAC they look for the address; None if they never heard."""
        return self._believed.get(address)

    def excused(self, address: IPAddress, node: str) -> bool:
        """Whether they missed an announcement of the node and have heard none of its since."""
        return Announcement(node, address) in self._missed
