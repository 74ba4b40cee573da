"""Checks: whether they look at what they should, and whether two of them contradict each other."""

from collections.abc import Iterable

from yaoki.checks.check import DirectParams, HttpParams, IcmpParams, KindParams, NeighbourParams, Schedule
from yaoki.core.address import Family
from yaoki.core.event import Severity
from yaoki.lb.service import Protocol
from yaoki.site.compile import with_port as with_port_of
from yaoki.site.default_checks import is_direct
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, families_of, server_path
from yaoki.site.model import Server, Service, TrackedCheck

HTTP_PORTS = frozenset({80, 443, 8000, 8008, 8080, 8081, 8443, 8888})


def _icmp_only(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        checks = view.checks_of(service)
        if service.protocol is not Protocol.TCP or not checks:
            continue
        if all(isinstance(check.params, IcmpParams | NeighbourParams) for check in checks):
            http = _speaks_http(view, service)
            speaks = "HTTP" if http else "TCP"
            what = (
                f"{service.name} speaks {speaks}, but its only check asks whether the machine answers, not the service"
            )
            cure = "add an http check" if http else "add a tcp check"
            other = ("checks", checks[0].name, "kind")
            yield Finding(("services", service.name, "check"), what, cure, other)


def _speaks_http(view: View, service: Service) -> bool:
    ports = {service.port, *(view.port_of(service, server) for server in service.servers)}
    return bool(ports & HTTP_PORTS) or any("nginx" in view.site.machine(s.host).plays for s in service.servers)


def _check_clash(view: View) -> Iterable[Finding]:
    """Equal probes of one server are made once, so two schedules for them cannot both hold."""
    held: dict[tuple[str, KindParams, str | None], tuple[str, Schedule, str]] = {}
    told: set[tuple[str, str]] = set()
    suspects = _kinds_with_several_schedules(view)
    for service in view.site.services:
        for check in view.checks_of(service):
            # Of direct checks each service has its own: they ask for its VIP.
            if type(check.params) not in suspects or isinstance(check.params, DirectParams):
                continue
            for server in service.servers:
                params = with_port_of(check.params, view.port_of(service, server))
                mine = (check.name, check.schedule, service.name)
                first = held.setdefault((server.host, params, check.source), mine)
                if first[1] != check.schedule and (first[0], check.name) not in told:
                    told.add((first[0], check.name))
                    what = f"{check.name} probes {server.host} as {first[0]} does for {first[2]}, at another pace"
                    cure = f"use one check for both; as it is, the schedule of {first[0]} holds"
                    yield Finding(server_path(service, server), what, cure, server_path_named(first[2], server.host))


def _kinds_with_several_schedules(view: View) -> frozenset[type]:
    schedules: dict[type, set[Schedule]] = {}
    for check in view.site.checks:
        schedules.setdefault(type(check.params), set()).add(check.schedule)
    return frozenset(kind for kind, found in schedules.items() if len(found) > 1)


def server_path_named(service: str, host: str) -> tuple[str, ...]:
    """Where a service, given by name, names a host."""
    return ("services", service, "servers", host)


def _neighbour_off_link(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        for name, servers in _asked(service):
            check = view.site.check(name)
            if not isinstance(check.params, NeighbourParams):
                continue
            for server in servers:
                if not view.is_on_link(service, server):
                    what = f"{check.name} asks for the MAC address of {server.host}, which is behind a router"
                    cure = "use an icmp or tcp check"
                    yield Finding(server_path(service, server), what, cure, ("checks", check.name, "kind"))
                    break


def _direct_check(view: View) -> Iterable[Finding]:
    direct = {check.name for check in view.site.checks if isinstance(check.params, DirectParams)}
    for service in view.site.services:
        for name, servers in _asked(service):
            if name in direct:
                yield from _misplaced(service, name, servers)
    for vip in view.site.vips:
        for index, track in enumerate(vip.track):
            if isinstance(track.tracked, TrackedCheck) and track.tracked.check in direct:
                what = f"{track.tracked.check} asks a service's server for its VIP, and a track has no service"
                yield Finding(("vips", vip.name, "track", index), what, "track the service itself, or use a tcp check")


def _misplaced(service: Service, check: str, servers: tuple[Server, ...]) -> Iterable[Finding]:
    """Of a direct check: the first thing that is wrong with it there."""
    kind = ("checks", check, "kind")
    if service.protocol is not Protocol.TCP:
        what = f"{check} makes a TCP connection to the VIP, and {service.name} speaks UDP"
        yield Finding(("services", service.name, "check"), what, "use a udp check", kind)
        return
    for server in servers:
        if not (server.forward or service.forward).returns_directly:
            what = f"{check} asks for the VIP at {server.host}, which is not sent packets for it"
            cure = "use a tcp or http check; direct is for servers of direct return"
            yield Finding(server_path(service, server), what, cure, kind)
            return


def _vip_unchecked(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        checks = view.checks_of(service)
        if service.protocol is not Protocol.TCP or not checks or not is_direct(service):
            continue
        if not any(isinstance(check.params, DirectParams) for check in checks):
            what = f"no check of {service.name} asks for its VIP: a server that lacks it passes, and serves nobody"
            cure = "name a check of kind direct beside them"
            yield Finding(("services", service.name, "check"), what, cure, ("checks", checks[0].name, "kind"))


def _check_source(view: View) -> Iterable[Finding]:
    """Each member makes the probes itself: from an address that it has on the network, in the server's family."""
    asked = [(name, service.vip, families_of(view.site.vip(service.vip))) for service, name in _named(view)]
    for vip in view.site.vips:
        for tracked in (track.tracked for track in vip.track):
            if isinstance(tracked, TrackedCheck):
                target = tracked.target
                families = families_of(vip) if isinstance(target, str) else (Family.of(target),)
                asked.append((tracked.check, vip.name, families))
    told: set[tuple[str, str]] = set()
    for name, vip_name, families in asked:
        network = view.site.check(name).source
        for member in view.site.vip(vip_name).members if network is not None else ():
            interface = view.site.machine(member.node).on_network(network or "")
            lacks = [f for f in families if interface is None or interface.address(f) is None]
            if (interface is None or lacks) and (name, member.node) not in told:
                told.add((name, member.node))
                address = "address" if interface is None else f"IPv{lacks[0].value} address"
                what = f"{member.node} makes {name} as well, and has no {address} on {network}"
                cure = f"give {member.node} one there, or let the check choose its source"
                yield Finding(("checks", name, "source"), what, cure, ("nodes", member.node))


def _asked(service: Service) -> Iterable[tuple[str, tuple[Server, ...]]]:
    """The checks that a service names, each with the servers that it is made of."""
    yield from ((name, service.servers) for name in service.checks)
    if service.sorry is not None:
        yield from ((name, (service.sorry,)) for name in service.sorry_checks)


def _named(view: View) -> Iterable[tuple[Service, str]]:
    for service in view.site.services:
        for name in dict.fromkeys((*service.checks, *service.sorry_checks)):
            yield service, name


def _secret_in_clear(view: View) -> Iterable[Finding]:
    for check in view.site.checks:
        if isinstance(check.params, HttpParams) and check.params.authorization is not None and not check.params.tls:
            what = f"{check.name} sends the secret {check.params.authorization.name} over the network in clear"
            yield Finding(
                ("checks", check.name, "authorization"), what, "use kind: https", ("checks", check.name, "kind")
            )


def _unused_check(view: View) -> Iterable[Finding]:
    used = {name for _, name in _named(view)}
    tracks = (track.tracked for vip in view.site.vips for track in vip.track)
    used |= {tracked.check for tracked in tracks if isinstance(tracked, TrackedCheck)}
    for check in view.site.checks:
        if check.name not in used:
            what = f"nothing uses the check {check.name}"
            yield Finding(("checks", check.name), what, "name it at a service or a track, or remove it")


RULES = (
    Rule(
        "icmp-only",
        Severity.WARNING,
        "the only check of a TCP service is ICMP or ARP: a hung program passes it",
        _icmp_only,
        partial=True,
    ),
    Rule(
        "check-clash",
        Severity.WARNING,
        "two checks probe one server in the same way at different paces; only one can hold",
        _check_clash,
        partial=True,
    ),
    Rule(
        "neighbour-off-link",
        Severity.ERROR,
        "a neighbour check is used for a server behind a router",
        _neighbour_off_link,
        firm=True,
        partial=True,
    ),
    Rule(
        "direct-check",
        Severity.ERROR,
        "a direct check is used where no packet for a VIP is sent on",
        _direct_check,
        firm=True,
        partial=True,
    ),
    Rule(
        "vip-unchecked",
        Severity.NOTICE,
        "the checks of a service under direct return ask for its servers' own addresses only",
        _vip_unchecked,
    ),
    Rule(
        "check-source",
        Severity.ERROR,
        "a check is to be made from a network on which a node that makes it has no address",
        _check_source,
        firm=True,
        partial=True,
    ),
    Rule(
        "secret-in-clear",
        Severity.WARNING,
        "an http check sends a secret without TLS",
        _secret_in_clear,
        partial=True,
    ),
    Rule("unused-check", Severity.NOTICE, "a check is defined but nothing uses it", _unused_check),
)
