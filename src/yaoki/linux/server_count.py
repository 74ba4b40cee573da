"""What a plane of the balancer has counted, whichever it is."""

from dataclasses import dataclass

from yaoki.core.address import IPAddress
from yaoki.lb.service import ServiceKey


@dataclass(frozen=True, slots=True)
class ServerCount:
    """Packets and octets that a server was sent for a service since it came into it."""

    service: ServiceKey
    server: IPAddress
    port: int
    packets: int
    octets: int
