"""The site compiled for its nodes: names become addresses, interfaces and parameters, and nothing else is left.

Invariants: a VIP with addresses of both families becomes two virtual routers, and a service on it one ServicePlan per
address; a node's plan has what the VIPs that it may own need, and nothing of other nodes; `generation` depends on the
site alone, so it is equal on all nodes that run the same file.

A service without a check of its own gets a TCP connection to the server's port, or for UDP an echo request.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from yaoki.checks.check import (
    CheckId,
    CheckSpec,
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    Schedule,
    ScriptParams,
    TcpParams,
    TlsParams,
    UdpParams,
)
from yaoki.core.address import Family, IPAddress
from yaoki.lb.service import Forward, Protocol, ServiceKey, SourcePersistence
from yaoki.site.model import CheckDefinition, Interface, Machine, Persistence, Server, Service, Site, Vip
from yaoki.site.node_plan import NodePlan, ServerPlan, ServicePlan, TrackPlan
from yaoki.vrrp.params import RouterKey, RouterParams

DEFAULT_SCHEDULE = Schedule(interval=timedelta(seconds=1), timeout=timedelta(milliseconds=500))


def compile_site(site: Site) -> dict[str, NodePlan]:
    """The plans of all nodes, by node."""
    generation = generation_of(site)
    return {node.name: _NodeCompiler(site, node).compile(generation) for node in site.nodes}


def compile_node(site: Site, node: str) -> NodePlan:
    """The plan of one node of the site; equal to that in compile_site."""
    return _NodeCompiler(site, site.machine(node)).compile(generation_of(site))


def server_address(site: Site, service: Service, server: Server, family: Family) -> IPAddress | None:
    """The address under which a service's server is reached: the one on the VIP's network if it has one there."""
    host = site.machine(server.host)
    near = host.on_network(site.vip(service.vip).network)
    candidates = (near, *host.interfaces) if near is not None else host.interfaces
    found = (interface.address(family) for interface in candidates)
    return next((address for address in found if address is not None), None)


def default_checks(service: Service) -> tuple[CheckDefinition, ...]:
    """What a service is checked by when it names no check."""
    params: KindParams = TcpParams(0) if service.protocol is Protocol.TCP else IcmpParams()
    return (CheckDefinition("tcp" if service.protocol is Protocol.TCP else "icmp", params, DEFAULT_SCHEDULE),)


def generation_of(site: Site) -> str:
    """A digest of all that the site says; comments, order of sections and the notation of values do not matter."""
    return hashlib.sha256(repr(site).encode()).hexdigest()[:16]


class _NodeCompiler:
    """Compiles one node; its checks gather here, one for each identity, under the name by which it was met first."""

    def __init__(self, site: Site, node: Machine) -> None:
        self._site = site
        self._node = node
        self._specs: dict[CheckId, CheckSpec] = {}
        # By words rather than by identity: hashing addresses and parameters costs more than all the rest.
        self._known: dict[tuple[str, str, int, IPAddress], CheckId] = {}

    def compile(self, generation: str) -> NodePlan:
        site, node = self._site, self._node
        vips = [vip for vip in site.vips if any(member.node == node.name for member in vip.members)]
        here = {vip.name: interface for vip in vips if (interface := node.on_network(vip.network)) is not None}
        routers = [router for vip in vips if vip.name in here for router in _routers(vip, here[vip.name], node.name)]
        services = [
            plan
            for service in site.services
            if service.vip in here
            for plan in self._service(service, here[service.vip])
        ]
        return NodePlan(
            site=site.name,
            node=node.name,
            generation=generation,
            routers=tuple(routers),
            services=tuple(services),
            checks=tuple(self._specs.values()),
            tracks=tuple(
                TrackPlan(router.key, track.service, track.weight)
                for router in routers
                for track in site.vip(router.vip).track
            ),
            hooks=site.hooks,
        )

    def _service(self, service: Service, interface: Interface) -> Iterable[ServicePlan]:
        definitions = tuple(self._site.check(name) for name in service.checks) or default_checks(service)
        for vip_address in self._site.vip(service.vip).addresses:
            family = Family.of(vip_address)
            servers = [self._server(service, server, family, definitions) for server in service.servers]
            yield ServicePlan(
                name=service.name,
                vip=service.vip,
                key=ServiceKey(vip_address.ip, service.protocol, service.port),
                interface=interface.name,
                scheduler=service.scheduler,
                servers=tuple(server for server in servers if server is not None),
                persistence=_persistence(service.persistence, family),
                when_all_down=service.when_all_down,
                slow_start=service.slow_start,
                panic_threshold=service.panic_threshold,
                enabled=service.enabled,
            )

    def _server(
        self, service: Service, server: Server, family: Family, definitions: tuple[CheckDefinition, ...]
    ) -> ServerPlan | None:
        """The server in one family; None if it has no address there."""
        address = server_address(self._site, service, server, family)
        if address is None:
            return None
        port = service.port if server.port is None else server.port
        forward = service.forward if server.forward is None else server.forward
        source = self._own_address(service, address)
        return ServerPlan(
            name=server.host,
            address=address,
            port=port,
            forward=forward,
            weight=server.weight,
            checks=tuple(self._check(definition, server.host, address, port, source) for definition in definitions),
            source=source if forward is Forward.FULLNAT else None,
        )

    def _own_address(self, service: Service, target: IPAddress) -> IPAddress | None:
        """The node's own address, never a VIP, from which a server sees it: on-link if there is such, else that on
        the service's VIP network."""
        for interface in self._node.interfaces:
            for own in interface.addresses:
                if target in own.network:
                    return own.ip
        near = self._node.on_network(self._site.vip(service.vip).network)
        return None if near is None else near.address(Family.of(target))

    def _check(
        self, definition: CheckDefinition, host: str, address: IPAddress, port: int, source: IPAddress | None
    ) -> CheckId:
        """The identity of a check of one server; the first of equal checks decides on schedule and name."""
        key = (definition.name, host, port, address)
        identity = self._known.get(key)
        if identity is None or identity.source != source:
            identity = CheckId(address, with_port(definition.params, port), source)
            self._known[key] = identity
            spec = CheckSpec(identity, definition.schedule, f"{definition.name} on {host}")
            self._specs.setdefault(identity, spec)
        return identity


def _routers(vip: Vip, interface: Interface, node: str) -> Iterable[RouterParams]:
    priority = next(member.priority for member in vip.members if member.node == node)
    for family in Family:
        addresses = tuple(address for address in vip.addresses if Family.of(address) is family)
        if addresses:
            yield RouterParams(
                vip=vip.name,
                key=RouterKey(interface.name, family, vip.vrid),
                priority=priority,
                interval=vip.advertise,
                addresses=addresses,
                version=vip.version,
                failback=vip.failback,
                # IPv6 adverts come from the link-local address, which only the kernel knows.
                source=interface.address(family) if family is Family.IPV4 else None,
                checksum=vip.checksum,
            )


def _persistence(persistence: Persistence | None, family: Family) -> SourcePersistence | None:
    if persistence is None:
        return None
    length = persistence.ipv4_mask if family is Family.IPV4 else persistence.ipv6_mask
    return SourcePersistence(length, persistence.timeout)


def with_port(params: KindParams, port: int) -> KindParams:
    """The parameters with the server's port in the place of 0."""
    match params:
        case TcpParams() | UdpParams() | TlsParams() | HttpParams():
            return replace(params, port=port) if params.port == 0 else params
        case IcmpParams() | NeighbourParams() | ScriptParams():
            return params
