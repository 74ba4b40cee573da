"""Services as virtual_server blocks of keepalived.conf(5), with the checkers that come closest to their checks.

The VIPs are not in it: an address is keepalived's only where a vrrp_instance of it says so.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from ipaddress import ip_network

from yaoki.checks.check import (
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
from yaoki.lb.service import Encapsulation, Forward
from yaoki.site.default_checks import default_checks
from yaoki.site.foreign.exporting import Export, Lost, counts_ports, say_lost, scheduler_of, servers_of, services_of
from yaoki.site.model import CheckDefinition, Site
from yaoki.site.node_plan import ServerPlan, ServicePlan

_KINDS = {Forward.NAT: "NAT", Forward.DIRECT: "DR", Forward.TUNNEL: "TUN"}
_PLAIN = re.compile(r"[A-Za-z0-9_./:=?&%+,~-]+")
"""What keepalived reads as one word, whatever stands around it."""


def export_keepalived(site: Site) -> Export:
    """The blocks."""
    lost: list[Lost] = []
    services = services_of(site, lost)
    say_lost(site, lost, sorry=True)
    checks = {service.name: _checks(site, service.name) for service in services}
    for name, definitions in checks.items():
        lost += (Lost(name, f"check {one.name}: {what}") for one in definitions for what in _unsaid(one))
    lines = [line for service in services for line in _service(service, checks[service.name])]
    return Export("".join(line + "\n" for line in lines), tuple(lost))


def _checks(site: Site, name: str) -> tuple[CheckDefinition, ...]:
    service = site.service(name)
    return tuple(site.check(check) for check in service.checks) or default_checks(service)


def _service(service: ServicePlan, checks: tuple[CheckDefinition, ...]) -> Iterable[str]:
    yield f"# {service.name}"
    yield f"virtual_server {service.key.address} {service.key.port} {{"
    yield f"    protocol {service.key.protocol.value.upper()}"
    yield f"    lb_algo {scheduler_of(service)}"
    if counts_ports(service):
        yield "    mh-port"
    kept = service.persistence
    if kept is not None:
        yield f"    persistence_timeout {-(-kept.timeout.total_seconds() // 1):.0f}"
        if service.key.address.version == 4 and kept.prefix_length != 32:
            yield f"    persistence_granularity {ip_network(f'0.0.0.0/{kept.prefix_length}').netmask}"
        elif service.key.address.version == 6 and kept.prefix_length != 128:
            yield f"    persistence_granularity {kept.prefix_length}"
    for server in service.servers:
        if server.sorry and server.forward in _KINDS:
            yield f"    sorry_server {server.address} {server.port}"
            yield f"    sorry_server_lvs_method {_method(server)}"
    for server in servers_of(service):
        yield from _server(server, checks)
    yield "}"
    yield ""


def _server(server: ServerPlan, checks: tuple[CheckDefinition, ...]) -> Iterable[str]:
    yield f"    real_server {server.address} {server.port} {{"
    yield f"        weight {server.weight}"
    if server.limit is not None:
        yield f"        uthreshold {server.limit}"
    yield f"        lvs_method {_method(server)}"
    for check in filter(_is_written, checks):
        for line in _checker(check.params, check.schedule, server.port):
            yield f"        {line}"
    yield "    }"


def _method(server: ServerPlan) -> str:
    gue = server.tunnel is not None and server.tunnel.encapsulation is Encapsulation.GUE
    more = f" type gue port {server.tunnel.port} nocsum" if gue and server.tunnel is not None else ""
    return _KINDS[server.forward] + more


def _checker(params: KindParams, schedule: Schedule, own_port: int) -> Iterable[str]:
    match params:
        case HttpParams():
            yield f"{'SSL' if params.tls else 'HTTP'}_GET {{"
            yield "    url {"
            yield f"        path {params.path if _PLAIN.fullmatch(params.path) else '/'}"
            yield f"        status_code {' '.join(map(str, params.status))}"
            yield "    }"
            if params.host is not None and _PLAIN.fullmatch(params.host):
                yield f"    virtualhost {params.host}"
            yield f"    connect_port {params.port or own_port}"
        case TcpParams() | TlsParams() | DirectParams():
            yield "TCP_CHECK {"
            yield f"    connect_port {params.port or own_port}"
        case UdpParams():
            yield "UDP_CHECK {"
            yield f"    connect_port {params.port or own_port}"
            if params.send:
                yield f"    payload {params.send.hex()}"
            if params.expect or params.require_answer:
                yield f"    require_reply {params.expect.hex()}".rstrip()
        case IcmpParams() | NeighbourParams() | RouteParams():
            yield "PING_CHECK {"
        case ScriptParams():
            yield "MISC_CHECK {"
            yield f'    misc_path "{" ".join(params.command)}"'
            yield f"    user {params.user}"
            yield f"    misc_timeout {-(-schedule.timeout.total_seconds() // 1):.0f}"
    if not isinstance(params, ScriptParams):
        yield f"    connect_timeout {_seconds(schedule.timeout)}"
    yield f"    delay_loop {_seconds(schedule.interval)}"
    yield f"    retry {schedule.fall - 1}"
    yield f"    delay_before_retry {_seconds(schedule.fast_interval or schedule.interval)}"
    yield "}"


def _unsaid(check: CheckDefinition) -> Iterable[str]:
    """What of a check keepalived cannot say."""
    params = check.params
    match params:
        case HttpParams():
            yield from _unsaid_of_http(params)
        case TlsParams():
            yield "a tls check; a connection is made"
        case DirectParams():
            yield "a direct check; a connection is made to the server's own address"
        case NeighbourParams():
            yield "a neighbour check; an echo request is sent"
        case ScriptParams() if not _is_written(check):
            yield "its command has words that need quotes; it is left out"
            return
        case TcpParams() | UdpParams() | IcmpParams() | ScriptParams() | RouteParams():
            pass
    if check.schedule.rise > 1:
        yield f"rise {check.schedule.rise}; it is 1"
    if check.schedule.hold_down:
        yield "hold-down"


def _unsaid_of_http(params: HttpParams) -> Iterable[str]:
    if not _PLAIN.fullmatch(params.path):
        yield "its path; / is asked for"
    if params.host is not None and not _PLAIN.fullmatch(params.host):
        yield "its host"
    if params.method != "GET":
        yield f"method {params.method}; it is GET"
    for key, value in (
        ("body", params.body),
        ("header", params.header),
        ("authorization", params.authorization),
    ):
        if value is not None:
            yield f"its {key}"
    if params.verify:
        yield "verify"


def _is_written(check: CheckDefinition) -> bool:
    """A command of other than plain words is no checker: keepalived and we would divide it differently."""
    params = check.params
    return not isinstance(params, ScriptParams) or all(_PLAIN.fullmatch(word) for word in params.command)


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".")
