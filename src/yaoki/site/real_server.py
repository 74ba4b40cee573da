"""What has to be set up on a real server, taken from the site."""

from collections.abc import Iterable

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import UsageError
from yaoki.lb.realserver import OperatingSystem, RealServerTask
from yaoki.lb.service import Forward
from yaoki.site.compile import server_address
from yaoki.site.model import Machine, Service, Site, Vip

LOOPBACK = "Loopback"
"""What a Windows loopback adapter is called unless the site file says otherwise."""


def served_directly(site: Site, host: str) -> tuple[Service, ...]:
    """The services that a host serves by direct return."""
    return tuple(
        service
        for service in site.services
        for server in service.recipients
        if server.host == host and (server.forward or service.forward).returns_directly
    )


def real_server_task(site: Site, service: str, host: str, os: OperatingSystem | None = None) -> RealServerTask:
    """The task of one service on one of its servers; `os` takes the place of the site file's. Raises UsageError."""
    wanted, machine = site.service(service), site.machine(host)
    direct = served_directly(site, host)
    if wanted not in direct:
        raise UsageError(
            f"{host} does not serve {service} by direct return: there is nothing to set up on it "
            "(forward: direct, at the service or at its server, would ask for it)"
        )
    system = os or machine.os
    if system is None:
        systems = ", ".join(one.value for one in OperatingSystem)
        raise UsageError(f"what does {host} run? Write os: at hosts: {host}, or --os with one of {systems}")
    vip = site.vip(wanted.vip)
    tunnel = wanted.tunnel if _forward_of(wanted, host) is Forward.TUNNEL else None
    if tunnel is not None and not system.is_linux:
        raise UsageError(
            f"the end of a tunnel is set up on Linux only, and {host} runs {system.value}: plug it into {vip.network} "
            "and forward by direct, or forward by nat or fullnat"
        )
    interface = machine.on_network(vip.network) or machine.interfaces[0]
    called = interface.alias if system.is_windows else interface.name
    if called is None:
        raise UsageError(
            f"what does {host} call its interface {interface.name}? Windows has a name of its own for it (netsh "
            f"interface show interface): write alias: at hosts: {host}: interfaces: {interface.name}"
        )
    others = tuple(one for one in direct if one.name != service)
    own = tuple(address.ip for address in interface.addresses)
    if tunnel is not None:
        found = (server_address(site, vip.name, host, Family.of(address)) for address in vip.addresses)
        own = tuple(dict.fromkeys(address for address in found if address is not None))
    return RealServerTask(
        service=service,
        server=host,
        os=system,
        vips=tuple(
            address
            for address in vip.addresses
            if not address.is_link_local and (tunnel is None or address.version in {one.version for one in own})
        ),
        own=own,
        interface=called,
        loopback=machine.loopback or LOOPBACK,
        protocol=wanted.protocol,
        port=wanted.port,
        neighbour=_neighbour(site, vip.members[0].node, vip.network),
        others=tuple(one.name for one in others),
        after=tuple(one.name for one in direct[: direct.index(wanted)]),
        tunnel=tunnel,
        balancers=() if tunnel is None else tuple(_balancers(site, vip)),
        tunnel_kept=any(_forward_of(one, host) is Forward.TUNNEL for one in others),
        kept=tuple(dict.fromkeys(address.ip for one in others for address in site.vip(one.vip).addresses)),
    )


def _forward_of(service: Service, host: str) -> Forward:
    found = (server.forward for server in service.recipients if server.host == host)
    return next(found, None) or service.forward


def _balancers(site: Site, vip: Vip) -> Iterable[IPAddress]:
    """The nodes' own addresses beside the VIP, from which tunnels come."""
    for member in vip.members:
        interface = site.machine(member.node).on_network(vip.network)
        yield from () if interface is None else (address.ip for address in interface.addresses)


def _neighbour(site: Site, node: str, network: str) -> tuple[str, str]:
    """A node beside the server and its interface there."""
    machine: Machine = site.machine(node)
    interface = machine.on_network(network) or machine.interfaces[0]
    return node, interface.name
