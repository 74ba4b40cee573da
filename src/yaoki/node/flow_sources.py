"""The sources of copied flows, gathered for persistence: a client that comes back after a move finds its server again.

What the rules do with each packet on the owner is done here for each flow that the owner tells of, which it does with
every refresh: so a source is remembered here as long as there, give or take a refresh.

Limit: SOURCES are gathered at a time; more are left out until the next refresh.
"""

from datetime import timedelta

from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.lb.flow import CopiedService, Flow, Stage
from yaoki.lb.service import ServiceKey, SourcePersistence
from yaoki.node.flow_messages import RememberSources

GATHER_FOR = timedelta(milliseconds=200)
SOURCES = 16_384

_Place = tuple[ServiceKey, IPAddress, int]


class FlowSources:
    """Those that wait."""

    def __init__(self) -> None:
        self._persistence: dict[ServiceKey, SourcePersistence] = {}
        self._waiting: dict[tuple[ServiceKey, IPAddress], tuple[IPAddress, int]] = {}
        self._due: Instant | None = None

    def configure(self, services: tuple[CopiedService, ...], *, all_: bool) -> None:
        """These services, and no others if they are `all_`."""
        if all_:
            self._persistence.clear()
        for service in services:
            if service.persistence is None:
                self._persistence.pop(service.key, None)
            else:
                self._persistence[service.key] = service.persistence

    def deadline(self) -> Instant | None:
        """When those that wait are to be remembered."""
        return self._due

    def note(self, now: Instant, flow: Flow) -> None:
        """A flow that another node has. One that closes says nothing of when its last packet came, and one whose client
        is known by a hash only nothing of whom to remember."""
        if flow.service not in self._persistence or len(self._waiting) >= SOURCES:
            return
        if flow.stage is Stage.CLOSING or not flow.client_port:
            return
        self._waiting[flow.service, flow.client] = flow.server, flow.port
        self._due = self._due or now + GATHER_FOR

    def due(self, now: Instant) -> list[RememberSources]:
        """What to remember now."""
        if self._due is None or now < self._due:
            return []
        found: dict[_Place, dict[bytes, None]] = {}
        for (key, client), (server, port) in self._waiting.items():
            if key in self._persistence:
                found.setdefault((key, server, port), {})[masked(client, self._persistence[key])] = None
        self._waiting, self._due = {}, None
        return [
            RememberSources(*place, tuple(sources), round(self._persistence[place[0]].timeout.total_seconds()))
            for place, sources in found.items()
        ]


def masked(source: IPAddress, persistence: SourcePersistence) -> bytes:
    """A source's octets as persistence sees it."""
    hidden = source.max_prefixlen - persistence.prefix_length
    return (int(source) >> hidden << hidden).to_bytes(len(source.packed), "big")
