"""virtual_servers of all nodes as services, their real servers as hosts, their checkers as checks.

A service listens on all addresses of its VIP, and its servers share their checks; where keepalived's file says
something else, that is remarked on.
"""

from dataclasses import dataclass, field, replace

from yaoki.checks.check import HttpParams, TcpParams, TlsParams, UdpParams
from yaoki.core.address import IPAddress
from yaoki.lb.service import Forward, Protocol, Tunnel
from yaoki.lb.validity import mixture
from yaoki.site.foreign.keepalived.configuration import Check, Configuration, RealServer, VirtualServer
from yaoki.site.foreign.keepalived.named_checks import NamedChecks
from yaoki.site.foreign.keepalived.naming import Names, name_of
from yaoki.site.foreign.keepalived.networks import Networks
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.vips import JoinedVip

_SCALE = 1_000
_HIGHEST = 254
_MOST_SCALED = 65
"""Weights up to this are multiplied, so that slow start has steps to go."""


@dataclass(slots=True)
class JoinedHost:
    """A real server as a machine; `gateway` is the VIP that its answers go back through, if it must be one."""

    name: str
    address: IPAddress
    gateway: str | None = None
    needs_gateway: bool = False


@dataclass(slots=True)
class JoinedService:
    """A service, its servers by host with keepalived's own values, and the names of its checks."""

    name: str
    vip: JoinedVip
    lead: VirtualServer
    servers: dict[str, RealServer] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    sorry: tuple[str, RealServer] | None = None
    """The host that says sorry, and what keepalived says of it."""

    @property
    def tunnel(self) -> Tunnel | None:
        """What packets to those of its servers go inside that are behind tunnels."""
        servers = (*self.servers.values(), *(() if self.sorry is None else (self.sorry[1],)))
        return next((server.tunnel for server in servers if server.tunnel is not None), None)

    def priority(self, server: RealServer) -> int | None:
        """The priority of a server, where the one of the greatest weight gets all; None elsewhere. Weights that could
        be priorities are."""
        if not self.lead.failover:
            return None
        weights = sorted({one.weight for one in self.servers.values()}, reverse=True)
        if all(0 <= weight <= _HIGHEST for weight in weights):
            return max(1, server.weight)
        return max(1, _HIGHEST - weights.index(server.weight))

    def weight(self, server: RealServer) -> int:
        """The weight of a server here, in the proportion of keepalived's weights."""
        if self.lead.failover:
            return _SCALE if server.weight else 0
        small = all(one.weight <= _MOST_SCALED for one in self.servers.values())
        return server.weight * _SCALE if small else server.weight


