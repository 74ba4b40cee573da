"""What a plane of the balancer has counted, whichever it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from yaoki.core.address import IPAddress
from yaoki.lb.packet_reason import PacketReason
from yaoki.lb.service import ServiceKey


@dataclass(frozen=True, slots=True)
class ServerCount:
    """Packets and octets that a server was sent for a service since it came into it."""

    service: ServiceKey
    server: IPAddress
    port: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class ServiceCount:
    """Packets and octets that were sent to servers of a service, and how many flows were given one; `opened` is None
    where nobody counts that."""

    service: ServiceKey
    packets: int
    octets: int
    opened: int | None = None


@dataclass(frozen=True, slots=True)
class PlaneCounts:
    """Everything that is counted. `unsent`: how many packets the program on BPF sent to no server, and why; empty where
    there is none."""

    servers: tuple[ServerCount, ...] = ()
    services: tuple[ServiceCount, ...] = ()
    unsent: Mapping[PacketReason, int] = field(default_factory=dict)


def by_service(servers: Iterable[ServerCount]) -> tuple[ServiceCount, ...]:
    """What the servers of each service were sent, together."""
    found: dict[ServiceKey, tuple[int, int]] = {}
    for each in servers:
        packets, octets = found.get(each.service, (0, 0))
        found[each.service] = packets + each.packets, octets + each.octets
    return tuple(ServiceCount(key, *sent) for key, sent in found.items())
