"""The site compiled for its nodes: names become addresses, interfaces and parameters, and nothing else is left.

Invariants: a VIP with addresses of both families becomes two virtual routers, and a service on it one ServicePlan per
address; a node's plan has what the VIPs that it may own need, and nothing of other nodes; `generation` depends on the
site alone, so it is equal on all nodes that run the same file.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from yaoki.checks.check import (
    CheckId,
    CheckSpec,
    DirectParams,
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    RouteParams,
    Schedule,
    ScriptParams,
    TcpParams,
    TlsParams,
    UdpParams,
)
from yaoki.checks.route import first_host
from yaoki.core.address import Family, IPAddress, IPInterface
from yaoki.election.lease_params import LeaseParams
from yaoki.election.store import Endpoint, EtcdStore, LocalStore, StoreSpec
from yaoki.lb.service import Forward, ServiceKey, SourcePersistence, Tunnel
from yaoki.site.allocation import collector_paused
from yaoki.site.default_checks import DEFAULT_SCHEDULE, default_checks
from yaoki.site.model import (
    CheckDefinition,
    Election,
    Interface,
    Machine,
    Persistence,
    Server,
    Service,
    Site,
    StoreKind,
    StoreMember,
    SyncGroup,
    TrackedCheck,
    TrackedInterface,
    TrackedRoute,
    TrackedService,
    Vip,
    VipWhenDisabled,
)
from yaoki.site.node_plan import NodePlan, ServerPlan, ServicePlan, TrackedProbe, TrackPlan
from yaoki.site.peers import heartbeat_params
from yaoki.site.wires import wires_of
from yaoki.vrrp.params import Failback, InterfaceTrack, Quarantine, RouterKey, RouterParams, Transport
from yaoki.vrrp.standing import OWNER_PRIORITY
from yaoki.vrrp.virtual_mac import MacKind

# The kernel's own word about its own table needs no second asking.
ROUTE_SCHEDULE = Schedule(interval=timedelta(milliseconds=500), timeout=timedelta(milliseconds=250), fall=1, rise=1)


def compile_site(site: Site) -> dict[str, NodePlan]:
    """The plans of all nodes, by node."""
    generation = generation_of(site)
    with collector_paused():
        return {node.name: _NodeCompiler(site, node).compile(generation) for node in site.nodes}


def compile_node(site: Site, node: str) -> NodePlan:
    """The plan of one node of the site; equal to that in compile_site."""
    generation = generation_of(site)
    with collector_paused():
        return _NodeCompiler(site, site.machine(node)).compile(generation)


def owners(site: Site) -> dict[str, frozenset[IPInterface]]:
    """The addresses that each node may own: those of the routers in its plan."""
    return {
        node.name: frozenset(
            address
            for vip in site.vips
            if any(member.node == node.name for member in vip.members) and node.on_network(vip.network) is not None
            for address in vip.addresses
        )
        for node in site.nodes
    }


def server_address(site: Site, vip: str, host: str, family: Family) -> IPAddress | None:
    """The address under which a host is reached as a server behind a VIP: that on the VIP's network if it has one."""
    machine = site.machine(host)
    near = machine.on_network(site.vip(vip).network)
    candidates = (near, *machine.interfaces) if near is not None else machine.interfaces
    found = (interface.address(family) for interface in candidates)
    return next((address for address in found if address is not None), None)


def endpoint_address(site: Site, node: Machine, member: StoreMember) -> IPAddress | None:
    """The address under which a node reaches a member of the store: on a network that both are on if there is such."""
    if member.machine is None:
        return member.address
    machine = site.machine(member.machine)
    shared = [interface for interface in machine.interfaces if node.on_network(interface.network) is not None]
    addresses = (address.ip for interface in (*shared, *machine.interfaces) for address in interface.addresses)
    return next(addresses, None)


