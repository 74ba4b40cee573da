"""Which programs a machine of the lab runs, on which ports: computed from the site, nothing started here."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from yaoki.core.address import IPAddress
from yaoki.core.error import UsageError
from yaoki.lab.topology import served_directly
from yaoki.lb.service import Protocol
from yaoki.site.model import Machine, Site, Vip

ECHO_PORT = 7
"""RFC 862; where a VIP without services is answered."""

PLAYS = ("nginx", "echo", "client", "etcd", "witness")
STORES = ("etcd", "witness")
"""What keeps leases."""
ETCD_PEER_PORT = 2380
_HEARTBEATS_PER_ELECTION = 10


@dataclass(frozen=True, slots=True)
class WebServer:
    """nginx on these TCP ports of all addresses, IPv4 and IPv6."""

    machine: str
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EchoServer:
    """The echo server: these ports on each address, those that the machine does not hold (yet) included."""

    machine: str
    addresses: tuple[IPAddress, ...]
    udp_ports: tuple[int, ...]
    tcp_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoreServer:
    """A member of the store of leases, as etcd. `cluster` names every member with its address."""

    machine: str
    address: IPAddress
    port: int
    cluster: tuple[tuple[str, IPAddress], ...]
    election_timeout: timedelta


@dataclass(frozen=True, slots=True)
class WitnessRole:
    """The witness that keeps the leases."""

    machine: str
    address: IPAddress
    port: int


Role = WebServer | EchoServer | StoreServer | WitnessRole


def roles_of(site: Site, machine: Machine) -> tuple[Role, ...]:
    """What a machine runs beside Yaoki. Raises UsageError for a play that the lab does not know."""
    if machine.is_node:
        return _answers_for_bare_vips(site, machine)
    for play in machine.plays:
        if play not in PLAYS:
            raise UsageError(f'the lab cannot play "{play}" on {machine.name}; it plays {", ".join(PLAYS)}')
    tcp = _ports(site, machine.name, Protocol.TCP)
    roles: list[Role] = []
    if "nginx" in machine.plays:
        roles.append(WebServer(machine.name, tcp or (80,)))
        tcp = ()
    if "echo" in machine.plays:
        roles.append(EchoServer(machine.name, _addresses(site, machine), _ports(site, machine.name, Protocol.UDP), tcp))
    if "etcd" in machine.plays:
        roles.append(_store_server(site, machine))
    if "witness" in machine.plays:
        roles.append(WitnessRole(machine.name, _first_address(machine), _store_port(site, machine, "witness")))
    return tuple(roles)


def bare_vips(site: Site) -> tuple[Vip, ...]:
    """VIPs that no service uses: whoever owns them answers for them itself, if it accepts packets to them."""
    used = {service.vip for service in site.services}
    return tuple(vip for vip in site.vips if vip.name not in used and vip.accept)


def serves_http(site: Site, service: str) -> bool:
    """Whether all servers of a TCP service are played by nginx, so that a probe speaks HTTP to it."""
    return all("nginx" in site.machine(server.host).plays for server in site.service(service).servers)


def etcd_command(role: StoreServer, directory: Path) -> list[str]:
    """The command line of a member of the store; its data are in `directory`."""
    at = {name: _host(address) for name, address in role.cluster}
    own, milliseconds = at[role.machine], timedelta(milliseconds=1)
    return [
        "etcd",
        *("--name", role.machine, "--data-dir", str(directory)),
        *("--listen-client-urls", f"http://{own}:{role.port},http://127.0.0.1:{role.port}"),
        *("--advertise-client-urls", f"http://{own}:{role.port}"),
        *("--listen-peer-urls", f"http://{own}:{ETCD_PEER_PORT}"),
        *("--initial-advertise-peer-urls", f"http://{own}:{ETCD_PEER_PORT}"),
        *("--initial-cluster", ",".join(f"{name}=http://{host}:{ETCD_PEER_PORT}" for name, host in at.items())),
        *("--initial-cluster-state", "new"),
        *("--heartbeat-interval", str(role.election_timeout // _HEARTBEATS_PER_ELECTION // milliseconds)),
        *("--election-timeout", str(role.election_timeout // milliseconds)),
    ]


def witness_command(role: WitnessRole, directory: Path) -> list[str]:
    """The command line of the witness; its ledger is in `directory`."""
    at = f"{_host(role.address)}:{role.port}"
    return [sys.executable, "-m", "yaoki.cli", "witness", "--listen", at, "--state-dir", str(directory)]


def store_members(site: Site) -> tuple[str, ...]:
    """The machines that are members of the store of leases, each once."""
    members = () if site.store is None else site.store.members
    return tuple(dict.fromkeys(member.machine for member in members if member.machine is not None))


def _store_server(site: Site, machine: Machine) -> StoreServer:
    """Raises UsageError where the site does not name the machine as a member of its store."""
    port = _store_port(site, machine, "etcd")
    assert site.store is not None
    played = (site.machine(name) for name in store_members(site))
    cluster = tuple((each.name, _first_address(each)) for each in played if "etcd" in each.plays)
    return StoreServer(machine.name, _first_address(machine), port, cluster, site.store.election_timeout)


def _store_port(site: Site, machine: Machine, play: str) -> int:
    if site.store is None or machine.name not in store_members(site) or site.store.kind.value != play:
        key = "endpoints" if play == "etcd" else "endpoint"
        raise UsageError(
            f"{machine.name} plays {play}, but is no endpoint of the site's store; add it to store: {key}, kind: {play}"
        )
    return next(member.port for member in site.store.members if member.machine == machine.name)


def _first_address(machine: Machine) -> IPAddress:
    return next(address.ip for interface in machine.interfaces for address in interface.addresses)


def _host(address: IPAddress) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _answers_for_bare_vips(site: Site, node: Machine) -> tuple[Role, ...]:
    owned = [vip for vip in bare_vips(site) if any(member.node == node.name for member in vip.members)]
    addresses = tuple(address.ip for vip in owned for address in vip.addresses)
    return (EchoServer(node.name, addresses, (ECHO_PORT,), (ECHO_PORT,)),) if addresses else ()


def _ports(site: Site, host: str, protocol: Protocol) -> tuple[int, ...]:
    ports = {
        server.port or service.port
        for service in site.services
        for server in service.recipients
        if service.protocol is protocol and server.host == host
    }
    return tuple(sorted(ports))


def _addresses(site: Site, host: Machine) -> tuple[IPAddress, ...]:
    own = [address.ip for interface in host.interfaces for address in interface.addresses]
    vips = [address.ip for _, vip in served_directly(site, host.name) for address in vip.addresses]
    return tuple(dict.fromkeys(own + vips))


def nginx_configuration(role: WebServer, directory: Path) -> str:
    """nginx.conf of a web server: `/healthz` and everything else answer with the machine's name.

    While the file `broken` exists in `directory`, the answer is status 500.
    """
    listen = "".join(
        f"    listen 0.0.0.0:{port} backlog=1024;\n    listen [::]:{port} ipv6only=on backlog=1024;\n"
        for port in role.ports
    )
    temporary = "".join(
        f"  {kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  default_type text/plain;
  server_tokens off;
  keepalive_requests 100000000;
  keepalive_timeout 20s;
  client_header_timeout 5s;
  reset_timedout_connection on;
{temporary}\
  server {{
{listen}\
    add_header X-Server {role.machine} always;
    location / {{
      if (-f {directory}/broken) {{ return 500 "{role.machine}\\n"; }}
      return 200 "{role.machine}\\n";
    }}
  }}
}}
"""
