"""What is written beside a service and its servers in the kernel, so that a restarted node finds it there.

A record is the comment of an element: a few words, the name last. nft keeps at most 128 octets of it, so a name longer
than what is left is cut; the digest is of the whole name.
"""

from datetime import timedelta

from yaoki.core.address import IPAddress, MacAddress, parse_address
from yaoki.lb.service import (
    Duty,
    Forward,
    RealServer,
    Scheduler,
    ServiceKey,
    SourcePersistence,
    VirtualService,
    WhenAllDown,
)

LONGEST = 127
_NONE = "-"


def service_record(service: VirtualService, digest: str) -> str:
    """Digest, scheduler (and after a stroke the idle time-out), when-all-down, persistence, interface, name."""
    persistence, idle = service.persistence, service.idle_timeout
    words = (
        digest,
        service.scheduler.value + ("" if idle is None else f"/{idle.total_seconds():g}"),
        service.when_all_down.value,
        _NONE if persistence is None else f"{persistence.prefix_length}/{persistence.timeout.total_seconds():g}",
        service.interface,
        service.name,
    )
    return " ".join(words)[:LONGEST]


def server_record(server: RealServer) -> str:
    """Duty, weight (and after a stroke the limit), forwarding method, MAC, source, name."""
    words = (
        server.duty,
        str(server.weight) if server.limit is None else f"{server.weight}/{server.limit}",
        server.forward,
        _NONE if server.mac is None else str(server.mac),
        _NONE if server.source is None else str(server.source),
        server.name,
    )
    return " ".join(words)[:LONGEST]


def read_service(record: str, key: ServiceKey, servers: tuple[RealServer, ...]) -> tuple[str, VirtualService] | None:
    """Digest and service; None for a record that another version wrote in another form."""
    try:
        digest, scheduler, when_all_down, persistence, interface, name = record.split(" ", 5)
        scheduler, _, idle = scheduler.partition("/")
        return digest, VirtualService(
            name,
            key,
            interface=interface,
            scheduler=Scheduler(scheduler),
            servers=servers,
            persistence=_persistence(persistence),
            when_all_down=WhenAllDown(when_all_down),
            idle_timeout=timedelta(seconds=float(idle)) if idle else None,
        )
    except ValueError:
        return None


def read_server(record: str, address: IPAddress, port: int) -> RealServer | None:
    """A server by its place and its record; None for a record in another form."""
    try:
        duty, weight, forward, mac, source, name = record.split(" ", 5)
        weight, _, limit = weight.partition("/")
        return RealServer(
            name,
            address,
            port,
            Forward(forward),
            int(weight),
            Duty(duty),
            None if mac == _NONE else MacAddress.parse(mac),
            None if source == _NONE else parse_address(source),
            int(limit) if limit else None,
        )
    except ValueError:
        return None


def _persistence(word: str) -> SourcePersistence | None:
    if word == _NONE:
        return None
    prefix_length, seconds = word.split("/")
    return SourcePersistence(int(prefix_length), timedelta(seconds=float(seconds)))
