"""What tells two wishes for a virtual service apart, short enough to be kept in the kernel beside it.

Invariant: equal services have equal digests, in every process and on every node; whatever a plane renders is in it.
"""

from hashlib import blake2b

from yaoki.lb.service import RealServer, VirtualService

LENGTH = 16
"""Hexadecimal digits: 64 bits, compared only with the one digest that the same service had before."""


def digest(service: VirtualService, rendering: str) -> str:
    """`rendering` names the way a plane turns services into kernel objects; a new way gives new digests."""
    persistence = service.persistence
    parts = [
        rendering,
        service.name,
        str(service.key),
        service.interface,
        service.scheduler.value,
        "" if persistence is None else f"{persistence.prefix_length}/{persistence.timeout.total_seconds()}",
        service.when_all_down.value,
        *(() if service.idle_timeout is None else (f"idle {service.idle_timeout.total_seconds()}",)),
        *(part for server in service.servers for part in _parts(server)),
    ]
    return blake2b("\0".join(parts).encode(), digest_size=LENGTH // 2).hexdigest()


def _parts(server: RealServer) -> tuple[str, ...]:
    return (
        server.name,
        str(server.address),
        str(server.port),
        server.forward,
        str(server.weight),
        server.duty,
        str(server.mac),
        str(server.source),
        *(() if server.limit is None else (f"limit {server.limit}",)),
        *(() if server.tunnel is None else (f"tunnel {server.tunnel}",)),
        *(() if server.way is None else (str(server.way),)),
    )
