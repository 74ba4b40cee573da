"""What readers see of a node's neighbour cache: each entry with the name that the plan has for its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import Family, IPAddress
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.neighbour_cache import CacheEntry, NeighbourCache


@dataclass(frozen=True, slots=True)
class NeighbourView:
    """One entry. `name` is a VIP's, a member's or a real server's; empty for an address that the plan does not name."""

    name: str
    entry: CacheEntry


@dataclass(frozen=True, slots=True)
class StaleView:
    """How long a neighbour with this node's parameters may look for a VIP at the former owner, if it hears no
    announcement."""

    interface: str
    family: Family
    longest: timedelta


@dataclass(frozen=True, slots=True)
class NeighboursView:
    """The cache of the interfaces on which this node's VIPs are."""

    neighbours: tuple[NeighbourView, ...]
    stale: tuple[StaleView, ...]


def neighbours(plan: NodePlan, cache: NeighbourCache) -> NeighboursView:
    """The entries, those with a name first, each kind by address."""
    names = names_of(plan)
    entries = sorted(
        cache.entries,
        key=lambda entry: (entry.address not in names, entry.interface, entry.address.version, int(entry.address)),
    )
    return NeighboursView(
        tuple(NeighbourView(names.get(entry.address, ""), entry) for entry in entries),
        tuple(StaleView(timers.interface, timers.family, timers.longest_stale) for timers in cache.timers),
    )


def names_of(plan: NodePlan) -> Mapping[IPAddress, str]:
    """The name of each address that the plan speaks of; a VIP's before a member's before a server's."""
    names: dict[IPAddress, str] = {}
    for service in plan.services:
        names.update({server.address: server.name for server in service.servers})
    for wire in plan.wires:
        names.update({address: member.node for member in wire.members for address in member.addresses})
    for wire in plan.wires:
        names.update(dict.fromkeys(wire.addresses, wire.vip))
    return names
