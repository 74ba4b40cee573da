"""Connections of virtual services as a plane finds them in its tables, for people who look. Pure."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import IPAddress
from yaoki.lb.service import RealServer, ServiceKey

MOST_LISTED = 10_000


class ConnectionState(StrEnum):
    """How far it has come: only its first packet was seen; it is under way; its end was seen."""

    OPENING = "opening"
    ESTABLISHED = "established"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Connection:
    """One client's, with the server that it was given. It `expires` unless a packet comes before. None is what a plane
    does not keep: the client of IPv6 on nftables with direct return, of which it has a hash; a state that the entry
    does not tell; for how long no packet has come."""

    service: ServiceKey
    client: IPAddress | None
    client_port: int | None
    name: str
    server: IPAddress
    port: int
    state: ConnectionState | None
    idle: timedelta | None
    expires: timedelta


@dataclass(frozen=True, slots=True)
class RememberedSource:
    """A source that persistence takes to a server: an address, of which `prefix_length` bits count."""

    service: ServiceKey
    source: IPAddress
    prefix_length: int
    name: str
    server: IPAddress
    port: int
    expires: timedelta


@dataclass(frozen=True, slots=True)
class ConnectionList:
    """Some of the connections and sources that there are, and how many there are in all."""

    connections: tuple[Connection, ...] = ()
    total: int = 0
    sources: tuple[RememberedSource, ...] = ()
    total_sources: int = 0


@dataclass(slots=True)
class Gathering:
    """While tables are looked through: the first `limit` of each are kept, and all are counted."""

    limit: int
    connections: list[Connection] = field(default_factory=list)
    total: int = 0
    sources: list[RememberedSource] = field(default_factory=list)
    total_sources: int = 0

    def has_room(self) -> bool:
        """Count a connection; whether it is to be kept."""
        self.total += 1
        return self.total <= self.limit

    def keep(
        self,
        key: ServiceKey,
        client: tuple[IPAddress | None, int | None],
        server: RealServer,
        state: ConnectionState | None,
        *,
        idle: timedelta | None,
        expires: timedelta,
    ) -> None:
        """One for which there is room."""
        found = Connection(key, *client, server.name, server.address, server.port, state, idle, expires)
        self.connections.append(found)

    def keep_source(
        self, key: ServiceKey, source: tuple[IPAddress, int], server: RealServer, expires: timedelta
    ) -> None:
        """A source and the bits that count of it, which is counted, and kept if there is room."""
        self.total_sources += 1
        if self.total_sources <= self.limit:
            self.sources.append(RememberedSource(key, *source, server.name, server.address, server.port, expires))

    def list(self) -> ConnectionList:
        """What was found."""
        return ConnectionList(tuple(self.connections), self.total, tuple(self.sources), self.total_sources)
