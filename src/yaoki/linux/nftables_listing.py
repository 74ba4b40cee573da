"""Connections and remembered sources in the maps of nftables' rules, and in the kernel's connection tracking."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from datetime import timedelta

from yaoki.lb.connection import ConnectionState, Gathering
from yaoki.lb.flow_datagram import address
from yaoki.lb.plane import is_direct
from yaoki.lb.service import Protocol, RealServer, SourcePersistence, VirtualService
from yaoki.linux.conntrack import Conntrack
from yaoki.linux.nftables_direct import opening_s
from yaoki.linux.nftables_keys import read_flow_key
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, pin_name, service_name
from yaoki.linux.nftables_reader import NftablesReader, RawElement


def gather(services: Collection[VirtualService], gathering: Gathering) -> None:
    """Those of these services. Raises ActuatorError."""
    with closing(NftablesReader()) as reader:
        for service in filter(is_direct, services):
            _direct(reader, service, gathering)
        _tracked([service for service in services if not is_direct(service)], gathering)
        for service in services:
            if service.persistence is not None:
                _sources(reader, service, service.persistence, gathering)


def _direct(reader: NftablesReader, service: VirtualService, gathering: Gathering) -> None:
    name = service_name(service.key)
    servers = {server.mac.octets: server for server in reversed(service.servers) if server.mac is not None}
    for map_ in ("flows", "closing"):
        for element in reader.elements(DIRECT, f"{map_}/{name}"):
            server = servers.get(element.value[:6])
            if server is None or not gathering.has_room():
                continue
            left = _left(element)
            state, idle = (ConnectionState.CLOSING, None) if map_ == "closing" else _under_way(service, left)
            client = read_flow_key(service.key.family, element.key)
            gathering.keep(service.key, client, server, state, idle=idle, expires=left)


def _under_way(service: VirtualService, left: timedelta) -> tuple[ConnectionState | None, timedelta | None]:
    """State and idle time of an entry. One of TCP that has no more left than it would have after its first packet only
    tells neither."""
    if service.key.protocol is Protocol.TCP and left <= timedelta(seconds=opening_s(service)):
        return None, None
    return ConnectionState.ESTABLISHED, max(service.idles_out_after - left, timedelta(0))


def _tracked(services: Collection[VirtualService], gathering: Gathering) -> None:
    places = {(s.key, each.address, each.port): each for s in services for each in s.servers}
    if not places:
        return
    with closing(Conntrack()) as conntrack:
        for flow in conntrack.all({service.key: None for service in services}):
            server = places.get(flow.placed)
            if server is not None and gathering.has_room():
                client = (flow.client, flow.client_port)
                gathering.keep(flow.placed[0], client, server, flow.state, idle=None, expires=flow.expires)


def _sources(
    reader: NftablesReader, service: VirtualService, persistence: SourcePersistence, gathering: Gathering
) -> None:
    octets = service.key.family.bits // 8
    for server, element in _remembered(reader, service):
        source = address(element.key[:octets])
        gathering.keep_source(service.key, (source, persistence.prefix_length), server, _left(element))


def _remembered(reader: NftablesReader, service: VirtualService) -> Iterator[tuple[RealServer, RawElement]]:
    if is_direct(service):
        servers = {server.mac.octets: server for server in reversed(service.servers) if server.mac is not None}
        found: Iterable[RawElement] = reader.elements(DIRECT, f"persist/{service_name(service.key)}")
        yield from ((servers[each.value[:6]], each) for each in found if each.value[:6] in servers)
        return
    for server in service.servers:
        pins = reader.elements(TRANSLATION, pin_name(service.key, server.address, server.port))
        yield from ((server, each) for each in pins)


def _left(element: RawElement) -> timedelta:
    return timedelta(seconds=round((element.left_ms or 0) / 1000, 1))
