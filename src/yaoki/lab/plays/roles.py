"""Which programs a machine of the lab runs, on which ports: computed from the site, nothing started here."""

from dataclasses import dataclass
from pathlib import Path

from yaoki.core.address import IPAddress
from yaoki.core.error import UsageError
from yaoki.lab.topology import served_directly
from yaoki.lb.service import Protocol
from yaoki.site.model import Machine, Site, Vip

ECHO_PORT = 7
"""RFC 862; where a VIP without services is answered."""

PLAYS = ("nginx", "echo", "client")


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


Role = WebServer | EchoServer


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
    return tuple(roles)


def bare_vips(site: Site) -> tuple[Vip, ...]:
    """VIPs that no service uses: whoever owns them answers for them itself."""
    used = {service.vip for service in site.services}
    return tuple(vip for vip in site.vips if vip.name not in used)


def serves_http(site: Site, service: str) -> bool:
    """Whether all servers of a TCP service are played by nginx, so that a probe speaks HTTP to it."""
    return all("nginx" in site.machine(server.host).plays for server in site.service(service).servers)


def _answers_for_bare_vips(site: Site, node: Machine) -> tuple[Role, ...]:
    owned = [vip for vip in bare_vips(site) if any(member.node == node.name for member in vip.members)]
    addresses = tuple(address.ip for vip in owned for address in vip.addresses)
    return (EchoServer(node.name, addresses, (ECHO_PORT,), (ECHO_PORT,)),) if addresses else ()


def _ports(site: Site, host: str, protocol: Protocol) -> tuple[int, ...]:
    ports = {
        server.port or service.port
        for service in site.services
        for server in service.servers
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
