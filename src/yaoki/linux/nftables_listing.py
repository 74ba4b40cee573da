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
from yaoki.linux.nftables_keys import read_flow_key, read_key_of_all, service_part
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, pin_name, service_name
from yaoki.linux.nftables_reader import NftablesReader, RawElement


def gather(services: Collection[VirtualService], gathering: Gathering) -> None:
    """Those of these services. Raises ActuatorError."""
    with closing(NftablesReader()) as reader:
        direct = [service for service in services if is_direct(service)]
        for service in direct:
            _direct(reader, service, gathering)
        _closing(reader, direct, gathering)
        _tracked([service for service in services if not is_direct(service)], gathering)
        for service in services:
            if service.persistence is not None:
                _sources(reader, service, service.persistence, gathering)


def _direct(reader: NftablesReader, service: VirtualService, gathering: Gathering) -> None:
    servers = _by_mac(service)
    for element in reader.elements(DIRECT, f"flows/{service_name(service.key)}"):
        server = servers.get(element.value[:6])
        if server is not None and gathering.has_room():
            left = _left(element)
            state, idle = _under_way(service, left)
            client = read_flow_key(service.key.family, element.key)
            gathering.keep(service.key, client, server, state, idle=idle, expires=left)


def _closing(reader: NftablesReader, services: Iterable[VirtualService], gathering: Gathering) -> None:
    """Those that have ended are in one map of all services of a family."""
    ending = [service for service in services if service.key.protocol is Protocol.TCP]
    for family in dict.fromkeys(service.key.family for service in ending):
        here = [service for service in ending if service.key.family is family]
        owners = {service_part(service.key): (service.key, _by_mac(service)) for service in here}
        for element in reader.elements(DIRECT, f"closing{family.value}"):
            flow, part = read_key_of_all(family, element.key)
            key, servers = owners.get(part, (None, {}))
            server = servers.get(element.value[:6])
            if key is not None and server is not None and gathering.has_room():
                client, state = read_flow_key(family, flow), ConnectionState.CLOSING
                gathering.keep(key, client, server, state, idle=None, expires=_left(element))


def _by_mac(service: VirtualService) -> dict[bytes, RealServer]:
    """Of two on one machine, which one MAC cannot tell apart, the first."""
    return {server.mac.octets: server for server in reversed(service.servers) if server.mac is not None}


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
        servers = _by_mac(service)
        found: Iterable[RawElement] = reader.elements(DIRECT, f"persist/{service_name(service.key)}")
        yield from ((servers[each.value[:6]], each) for each in found if each.value[:6] in servers)
        return
    for server in service.servers:
        pins = reader.elements(TRANSLATION, pin_name(service.key, server.address, server.port))
        yield from ((server, each) for each in pins)


def _left(element: RawElement) -> timedelta:
    return timedelta(seconds=round((element.left_ms or 0) / 1000, 1))
