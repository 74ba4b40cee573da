"""The site as rules look at it: who is where, and which way packets take. Answers are kept: large sites ask often."""

from functools import cached_property

from yaoki.core.address import Family, IPAddress
from yaoki.lb.service import Forward
from yaoki.site.compile import server_address
from yaoki.site.model import CheckDefinition, Machine, Server, Service, Site, Vip
from yaoki.site.source_map import Path


class View:
    """Questions about one site. Everything asked for by name exists: the loader has seen to that."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._addresses: dict[tuple[str, str, Family], IPAddress | None] = {}

    @cached_property
    def networks_of(self) -> dict[str, frozenset[str]]:
        """The networks that each machine is plugged into."""
        return {
            machine.name: frozenset(interface.network for interface in machine.interfaces)
            for machine in self.site.machines
        }

    @cached_property
    def clients_on(self) -> dict[str, Machine]:
        """For each network with a client on it, the first such client."""
        found: dict[str, Machine] = {}
        for machine in self.site.hosts:
            if "client" in machine.plays:
                for interface in machine.interfaces:
                    found.setdefault(interface.network, machine)
        return found

    @cached_property
    def near_networks(self) -> dict[str, frozenset[str]]:
        """For each VIP, the networks that every one of its members is plugged into."""
        return {
            vip.name: frozenset.intersection(*(self.networks_of[member.node] for member in vip.members))
            for vip in self.site.vips
        }

    def address_of(self, service: Service, server: Server, family: Family) -> IPAddress | None:
        """The address under which a server is reached, as it is compiled."""
        key = (service.vip, server.host, family)
        if key not in self._addresses:
            self._addresses[key] = server_address(self.site, service.vip, server.host, family)
        return self._addresses[key]

    def gateway_of(self, machine: Machine, network: str) -> str | None:
        """The name of the machine's way out of a network: its own gateway, or else the network's."""
        return machine.gateway if machine.gateway is not None else self.site.network(network).gateway

    def forward_of(self, service: Service, server: Server) -> Forward:
        return service.forward if server.forward is None else server.forward

    def port_of(self, service: Service, server: Server) -> int:
        return service.port if server.port is None else server.port

    def checks_of(self, service: Service) -> tuple[CheckDefinition, ...]:
        """The checks that a service names; not the default one."""
        return tuple(self.site.check(name) for name in service.checks)

    def is_on_link(self, service: Service, server: Server) -> bool:
        """Whether every member of the service's VIP reaches the server without a router."""
        return bool(self.networks_of[server.host] & self.near_networks[service.vip])

    def vips_on_the_way(self, service: Service, server: Server) -> tuple[Vip, ...]:
        """The VIPs that a probe of the server or its answer passes: gateways between it and the balancer, if any."""
        if self.is_on_link(service, server):
            return ()
        host = self.site.machine(server.host)
        ends = (host, *(self.site.machine(member.node) for member in self.site.vip(service.vip).members))
        found: dict[str, Vip] = {}
        for end in ends:
            for interface in end.interfaces:
                gateway = self.gateway_of(end, interface.network)
                if gateway is not None and self.site.has_vip(gateway):
                    vip = self.site.vip(gateway)
                    # Who may own a VIP does not send through it.
                    if end.name not in {member.node for member in vip.members}:
                        found[gateway] = vip
        return tuple(found.values())


def section_of(machine: Machine) -> str:
    """The section of the file that a machine stands in."""
    return "nodes" if machine.is_node else "hosts"


def server_path(service: Service, server: Server, *rest: str) -> Path:
    """Where a service names a server, or the one that says sorry."""
    if server is service.sorry:
        return ("services", service.name, "when-all-down", *(rest or ("sorry",)))
    return ("services", service.name, "servers", server.host, *rest)


def families_of(vip: Vip) -> tuple[Family, ...]:
    """The families in which a VIP has an address, IPv4 first."""
    held = {Family.of(address) for address in vip.addresses}
    return tuple(family for family in Family if family in held)