class ServiceJoiner:
    """Makes services, hosts and checks."""

    def __init__(
        self, vips: tuple[JoinedVip, ...], networks: Networks, names: Names, checks: NamedChecks, report: Report
    ) -> None:
        self._vips = vips
        self._networks = networks
        self._names = names
        self._report = report
        self._own_names = Names()
        self._checks = checks
        self._nodes_own: dict[IPAddress, str] = {}
        self.hosts: dict[IPAddress, JoinedHost] = {}
        self._services: dict[tuple[str, Protocol, int], JoinedService] = {}

    def join(self, configurations: tuple[Configuration, ...], own: dict[IPAddress, str]) -> tuple[JoinedService, ...]:
        """The services of all nodes. `own`: the nodes' own addresses, which are no hosts."""
        self._nodes_own = own
        for node in configurations:
            for server in node.servers:
                self._take(server)
        return tuple(self._services.values())

    def _take(self, server: VirtualServer) -> None:
        vip = next((vip for vip in self._vips if server.address in vip.addresses), None)
        if vip is None:
            why = f"no VIP has {server.address}: a service stands on an address that a vrrp_instance moves"
            self._report.whole_not_taken(server.source, why)
            return
        key = (vip.name, server.protocol, server.port)
        held = self._services.get(key)
        if held is not None:
            self._join(held, server)
            return
        name = self._own_names.give(server.name or f"{vip.name}-{server.protocol.value}-{server.port}", "service")
        made = JoinedService(name, vip, server)
        self._add_servers(made, server)
        if not made.servers:
            self._report.whole_not_taken(server.source, "none of its real servers can be a server here")
            return
        made.checks = self._named_checks(made)
        self._services[key] = made
        others = [str(one) for one in vip.addresses if one != server.address]
        if others:
            self._report.changed(server.source, f"the service {name}; it listens on {', '.join(others)} as well")
        else:
            self._report.taken(server.source, f"the service {name}")

    def _join(self, held: JoinedService, server: VirtualServer) -> None:
        """A virtual server on a VIP and port that has a service: another node's, or one on another address."""
        if server.address.version != held.lead.address.version:
            self._add_servers(held, server)
            self._report.taken(server.source, f"servers of the service {held.name}")
        elif _sayings(server) == _sayings(held.lead):
            self._report.taken(server.source, f"the service {held.name}")
        elif server.address == held.lead.address:
            self._report.changed(server.source, f"the service {held.name} as {held.lead.source.where} has it")
        else:
            why = f"the service {held.name} listens on all addresses of {held.vip.name}; give this one a VIP of its own"
            self._report.whole_not_taken(server.source, why)

    def _add_servers(self, service: JoinedService, virtual: VirtualServer) -> None:
        for server in virtual.servers:
            why = self._objection(service, virtual, server)
            if why is not None:
                self._report.whole_not_taken(server.source, why)
                continue
            if server.forward.returns_directly and server.port not in (0, virtual.port):
                self._report.changed(server.source, "a server; direct return leaves the port as it is")
                server = replace(server, port=virtual.port)  # noqa: PLW2901 - the same server, mended
            if server.forward is Forward.NAT and not server.checks:
                self._report.changed(server.source, "a server; it has no checker, and is checked by a connection here")
            service.servers[self._host(server.address).name] = server
        self._add_sorry(service, virtual)

    def _add_sorry(self, service: JoinedService, virtual: VirtualServer) -> None:
        sorry = virtual.sorry
        if sorry is None or not service.servers:
            return
        why = self._objection(service, virtual, sorry)
        if service.sorry is not None:
            why = "a service has one server that says sorry"
        elif sorry.forward.returns_directly and sorry.port not in (0, virtual.port):
            why = "direct return leaves the port as it is"
        if why is not None:
            self._report.not_taken(sorry.source, why)
            return
        service.sorry = (self._host(sorry.address).name, sorry)

    def _objection(self, service: JoinedService, virtual: VirtualServer, server: RealServer) -> str | None:
        """Why a real server cannot be a server of a service."""
        if server.address in self._nodes_own:
            return f"{server.address} is the node {self._nodes_own[server.address]}, and a server is a host"
        if any(server.address in vip.addresses for vip in self._vips):
            return f"{server.address} is a VIP"
        if server.address.is_link_local or not self._networks.allows(server.address):
            return f"{server.address} cannot be a server's"
        host = self.hosts.get(server.address)
        if host is not None and host.name in service.servers:
            return f"{server.address} is a server of it already, and a service has one port of a host"
        methods = [one.forward for one in service.servers.values()] or [virtual.forward]
        if (mixed := mixture((*methods, server.forward))) is not None and service.servers:
            return mixed
        if server.tunnel is not None and service.tunnel not in (None, server.tunnel):
            return f"its packets go inside {server.tunnel}, and those of the service inside {service.tunnel}"
        network = next((lan for lan in self._networks.all if lan.holds(server.address)), None)
        if server.forward is Forward.DIRECT and network not in (None, service.vip.lan):
            return f"{server.address} is not on the VIP's network, and direct return reaches no further"
        beside = service.vip.lan if server.forward is Forward.DIRECT else None
        if not self._networks.place_server(server.address, beside):
            return f"the prefix of {server.address} is not told, and /24 around it holds another network"
        return None

    def _host(self, address: IPAddress) -> JoinedHost:
        if address not in self.hosts:
            self.hosts[address] = JoinedHost(self._names.give(name_of(address, "server"), "server"), address)
        return self.hosts[address]

    # --- checks ---

    def _named_checks(self, service: JoinedService) -> tuple[str, ...]:
        first, *rest = service.servers.values()
        for server in rest:
            if _checking(server) != _checking(first):
                why = "servers of a service share their checks; those of its first server are taken"
                for check in server.checks:
                    self._report.not_taken(check.source, why)
        return tuple(dict.fromkeys(self._check_name(check, first) for check in first.checks))

    def _check_name(self, check: Check, server: RealServer) -> str:
        return self._checks.name(_of_any_server(check, server), check.source.keyword.lower().removesuffix("_check"))


def _of_any_server(check: Check, server: RealServer) -> Check:
    """The check with port 0 where its port is the server's own."""
    match check.params:
        case TcpParams() | UdpParams() | TlsParams() | HttpParams() if check.params.port == server.port:
            return replace(check, params=replace(check.params, port=0))
        case _:
            return check


def _checking(server: RealServer) -> tuple[object, ...]:
    checks = (_of_any_server(check, server) for check in server.checks)
    return tuple((check.params, check.schedule) for check in checks)


def _sayings(server: VirtualServer) -> tuple[object, ...]:
    """What a virtual server says, but for where it listens and where it was written."""
    servers = tuple(
        (one.address, one.port, one.weight, one.limit, one.forward, one.tunnel, _checking(one))
        for one in server.servers
    )
    last = server.sorry
    sorry = None if last is None else (last.address, last.port, last.forward, last.tunnel)
    return server.scheduler, server.failover, server.forward, server.persistence, server.mask, servers, sorry
