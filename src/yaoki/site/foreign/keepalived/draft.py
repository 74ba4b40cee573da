"""The site file that is printed: the joined parts as entries, with the gaps above what they concern."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

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
from yaoki.core.address import Family
from yaoki.core.error import Location
from yaoki.lb.service import GUE_PORT, Encapsulation, Forward
from yaoki.site.foreign.keepalived.configuration import Check, Configuration
from yaoki.site.foreign.keepalived.hooks import JoinedHook
from yaoki.site.foreign.keepalived.methods import ENDS
from yaoki.site.foreign.keepalived.networks import Lan, Networks
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.services import JoinedHost, JoinedService
from yaoki.site.foreign.keepalived.sync_groups import JoinedGroup
from yaoki.site.foreign.keepalived.tracks import JoinedTrack
from yaoki.site.foreign.keepalived.vips import JoinedVip
from yaoki.site.foreign.writing import Block, Entry, Section, Value, site_text
from yaoki.vrrp.standing import OWNER_PRIORITY

GAP = "GAP:"
"""How a comment begins that says what was assumed."""
_ITSELF = ip_address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Joined:
    """What the files of all nodes come to together."""

    configurations: Sequence[Configuration]
    networks: Networks
    vips: Sequence[JoinedVip]
    services: Sequence[JoinedService]
    hosts: Sequence[JoinedHost]
    checks: dict[str, Check]
    hooks: Sequence[JoinedHook]
    tracks: dict[str, tuple[JoinedTrack, ...]]
    groups: Sequence[JoinedGroup] = ()


class Product(StrEnum):
    """What the files were written for."""

    KEEPALIVED = "keepalived"
    IPVSADM = "ipvsadm"


class Draft:
    """One site, ready to be printed."""

    def __init__(self, joined: Joined, report: Report, product: Product = Product.KEEPALIVED) -> None:
        self._joined = joined
        self._product = product
        self._hosts = tuple(host for host in joined.hosts if _serves(host, joined.services))
        self._report = report

    def text(self, site: str) -> str:
        """The site file. Gaps found on the way are remarked on."""
        head = [
            f"Imported from {self._product.value}: " + ", ".join(node.file for node in self._joined.configurations),
            f"What is assumed is marked {GAP} mend it, then try the site: yaoki check, yaoki rehearse.",
        ]
        for node in self._joined.configurations:
            alone = [vip.name for vip in self._joined.vips if list(vip.instances) == [node.name]]
            if alone:
                what = "no file of another member was given: add the member by hand, or import its file as well"
                self._report.gap(Location(node.file, 1, 1), ", ".join(alone), what)
        sections = (
            Section("networks", tuple(self._network(lan) for lan in self._joined.networks.all if self._used(lan))),
            Section("nodes", tuple(entry for node in self._joined.configurations for entry in self._node(node))),
            Section("hosts", tuple(self._host(host) for host in self._hosts)),
            Section("checks", tuple(Entry(name, _check(check)) for name, check in self._joined.checks.items())),
            Section("vips", tuple(self._vip(vip) for vip in self._joined.vips)),
            Section("sync-groups", tuple(Entry(one.name, Block((("vips", one.vips),))) for one in self._joined.groups)),
            Section("services", tuple(self._service(service) for service in self._joined.services)),
            Section("hooks", tuple(self._hook(hook) for hook in self._joined.hooks)),
        )
        return site_text(site, sections, head=head)

    # --- networks and machines ---

    def _used(self, lan: Lan) -> bool:
        return bool(lan.plugs) or any(lan.holds(host.address) for host in self._hosts)

    def _network(self, lan: Lan) -> Entry:
        comments = []
        if lan.watched:
            comments.append(f"{GAP} no file says what is on it but that it is tracked; the prefix is made up")
            self._gap(lan.name, "no file says what is on it but that it is tracked; the prefix is made up")
        elif lan.assumed:
            assumed = ", ".join(map(str, lan.assumed))
            comments.append(f"{GAP} no file says how long the prefix is; {assumed} is assumed")
            self._gap(lan.name, f"no file says how long its prefix is; {assumed} is assumed")
        if not lan.plugs:
            comments.append(f"{GAP} no file says by which interface, or which router, the nodes reach it")
            self._gap(lan.name, "no file says how the nodes reach it")
        return Entry(lan.name, Block((("prefixes", tuple(lan.prefixes)),)), tuple(comments))

    def _node(self, node: Configuration) -> Iterable[Entry]:
        interfaces: list[tuple[str, Value]] = []
        comments = []
        for plug in self._joined.networks.plugs_of(node.name):
            addresses = [self._joined.networks.own(plug, family) for family in Family]
            known = tuple(address for address in addresses if address is not None)
            assumed = [str(address) for address in known if self._joined.networks.is_assumed(plug, Family.of(address))]
            if assumed:
                comments.append(
                    f"{GAP} its own address on {plug.interface} is in no file; {', '.join(assumed)} is made up"
                )
            network = ("network", self._joined.networks.of(plug).name)
            interfaces.append((plug.interface, Block((network, ("addresses", known)))))
        if interfaces:
            yield Entry(node.name, Block((("interfaces", Block(tuple(interfaces))),)), tuple(comments))

    def _host(self, host: JoinedHost) -> Entry:
        lan = self._joined.networks.holding(host.address)
        interface = Block((("network", lan.name), ("addresses", (host.address,))))
        keys: list[tuple[str, Value]] = [("interfaces", Block((("eth0", interface),)))]
        comments = []
        by_nat = [one for one in self._joined.services if _forward_of(one, host) is Forward.NAT]
        if by_nat:
            gateway = self._gateway(lan, by_nat)
            if gateway is not None:
                keys.append(("gateway", gateway))
                comments.append(f"{GAP} no file names its gateway; under nat it must be a VIP of these nodes")
            else:
                keys.append(("acknowledge", ("nat-gateway",)))
                comments.append(f"{GAP} no file says how its answers come back through the balancer, as nat needs")
            self._gap(host.name, "no file names its gateway, through which its answers come back under nat")
        return Entry(host.name, Block(tuple(keys)), tuple(comments))

    def _gateway(self, lan: Lan, services: Sequence[JoinedService]) -> str | None:
        """The VIP on a server's network that its answers may go to: of the same members as those of its services."""
        wanted = {frozenset(service.vip.instances) for service in services}
        near = [vip for vip in self._joined.vips if vip.lan is lan and {frozenset(vip.instances)} == wanted]
        own = next((vip for vip in near if any(vip is service.vip for service in services)), None)
        found = own or next(iter(near), None)
        return None if found is None else found.name

    # --- VIPs and services ---

    def _vip(self, vip: JoinedVip) -> Entry:
        lead = vip.leading
        members = tuple((node, Block((("priority", one.priority),))) for node, one in vip.instances.items())
        comments = []
        keys: list[tuple[str, Value]] = [
            ("network", vip.lan.name),
            ("addresses", tuple(vip.addresses)),
            ("vrid", lead.vrid),
            ("advertise", lead.advertise),
            ("version", lead.version),
            ("members", Block(members)),
            ("failback", "sticky" if vip.sticky else "prefer"),
        ]
        if lead.preempt_delay is not None and not vip.sticky:
            keys.append(("failback-delay", lead.preempt_delay[0]))
        if lead.refuses is not None:
            keys.append(("accept", False))
        if lead.virtual_mac is not None:
            if (why := self._needs_own_mac(vip)) is not None:
                what = f"use_vmac is left out: {why}"
                comments.append(f"{GAP} {what}")
                self._gap(vip.name, what)
            else:
                keys.append(("mac", "virtual"))
        if self._joined.tracks[vip.name]:
            keys.append(("track", tuple(map(_track, self._joined.tracks[vip.name]))))
        if vip.unicast:
            keys += [("transport", "unicast"), ("peers", tuple(vip.peers))]
        if self._product is Product.IPVSADM:
            what = "no file says how its owner is elected; vrid and priorities are made up"
            comments.append(f"{GAP} {what}")
            self._gap(vip.name, what)
        if len(vip.instances) == 1:
            peers = ", ".join(map(str, lead.peers))
            known = f" (a peer is {peers})" if peers else ""
            what = f"no file of another member was given{known}; add it to members, with a lower or higher priority"
            comments.append(f"{GAP} {what}")
        return Entry(vip.name, Block(tuple(keys)), tuple(comments))

    def _needs_own_mac(self, vip: JoinedVip) -> str | None:
        """What excludes a virtual MAC, if anything does."""
        services = (service for service in self._joined.services if service.vip is vip)
        if any(server.forward.returns_directly for service in services for server in service.servers.values()):
            return "direct return sends on what comes to the interface's own MAC"
        if any(instance.priority == OWNER_PRIORITY for instance in vip.instances.values()):
            return "who has priority 255 has the addresses on its interface, at its MAC"
        return None

    def _service(self, service: JoinedService) -> Entry:
        lead = service.lead
        keys: list[tuple[str, Value]] = [
            ("vip", service.vip.name),
            ("listen", f"{lead.protocol.value}/{lead.port}"),
            ("forward", next(iter(service.servers.values())).forward),
            ("scheduler", lead.scheduler),
        ]
        keys += _encapsulation(service)
        if lead.persistence is not None:
            source: list[tuple[str, Value]] = [("timeout", lead.persistence)]
            if lead.mask is not None:
                source.insert(0, (f"ipv{lead.address.version}-mask", lead.mask))
            keys.append(("persistence", Block((("source", Block(tuple(source))),))))
        if service.checks:
            keys.append(("check", service.checks if len(service.checks) > 1 else service.checks[0]))
        forward = next(iter(service.servers.values())).forward
        servers: list[tuple[str, Value]] = []
        for host, server in service.servers.items():
            said: list[tuple[str, Value]] = [("weight", service.weight(server))]
            if (priority := service.priority(server)) is not None:
                said.append(("priority", priority))
            if server.limit is not None:
                said.append(("connection-limit", server.limit))
            if server.port not in (0, lead.port):
                said.append(("port", server.port))
            if server.forward is not forward:
                said.append(("forward", server.forward))
            servers.append((host, Block(tuple(said))))
        keys.append(("servers", Block(tuple(servers))))
        if service.sorry is not None:
            host, sorry = service.sorry
            said = [("sorry", host)]
            if sorry.port not in (0, lead.port):
                said.append(("port", sorry.port))
            if sorry.forward is not forward:
                said.append(("forward", sorry.forward))
            keys.append(("when-all-down", Block(tuple(said))))
        return Entry(service.name, Block(tuple(keys)), tuple(self._ends(service)))

    def _ends(self, service: JoinedService) -> Iterable[str]:
        if service.tunnel is not None:
            what = ENDS.format(service=service.name)
            self._gap(service.name, what)
            yield f"{GAP} {what}"

    def _hook(self, hook: JoinedHook) -> Entry:
        keys: list[tuple[str, Value]] = [("events", (hook.event,)), ("command", hook.command)]
        if hook.vips and len(self._joined.vips) > len(hook.vips):
            keys.append(("vips", tuple(hook.vips)))
        if len(hook.nodes) < len(self._joined.configurations):
            keys.append(("nodes", tuple(hook.nodes)))
        if hook.user is not None:
            keys.append(("user", hook.user))
        return Entry(hook.name, Block(tuple(keys)))

    def _gap(self, subject: str, what: str) -> None:
        self._report.gap(Location(self._joined.configurations[0].file, 1, 1), subject, what)


