"""Whether this kernel runs the balancer's program as it is meant: tried with one packet of each family at each hook.

The program is loaded with small maps of its own, so nothing that is in use is touched, and nothing is sent.
"""

from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import Duty, Forward, Protocol, RealServer, Scheduler, ServiceKey, VirtualService
from yaoki.linux.bpf.build import CannotBuild, object_file
from yaoki.linux.bpf.object import LoadedObject, load
from yaoki.linux.bpf.services import Seat, render
from yaoki.linux.bpf.tables import Tables
from yaoki.packet.ethernet import EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.tcp import TcpFlags, TcpSegment

PROGRAM = "balancer"
_OF_A_FAMILY = (f"{kind}{family.value}" for kind in ("flows", "new_flows", "sources", "fragments") for family in Family)
SMALL_SIZES = dict.fromkeys((*_OF_A_FAMILY, "servers", "server_counts"), 64)
SENT = {"balance_xdp": 3, "balance_tc": 7}
"""XDP_TX and TC_ACT_REDIRECT."""
LOOPBACK, LOOPBACK_MAC = 1, MacAddress(bytes(6))
_ROUTER, _SERVER = MacAddress.parse("02:00:00:00:00:01"), MacAddress.parse("02:00:00:00:00:21")
_SERVICES: dict[Family, tuple[IPAddress, IPAddress]] = {
    Family.IPV4: (IPv4Address("192.0.2.50"), IPv4Address("198.51.100.9")),
    Family.IPV6: (IPv6Address("2001:db8:1::50"), IPv6Address("2001:db8:2::9")),
}


def self_test() -> None:
    """Raises ActuatorError if the program cannot be had, is refused, or does anything else than it should."""
    try:
        path = object_file(PROGRAM)
    except CannotBuild as error:
        raise ActuatorError("build the BPF program", str(error)) from error
    loaded = load(path, sizes=SMALL_SIZES)
    try:
        for number, family in enumerate(Family):
            _try(loaded, family, number)
    finally:
        loaded.close()


def _try(loaded: LoadedObject, family: Family, number: int) -> None:
    service, tables = _service(family), Tables(loaded.maps)
    seats = {(server.address, server.port): Seat(number + 1, number + 1) for server in service.servers}
    rendered = render(service, id_=number, interface=LOOPBACK, mac=LOOPBACK_MAC, seats=seats)
    tables.put_servers(rendered.servers)
    tables.put_rings({number: rendered.slots})
    tables.put_service(service.key, rendered.service)
    given = _frame(family)
    wanted = _SERVER.octets + given[:6] + given[12:]
    for name, verdict in SENT.items():
        run = loaded.programs[name].test_run(given)
        if run.verdict != verdict or run.frame != wanted:
            raise ActuatorError(
                f"self-test of {name}, {family.name}",
                f"verdict {run.verdict} to {run.frame[:6].hex(':')}, where {verdict} to {_SERVER} is right",
            )


def _service(family: Family) -> VirtualService:
    vip, _ = _SERVICES[family]
    server = RealServer("server", vip + 1, 80, Forward.DIRECT, 1, Duty.SERVE, _SERVER)
    return VirtualService("self-test", ServiceKey(vip, Protocol.TCP, 80), "lo", Scheduler.ROUND_ROBIN, (server,))


def _frame(family: Family) -> bytes:
    vip, client = _SERVICES[family]
    segment = TcpSegment(40000, 80, 1, 0, TcpFlags.SYN).encode(client, vip)
    if isinstance(vip, IPv4Address) and isinstance(client, IPv4Address):
        ethertype, packet = 0x0800, IPv4Packet(client, vip, 6, segment).encode()
    else:
        assert isinstance(vip, IPv6Address)
        assert isinstance(client, IPv6Address)
        ethertype, packet = 0x86DD, IPv6Packet(client, vip, 6, segment).encode()
    return EthernetFrame(LOOPBACK_MAC, _ROUTER, ethertype, packet).encode()
