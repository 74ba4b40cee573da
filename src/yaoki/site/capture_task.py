"""What is to be recorded of a virtual service, and who is who around it, taken from the site."""

from collections.abc import Iterable
from dataclasses import dataclass

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import UsageError
from yaoki.lb.capture.scene import Party, Role, Scene
from yaoki.lb.service import Forward, ServiceKey
from yaoki.site.compile import server_address
from yaoki.site.model import Machine, Service, Site
from yaoki.vrrp.virtual_mac import virtual_mac


@dataclass(frozen=True, slots=True)
class CaptureTask:
    """`interfaces` are those of the machines to be recorded, by machine. `names` tell whose an address is."""

    scene: Scene
    interfaces: tuple[tuple[str, tuple[str, ...]], ...]
    names: tuple[tuple[IPAddress, str], ...]

    @property
    def places(self) -> tuple[tuple[IPAddress, int], ...]:
        """Addresses and ports of which one must be in a packet's source or destination."""
        vips = [(key.address, key.port) for key in self.scene.keys]
        return (*vips, *(place for server in self.scene.servers for place in server.places))

    @property
    def ends(self) -> tuple[IPAddress, ...]:
        """Where the service's packets come out of others."""
        return tuple(end for server in self.scene.servers for end in server.ends)

    @property
    def protocol(self) -> int:
        """The number of the service's protocol."""
        return self.scene.keys[0].protocol.number


def capture_task(site: Site, service: str, machines: Iterable[str]) -> CaptureTask:
    """The task of recording a service on these machines of the site, in the order given. Raises UsageError."""
    wanted = site.service(service)
    vip = site.vip(wanted.vip)
    addresses = tuple(address.ip for address in vip.addresses if not address.is_link_local)
    keys = tuple(ServiceKey(address, wanted.protocol, wanted.port) for address in addresses)
    members = [site.machine(member.node) for member in vip.members]
    own = frozenset(one.ip for member in members for interface in member.interfaces for one in interface.addresses)
    scene = Scene(service, vip.name, keys, tuple(_parties(site, wanted, addresses)), own, wanted.tunnel)
    # What goes through a tunnel leaves by whatever interface leads to the server.
    network = None if any(party.ends for party in scene.parties) else vip.network
    names = [
        (address.ip, machine.name) for machine in site.machines for i in machine.interfaces for address in i.addresses
    ]
    return CaptureTask(
        scene,
        tuple((name, _interfaces(site.machine(name), network)) for name in dict.fromkeys(machines)),
        (*((address, vip.name) for address in addresses), *names),
    )


def recorded_by_default(site: Site, service: str) -> tuple[str, ...]:
    """The machines between which a service's packets go: the VIP's members and the servers."""
    wanted = site.service(service)
    members = (member.node for member in site.vip(wanted.vip).members)
    return tuple(dict.fromkeys([*members, *(server.host for server in wanted.recipients)]))


def _parties(site: Site, service: Service, vips: tuple[IPAddress, ...]) -> Iterable[Party]:
    """Members of the VIP, the VIP itself, servers, and the rest of the site's machines, in this order."""
    vip = site.vip(service.vip)
    members = tuple(member.node for member in vip.members)
    yield from (Party(name, Role.BALANCER) for name in members)
    # RFC 9568 7.3: the MAC of whoever owns the VIP, if it is at a virtual one.
    yield Party(vip.name, Role.BALANCER, tuple(virtual_mac(family, vip.vrid) for family in Family))
    for server in service.recipients:
        forward = server.forward or service.forward
        port = service.port if server.port is None else server.port
        families = {Family.of(address) for address in vips}
        found = (server_address(site, service.vip, server.host, family) for family in Family if family in families)
        own = tuple(address for address in found if address is not None)
        places = () if forward.returns_directly else tuple((address, port) for address in own)
        ends = own if forward is Forward.TUNNEL else ()
        if server.host not in members:
            yield Party(server.host, Role.SERVER, (), places, forward, ends)
    known = {*members, *(server.host for server in service.recipients)}
    yield from (Party(machine.name, Role.OTHER) for machine in site.machines if machine.name not in known)


def _interfaces(machine: Machine, network: str | None) -> tuple[str, ...]:
    """Those on a network; all of them without one, or of a machine that is not there."""
    near = tuple(interface.name for interface in machine.interfaces if interface.network == network)
    found = near or tuple(interface.name for interface in machine.interfaces)
    if not found:
        raise UsageError(f"{machine.name} has no interface in the site file to record on")
    return found