def generation_of(site: Site) -> str:
    """A digest of all that the site says; comments, order of sections and the notation of values do not matter."""
    return hashlib.sha256(repr(site).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Way:
    """How a node reaches a host for a VIP in one family; `number` tells addresses apart faster than they do."""

    address: IPAddress
    source: IPAddress | None
    number: int


@dataclass(frozen=True, slots=True)
class _Definition:
    """A check as it is for servers at one place; `name` tells it from others, which its own name may not."""

    check: CheckDefinition
    name: str


_WAY_BITS = 32
"""There are fewer ways than 2**32: a node's memory would not hold them."""


class _NodeCompiler:
    """Compiles one node; its checks gather here, one for each identity, under the name by which it was met first.

    A large node has 40,000 checks, and hashing addresses and parameters would cost more than all the rest: ways and
    parameters are found by names and kept, and checks are told apart by small numbers.
    """

    def __init__(self, site: Site, node: Machine) -> None:
        self._site = site
        self._node = node
        self._ways: dict[tuple[str, int], dict[str, _Way | None]] = {}
        self._way_numbers: dict[tuple[int, int, int], int] = {}
        self._params: dict[tuple[str, int], tuple[KindParams, int]] = {}
        self._params_numbers: dict[KindParams, int] = {}
        self._checks: dict[int, CheckSpec] = {}

    def compile(self, generation: str) -> NodePlan:
        site, node = self._site, self._node
        vips = [vip for vip in site.vips if any(member.node == node.name for member in vip.members)]
        here = {vip.name: interface for vip in vips if (interface := node.on_network(vip.network)) is not None}
        routers = [router for vip in vips if vip.name in here for router in self._routers(vip, here[vip.name])]
        services = [
            plan
            for service in site.services
            if service.vip in here
            for plan in self._service(service, here[service.vip])
        ]
        tracks = [track for router in routers for track in self._tracks(router)]
        return NodePlan(
            site=site.name,
            node=node.name,
            generation=generation,
            routers=tuple(routers),
            services=tuple(services),
            checks=tuple(self._checks.values()),
            tracks=tuple(tracks),
            hooks=tuple(hook for hook in site.hooks if not hook.nodes or node.name in hook.nodes),
            wires=wires_of(site, routers, node.name),
            heartbeat=heartbeat_params(site, node, generation),
            data_checks=tuple(vip.data_check for vip in vips if vip.data_check and vip.stateful),
            withdrawable=tuple(vip.name for vip in vips if vip.when_disabled is VipWhenDisabled.WITHDRAW),
            store=self._store() if any(router.lease is not None for router in routers) else None,
        )

    def _routers(self, vip: Vip, interface: Interface) -> Iterable[RouterParams]:
        priority = next(member.priority for member in vip.members if member.node == self._node.name)
        others = tuple(member.priority for member in vip.members if member.node != self._node.name)
        unicast = vip.transport is Transport.UNICAST
        group = self._site.sync_group_of(vip.name)
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
                    failback_delay=vip.failback_delay,
                    startup_delay=vip.startup_delay,
                    out_of_step=vip.out_of_step,
                    # To the group, IPv6 adverts come from the link-local address, which only the kernel knows.
                    source=interface.address(family) if family is Family.IPV4 or unicast else None,
                    checksum=vip.checksum,
                    peers=self._peers(vip, interface, family) if unicast else None,
                    tracks=tuple(
                        InterfaceTrack(track.tracked.name, track.weight, track.reverse)
                        for track in vip.track
                        if isinstance(track.tracked, TrackedInterface)
                    ),
                    # Of peers that are no nodes of the site no priority is known.
                    others=None if vip.peers else others,
                    lease=_lease(vip, group),
                    accept=vip.accept,
                    virtual_mac=vip.mac is MacKind.VIRTUAL,
                    authentication=vip.authentication,
                    quarantine=_quarantine_of(vip, priority),
                    group=None if group is None else group.name,
                )

    def _peers(self, vip: Vip, own: Interface, family: Family) -> tuple[IPAddress, ...]:
        """Where unicast advertisements go: the other members' own addresses on the VIP's network, then the peers'."""
        interfaces = (self._site.machine(member.node).on_network(vip.network) for member in vip.members)
        members = (None if interface is None else interface.address(family) for interface in interfaces)
        ours = {address.ip for address in own.addresses}
        wanted = [peer for peer in (*members, *vip.peers) if peer is not None and Family.of(peer) is family]
        return tuple(dict.fromkeys(peer for peer in wanted if peer not in ours))

    def _tracks(self, router: RouterParams) -> Iterable[TrackPlan]:
        """What the Brain tracks for a router; its interfaces are in its parameters."""
        for track in self._site.vip(router.vip).track:
            match track.tracked:
                case TrackedService():
                    yield TrackPlan(router.key, track.tracked, track.weight, track.reverse)
                case TrackedCheck():
                    probe = TrackedProbe(self._tracked_check(router, track.tracked), str(track.tracked))
                    yield TrackPlan(router.key, probe, track.weight, track.reverse)
                case TrackedRoute():
                    probe = TrackedProbe(self._tracked_route(track.tracked), str(track.tracked))
                    yield TrackPlan(router.key, probe, track.weight, track.reverse)
                case TrackedInterface():
                    pass
                case _:
                    assert_never(track.tracked)

    def _tracked_check(self, router: RouterParams, tracked: TrackedCheck) -> CheckId:
        """The check of a machine in the router's family, or in the other if it has no address of that."""
        definition = self._site.check(tracked.check)
        way: _Way | None
        if isinstance(tracked.target, str):
            families = (router.key.family, *(family for family in Family if family is not router.key.family))
            ways = (self._way(tracked.target, router.vip, family) for family in families)
            way = next((found for found in ways if found is not None), None)
            assert way is not None, "lint refuses a target without an address"
        else:
            way = self._way_to(tracked.target, router.vip)
        return self._check(_named(definition), str(tracked.target), 0, way)

    def _tracked_route(self, tracked: TrackedRoute) -> CheckId:
        address = first_host(tracked.prefix)
        told_by = (address.version, int(address), 0)
        way = _Way(address, None, self._way_numbers.setdefault(told_by, len(self._way_numbers)))
        definition = CheckDefinition(str(tracked), RouteParams(tracked.prefix.prefixlen), ROUTE_SCHEDULE)
        return self._check(_named(definition), self._node.name, 0, way)

    def _store(self) -> StoreSpec | None:
        store = self._site.store
        if store is None:
            return None
        if store.kind is StoreKind.IN_PROCESS:
            return LocalStore()
        found = [(endpoint_address(self._site, self._node, member), member.port) for member in store.members]
        endpoints = tuple(
            Endpoint(str(address), port, tls=store.ca is not None) for address, port in found if address is not None
        )
        names = {name: secret.name for name in ("ca", "certificate", "key") if (secret := getattr(store, name))}
        # The keys of a witness are told from those of an etcd that takes its place at the same address.
        keeper = "witness" if store.kind is StoreKind.WITNESS else "yaoki"
        return EtcdStore(endpoints, prefix=f"{keeper}/{self._site.name}/", **names)

    def _service(self, service: Service, interface: Interface) -> Iterable[ServicePlan]:
        usual = default_checks(service)
        checks = tuple(self._site.check(name) for name in service.checks) or usual
        sorry_checks = tuple(self._site.check(name) for name in service.sorry_checks) or usual
        for vip_address in self._site.vip(service.vip).addresses:
            if vip_address.ip.is_link_local:
                # It is there for neighbours on the link only; no client asks a link-local address for a service.
                continue
            family = Family.of(vip_address)
            place = (vip_address.ip, interface.name)
            checks_here = tuple(_named(_at(check, *place)) for check in checks)
            sorry_here = tuple(_named(_at(check, *place)) for check in sorry_checks)
            ways = self._ways.setdefault((service.vip, vip_address.version), {})
            servers = []
            for server in service.recipients:
                if server.host not in ways:
                    ways[server.host] = self._way(server.host, service.vip, family)
                if (way := ways[server.host]) is not None:
                    definitions = sorry_here if server is service.sorry else checks_here
                    servers.append(self._server(service, server, way, definitions))
            yield ServicePlan(
                name=service.name,
                vip=service.vip,
                key=ServiceKey(vip_address.ip, service.protocol, service.port),
                interface=interface.name,
                scheduler=service.scheduler,
                servers=tuple(servers),
                persistence=_persistence(service.persistence, family),
                when_all_down=service.when_all_down,
                slow_start=service.slow_start,
                panic_threshold=service.panic_threshold,
                enabled=service.enabled,
                copied=self._copied(service, servers),
                plane=service.plane or self._site.plane,
                idle_timeout=service.idle_timeout,
                arp_leak=service.arp_leak,
                when_disabled=service.when_disabled,
            )

    def _copied(self, service: Service, servers: list[ServerPlan]) -> bool:
        shared = len(self._site.vip(service.vip).members) > 1
        return service.copy_flows and shared and any(server.forward is not Forward.FULLNAT for server in servers)

    def _server(self, service: Service, server: Server, way: _Way, definitions: tuple[_Definition, ...]) -> ServerPlan:
        port = service.port if server.port is None else server.port
        forward = service.forward if server.forward is None else server.forward
        tunnel = service.tunnel if forward is Forward.TUNNEL else None
        return ServerPlan(
            name=server.host,
            address=way.address,
            port=port,
            forward=forward,
            weight=server.weight,
            checks=tuple([self._check(_inside(one, tunnel), server.host, port, way) for one in definitions]),
            source=way.source if forward is Forward.FULLNAT else None,
            priority=server.priority,
            sorry=server is service.sorry,
            limit=server.connection_limit,
            tunnel=tunnel,
        )

    def _way(self, host: str, vip: str, family: Family) -> _Way | None:
        """The way to a host in one family; None if it has no address there."""
        address = server_address(self._site, vip, host, family)
        return None if address is None else self._way_to(address, vip)

    def _way_to(self, address: IPAddress, vip: str) -> _Way:
        return self._way_from(self._own_address(vip, address), address)

    def _way_from(self, source: IPAddress | None, address: IPAddress) -> _Way:
        told_by = (address.version, int(address), 0 if source is None else int(source))
        return _Way(address, source, self._way_numbers.setdefault(told_by, len(self._way_numbers)))

    def _own_address(self, vip: str, target: IPAddress) -> IPAddress | None:
        """The node's own address, never a VIP, from which a server sees it: on-link if there is such, else that on
        the VIP's network."""
        for interface in self._node.interfaces:
            for own in interface.addresses:
                if target in own.network:
                    return own.ip
        near = self._node.on_network(self._site.vip(vip).network)
        return None if near is None else near.address(Family.of(target))

    def _check(self, definition: _Definition, host: str, port: int, way: _Way) -> CheckId:
        """The identity of a check of one server. Of equal checks the first that the file names decides on schedule and
        name; the default check gives way to it."""
        check = definition.check
        if check.source is not None and (near := self._node.on_network(check.source)) is not None:
            way = self._way_from(near.address(Family.of(way.address)) or way.source, way.address)
        known = self._params.get((definition.name, port))
        if known is None:
            params = with_port(check.params, port)
            number = self._params_numbers.setdefault(params, len(self._params_numbers))
            known = self._params[definition.name, port] = (params, number)
        key = known[1] << _WAY_BITS | way.number
        spec = self._checks.get(key)
        if spec is None:
            identity = CheckId(way.address, known[0], way.source)
            spec = self._checks[key] = CheckSpec(identity, check.schedule, f"{check.name} on {host}")
        elif spec.schedule is DEFAULT_SCHEDULE and check.schedule is not DEFAULT_SCHEDULE:
            self._checks[key] = CheckSpec(spec.id, check.schedule, f"{check.name} on {host}")
        return spec.id