def _encapsulation(service: JoinedService) -> Iterable[tuple[str, Value]]:
    if service.tunnel is not None and service.tunnel.encapsulation is Encapsulation.GUE:
        yield "encapsulation", Encapsulation.GUE
        if service.tunnel.port != GUE_PORT:
            yield "encapsulation-port", service.tunnel.port


def _track(track: JoinedTrack) -> Block:
    keys: list[tuple[str, Value]] = []
    if track.interface is not None:
        keys.append(("interface", track.interface))
    if track.check is not None:
        # A script judges what it likes; the target is only what it is told.
        keys += [("check", track.check), ("target", _ITSELF)]
    if track.weight is not None:
        keys.append(("weight", track.weight))
    if track.reverse:
        keys.append(("reverse", True))
    return Block(tuple(keys))


def _serves(host: JoinedHost, services: Sequence[JoinedService]) -> bool:
    """Whether a host is a server of any service."""
    return any(_forward_of(service, host) is not None for service in services)


def _forward_of(service: JoinedService, host: JoinedHost) -> Forward | None:
    server = service.servers.get(host.name)
    if server is None and service.sorry is not None and service.sorry[0] == host.name:
        server = service.sorry[1]
    return None if server is None else server.forward


def _check(check: Check) -> Block:
    return Block((*_params(check.params), *_schedule(check.schedule)))


