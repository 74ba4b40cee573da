"""What remains of a site after objects with problems were left out: only objects whose references still hold.

So that the rules which find clashes between existing objects can run on a file that has other mistakes as well.
"""

from collections.abc import Iterable
from dataclasses import replace

from yaoki.site.model import Machine, Service, Site, TrackedCheck, Vip


def without_dangling(site: Site) -> Site:
    """The largest part of a site in which every name means something."""
    while True:
        smaller = _sweep(site)
        if _size(smaller) == _size(site):
            return smaller
        site = smaller


def _size(site: Site) -> int:
    parts = (site.networks, site.machines, site.checks, site.vips, site.services, site.sync_groups)
    return sum(len(group) for group in parts)


def _sweep(site: Site) -> Site:
    networks, nodes = _names(site.networks), _names(site.nodes)
    checks, vips, services = _names(site.checks), _names(site.vips), _names(site.services)
    machines = _names(site.machines)
    gateways = machines | vips

    def vip_holds(vip: Vip) -> bool:
        members = all(member.node in nodes for member in vip.members)
        tracked = all(name in services for _, name, _ in vip.tracked_services)
        probes = [track.tracked for track in vip.track if isinstance(track.tracked, TrackedCheck)]
        probed = all(p.check in checks and (not isinstance(p.target, str) or p.target in machines) for p in probes)
        return vip.network in networks and members and tracked and probed

    def service_holds(service: Service) -> bool:
        servers = all(server.host in machines for server in service.recipients)
        return (
            service.vip in vips and servers and all(name in checks for name in (*service.checks, *service.sorry_checks))
        )

    def machine_holds(machine: Machine) -> bool:
        return all(interface.network in networks for interface in machine.interfaces)

    def known(gateway: str | None) -> str | None:
        return gateway if gateway in gateways else None

    store = site.store
    if store is not None and any(member.machine not in machines | {None} for member in store.members):
        store = None
    return replace(
        site,
        store=store,
        sync_groups=tuple(group for group in site.sync_groups if set(group.vips) <= vips),
        networks=tuple(replace(network, gateway=known(network.gateway)) for network in site.networks),
        machines=tuple(replace(m, gateway=known(m.gateway)) for m in site.machines if machine_holds(m)),
        vips=tuple(vip for vip in site.vips if vip_holds(vip)),
        services=tuple(service for service in site.services if service_holds(service)),
    )


def _names(items: Iterable[object]) -> frozenset[str]:
    return frozenset(str(getattr(item, "name", "")) for item in items)