def _named(check: CheckDefinition) -> _Definition:
    name, params = check.name, check.params
    if check.schedule is DEFAULT_SCHEDULE:
        # A file may give its name to a check of another kind; a name there has no blank.
        name = f"the usual {name}"
    if isinstance(params, DirectParams):
        # One definition has other parameters at each address.
        name = f"{name} to {params.vip} on {params.interface} in {params.tunnel}"
    return _Definition(check, name)


def _at(definition: CheckDefinition, vip: IPAddress, interface: str) -> CheckDefinition:
    """A definition as it is for servers behind one address of a VIP."""
    if not isinstance(definition.params, DirectParams):
        return definition
    return replace(definition, params=replace(definition.params, vip=vip, interface=interface))


def _inside(definition: _Definition, tunnel: Tunnel | None) -> _Definition:
    """A definition as it is for a server behind a tunnel."""
    check = definition.check
    if tunnel is None or not isinstance(check.params, DirectParams):
        return definition
    return _named(replace(check, params=replace(check.params, tunnel=tunnel)))


def _quarantine_of(vip: Vip, priority: int) -> Quarantine:
    """None where the file says that it fails back by itself: by `failback`, or by priority 255 (RFC 9568 6.1)."""
    if not vip.stateful or vip.failback is Failback.PREFER or priority == OWNER_PRIORITY:
        return Quarantine.NONE
    return vip.quarantine


def _lease(vip: Vip, group: SyncGroup | None) -> LeaseParams | None:
    """One lease for both families of a VIP, and for all VIPs of a sync group; no VIP has a name with a slash in it."""
    key = vip.name if group is None else f"group/{group.name}"
    return LeaseParams.usual(key, vip.lease_duration) if vip.election is Election.LEASE else None


def _persistence(persistence: Persistence | None, family: Family) -> SourcePersistence | None:
    if persistence is None:
        return None
    length = persistence.ipv4_mask if family is Family.IPV4 else persistence.ipv6_mask
    return SourcePersistence(length, persistence.timeout)


def with_port(params: KindParams, port: int) -> KindParams:
    """The parameters with the server's port in the place of 0."""
    match params:
        case TcpParams() | UdpParams() | TlsParams() | HttpParams() | DirectParams():
            return replace(params, port=port) if params.port == 0 else params
        case IcmpParams() | NeighbourParams() | ScriptParams() | RouteParams():
            return params
