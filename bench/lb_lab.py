"""The network of `make bench-lb`: a client, three servers and every balancer on one bridge, each in its own namespace.

Every balancer has a VIP of its own and they all run for the whole benchmark, so what one is measured under the others
are measured under as well, and a figure of one is taken right after another's. The client comes to each VIP from an
address of its own, so that the servers' answers can be led back through just the balancer that rewrites addresses.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from yaoki.lab import namespaces
from yaoki.lab.build import set_sysctls
from yaoki.lab.lab import Lab
from yaoki.site.load import load_site

SITE_NAME = "bench-lb"
CLIENT = "client"
CLIENT_ADDRESS = IPv4Address("192.0.2.9")
SERVERS = {f"web{number}": IPv4Address("192.0.2.20") + number for number in (1, 2, 3)}
WEB, BULK, PACKETS = 80, 5201, 9000
"""The ports: HTTP; iperf3's; small datagrams."""

_OWN, _VIP, _FROM = IPv4Address("192.0.2.30"), IPv4Address("192.0.2.50"), IPv4Address("192.0.2.100")
_EVERY_MACHINE = {"net.core.somaxconn": "4096", "net.ipv4.ip_local_port_range": "1024 65000"}
_CLIENT = {"net.ipv4.tcp_tw_reuse": "1"}
_PEER = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.conf.eth0.send_redirects": "0",
}

_SINK = f"""\
table netdev sink {{
  counter arrived {{ }}
  chain in {{
    type filter hook ingress device "eth0" priority 0;
    udp dport {PACKETS} counter name arrived drop
  }}
}}
"""
_NGINX = """\
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  server {{ listen 80 backlog=4096; location / {{ return 200 "hello, world\\n"; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A balancer's machine. `direct` says that its servers answer past it, from its VIP on their loopback; `plane` is
    that of Yaoki, None for another product."""

    machine: str
    number: int
    direct: bool = False
    plane: str | None = None
    rewrites_source: bool = False

    @property
    def own(self) -> IPv4Address:
        return _OWN + self.number

    @property
    def vip(self) -> IPv4Address:
        return _VIP + self.number

    @property
    def client(self) -> IPv4Address:
        """Where the client comes from when it goes to this VIP."""
        return _FROM + self.number


@contextmanager
def running(places: tuple[Place, ...], directory: Path) -> Iterator[Lab]:
    """The network with its servers running, and the nodes of the site that they are to be given; gone afterwards."""
    file = directory / "site.yaml"
    file.write_text(site(places))
    lab = Lab(load_site(file).site, file)
    lab.up()
    try:
        for machine in lab.site.machines:
            set_sysctls(lab.namespace(machine.name), tuple(_EVERY_MACHINE.items()))
        _ready_client(lab, places)
        for server in SERVERS:
            _ready_server(lab, server, places)
        for place in places:
            if place.plane is None:
                set_sysctls(lab.namespace(place.machine), tuple(_PEER.items()))
                namespaces.ip_batch([f"addr add {place.vip}/32 dev eth0"], namespace=lab.namespace(place.machine))
        yield lab
    finally:
        lab.down()


def _ready_client(lab: Lab, places: tuple[Place, ...]) -> None:
    namespace = lab.namespace(CLIENT)
    set_sysctls(namespace, tuple(_CLIENT.items()))
    namespaces.ip_batch((f"addr add {place.client}/32 dev eth0" for place in places), namespace=namespace)
    routes = (f"route add {place.vip}/32 dev eth0 src {place.client}" for place in places)
    namespaces.ip_batch(routes, namespace=namespace)


def _ready_server(lab: Lab, server: str, places: tuple[Place, ...]) -> None:
    namespace, directory = lab.namespace(server), lab.machine_directory(server)
    theirs = (place for place in places if place.direct and place.plane is None)
    namespaces.ip_batch((f"addr add {place.vip}/32 dev lo" for place in theirs), namespace=namespace)
    through = (place for place in places if not place.direct and not place.rewrites_source)
    namespaces.ip_batch((f"route add {place.client}/32 via {place.own}" for place in through), namespace=namespace)
    namespaces.run(namespaces.inside(namespace, ["nft", "-f", "-"]), text=_SINK)
    configuration = directory / "nginx.conf"
    configuration.write_text(_NGINX.format(directory=directory))
    command = ["nginx", "-p", str(directory), "-c", str(configuration), "-e", str(directory / "error.log")]
    lab.start_process(server, command, log="nginx.log")
    lab.start_process(server, ["iperf3", "--server"], log="iperf3.log")


def site(places: tuple[Place, ...]) -> str:
    """The site file: Yaoki's balancers are nodes, the others hosts, whose software it does not know."""
    nodes = [place for place in places if place.plane is not None]
    hosts = [place for place in places if place.plane is None]
    return "\n".join(
        [
            "version: 1",
            f"site: {SITE_NAME}",
            "networks: {front: {prefixes: [192.0.2.0/24]}}",
            "nodes:",
            *(f"  {place.machine}: {interface(place.own)}" for place in nodes),
            "hosts:",
            *(f"  {place.machine}: {interface(place.own)}" for place in hosts),
            *(f"  {name}: {interface(address)}" for name, address in {CLIENT: CLIENT_ADDRESS, **SERVERS}.items()),
            "checks:",
            f"  page: {{kind: http, port: {WEB}, interval: 5s, timeout: 4s, fall: 10, rise: 1}}",
            "vips:",
            *(line for place in nodes for line in _vip(place)),
            "services:",
            *(line for place in nodes for line in _services(place)),
            "",
        ]
    )


def interface(address: IPv4Address) -> str:
    """A machine of a site file that is on `front` with this address."""
    return f"{{interfaces: {{eth0: {{network: front, addresses: [{address}]}}}}}}"


def _vip(place: Place) -> Iterator[str]:
    yield f"  {place.machine}-vip:"
    yield f"    {{network: front, addresses: [{place.vip}], vrid: {place.number},"
    yield f"     members: {{{place.machine}: {{priority: 100}}}}}}"


def _services(place: Place) -> Iterator[str]:
    """HTTP and datagrams by the scheduler that a file gets which names none; iperf3 has two connections, which must
    meet one server."""
    forward = "direct" if place.direct else "nat"
    for port, protocol, scheduler in ((WEB, "tcp", "wrr"), (BULK, "tcp", "sh"), (PACKETS, "udp", "wrr")):
        yield f"  {place.machine}-{port}:"
        yield f"    vip: {place.machine}-vip"
        yield f"    listen: {protocol}/{port}"
        yield f"    forward: {forward}"
        yield f"    plane: {place.plane}"
        yield f"    scheduler: {scheduler}"
        yield "    check: page"
        yield f"    servers: {{{', '.join(f'{name}: {{}}' for name in SERVERS)}}}"
        if not place.direct:
            yield "    acknowledge: [nat-gateway]"