def _schedule(schedule: Schedule) -> Iterable[tuple[str, Value]]:
    yield "interval", schedule.interval
    yield "timeout", schedule.timeout
    yield "fall", schedule.fall
    yield "rise", schedule.rise
    if schedule.fast_interval is not None:
        yield "fast-interval", schedule.fast_interval


def _params(params: KindParams) -> Iterable[tuple[str, Value]]:
    match params:
        case HttpParams():
            yield "kind", "https" if params.tls else "http"
            yield from _port(params.port)
            yield "path", params.path
            if params.host is not None:
                yield "host", params.host
            expect: list[tuple[str, Value]] = [("status", params.status)]
            if params.body is not None:
                expect.append(("body", params.body))
            yield "expect", Block(tuple(expect))
        case ScriptParams():
            yield "kind", "script"
            yield "command", params.command
            yield "user", params.user
        case UdpParams():
            yield "kind", "udp"
            yield from _port(params.port)
            for key, octets in (("send", params.send), ("expect", params.expect)):
                if octets:
                    yield key, Block((("hex", octets.hex()),))
            yield "require-answer", params.require_answer
        case TcpParams() | TlsParams():
            yield "kind", "tcp"
            yield from _port(params.port)
        case IcmpParams() | NeighbourParams() | DirectParams() | RouteParams():
            # keepalived has no checker that becomes one of the latter three.
            yield "kind", "icmp"


def _port(port: int) -> Iterable[tuple[str, Value]]:
    if port:
        yield "port", port
