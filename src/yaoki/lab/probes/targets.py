"""What is probed: computed from the site.

Per client, VIP address and service one probe, and for UDP one pinned flow per real server beside it, so that one dead
server of many is not averaged away. The first client that can probe a service does so at the full pace; the others
probe it OTHERS_SLOWER times less often and pin no flows, since all share the cores with what is measured. A client on
the VIP's own network does not probe `nat`: the servers' replies would reach it without passing the balancer. A VIP
without services is answered by the node that owns it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from yaoki.core.address import Family, IPAddress
from yaoki.lab.plays.roles import ECHO_PORT, bare_vips, serves_http
from yaoki.lb.service import Forward, Protocol, Scheduler
from yaoki.site.model import Machine, Server, Service, Site, Vip

MOST_PINNED = 8
"""Pinned flows per service and family; servers beyond are seen by the unpinned probe only."""

OTHERS_SLOWER = 5
DATAGRAMS_PER_MS = 4
PINNED_PER_MS = 2
REQUESTS_PER_MS = 1
"""What the probes of a lab send together at most. Sites with more probes than fit are probed less often each."""

_UDP_PERIOD_US = 1_000
_PINNED_PERIOD_US = 5_000
_REQUEST_PERIOD_US = 10_000


class ProbeKind(StrEnum):
    """How a target is probed."""

    UDP = "udp"
    PINNED = "pinned"
    HTTP = "http"
    TCP = "tcp"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to probe from one client. `servers` may answer; with `spreads` each of them does, in a healthy site.

    `server` is whom a pinned flow is pinned to. `vip` is empty for the control probe.
    """

    kind: ProbeKind
    client: str
    address: IPAddress
    port: int
    period_us: int
    vip: str = ""
    service: str = ""
    servers: tuple[str, ...] = ()
    spreads: bool = False
    server: str = ""

    @property
    def family(self) -> Family:
        return Family.of(self.address)

    @property
    def label(self) -> str:
        """Short name for people: "web", "echo@web1", "control"."""
        if self.kind is ProbeKind.CONTROL:
            return "control"
        what = self.service or f"{self.vip} {self.kind.value}"
        return f"{what}@{self.server}" if self.server else what

    def __str__(self) -> str:
        return f"{self.label} from {self.client} over ipv{self.family.value}"


def clients(site: Site) -> tuple[Machine, ...]:
    """The machines that probe."""
    return tuple(host for host in site.hosts if "client" in host.plays)


def targets_of(site: Site) -> tuple[Target, ...]:
    """All targets of a site, paced so that the probes stay light."""
    found: list[Target] = []
    bare = {vip.name for vip in bare_vips(site)}
    for client in clients(site):
        families = {Family.of(a) for interface in client.interfaces for a in interface.addresses}
        for vip in site.vips:
            for address in (a.ip for a in vip.addresses if Family.of(a) in families):
                if vip.name in bare:
                    found += _bare(client, vip, address)
                for service in site.services:
                    if service.vip == vip.name and service.enabled and _can_probe(site, client, vip, service):
                        found += _service(site, client, service, address)
    return _paced(found)


def _bare(client: Machine, vip: Vip, address: IPAddress) -> list[Target]:
    members = tuple(member.node for member in vip.members)
    return [
        Target(ProbeKind.UDP, client.name, address, ECHO_PORT, _UDP_PERIOD_US, vip.name, "", members),
        Target(ProbeKind.TCP, client.name, address, ECHO_PORT, _REQUEST_PERIOD_US, vip.name, "", members),
    ]


def _can_probe(site: Site, client: Machine, vip: Vip, service: Service) -> bool:
    on_link = client.on_network(vip.network) is not None
    if on_link and any(forward_of(service, server) is Forward.NAT for server in service.servers):
        return False
    play = "echo" if service.protocol is Protocol.UDP else "nginx"
    plays = [site.machine(server.host).plays for server in service.servers]
    return bool(plays) and (all(play in p for p in plays) or all("echo" in p for p in plays))


def _service(site: Site, client: Machine, service: Service, address: IPAddress) -> list[Target]:
    highest = max((server.priority for server in service.servers if server.weight > 0), default=0)
    servers = tuple(s.host for s in service.servers if s.weight > 0 and s.priority == highest)
    spreads = service.persistence is None and service.scheduler is not Scheduler.SOURCE_HASH
    where = (client.name, address, service.port)
    what = (service.vip, service.name, servers)
    if service.protocol is Protocol.TCP:
        kind = ProbeKind.HTTP if serves_http(site, service.name) else ProbeKind.TCP
        return [Target(kind, *where, _REQUEST_PERIOD_US, *what, spreads=spreads)]
    found = [Target(ProbeKind.UDP, *where, _UDP_PERIOD_US, *what, spreads=spreads)]
    if spreads:
        found += [
            Target(ProbeKind.PINNED, *where, _PINNED_PERIOD_US, *what, server=server)
            for server in servers[:MOST_PINNED]
        ]
    return found


def forward_of(service: Service, server: Server) -> Forward:
    """How a server of a service is forwarded to."""
    return server.forward or service.forward


def _paced(targets: list[Target]) -> tuple[Target, ...]:
    first: dict[tuple[str, str], str] = {}
    for target in targets:
        first.setdefault((target.vip, target.service), target.client)
    leading = [(t, t.client == first[t.vip, t.service]) for t in targets]
    targets = [
        # One that asks seldom, in step with another, may meet the same server for ever.
        t if leads else replace(t, period_us=OTHERS_SLOWER * t.period_us, spreads=False)
        for t, leads in leading
        if leads or t.kind is not ProbeKind.PINNED
    ]
    per_ms: dict[ProbeKind, float] = {}
    for target in targets:
        per_ms[_class(target.kind)] = per_ms.get(_class(target.kind), 0.0) + 1000 / target.period_us
    most = {ProbeKind.UDP: DATAGRAMS_PER_MS, ProbeKind.PINNED: PINNED_PER_MS, ProbeKind.HTTP: REQUESTS_PER_MS}
    slower = {kind: max(1, -int(-load // most[kind])) for kind, load in per_ms.items()}
    return tuple(replace(t, period_us=t.period_us * slower[_class(t.kind)]) for t in targets)


def _class(kind: ProbeKind) -> ProbeKind:
    return ProbeKind.HTTP if kind is ProbeKind.TCP else kind
