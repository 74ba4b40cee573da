"""What our kernel objects are called, and where they hook in.

The balancer plane is in three tables: `inet yaoki-nat` (address translation), `netdev yaoki` (direct return) and
`inet yaoki` (refusal). The speaker's dead-man gate is in one of its own, `netdev yaoki-gate`, and so are what keeps
packets to VIPs from the node itself, `inet yaoki-accept`, what keeps virtual MACs apart from the interfaces' own,
`netdev yaoki-mac`, and what holds up segments of connections whose copies are under way, `inet yaoki-flows`. The first
and the last are there only if they are needed, because they bring connection tracking with them. A service's objects
begin with the service's name in the kernel, "tcp/192.0.2.50/80"; in
IPv6 addresses "." stands for ":", because nft's identifiers know no colon.
"""

from yaoki.core.address import Family, IPAddress, parse_address
from yaoki.lb.service import Protocol, ServiceKey

TRANSLATION = "inet yaoki-nat"
DIRECT = "netdev yaoki"
REFUSAL = "inet yaoki"
GATE = "netdev yaoki-gate"
VIRTUAL_MACS = "netdev yaoki-mac"
ACCEPT = "inet yaoki-accept"
STRANGERS = "inet yaoki-flows"
TABLES = (REFUSAL, TRANSLATION, DIRECT)

ADDRESS_TYPE = {Family.IPV4: "ipv4_addr", Family.IPV6: "ipv6_addr"}
IP = {Family.IPV4: "ip", Family.IPV6: "ip6"}

# Netdev ingress and prerouting hooks run in ascending order of priority. The dead-man gate, which silences a VIP,
# hooks in at GATE_PRIORITY and so comes before everything here.
GATE_PRIORITY = -500
PASSING_PRIORITY = -300
"""The kernel's own for what is said about packets before connection tracking sees them."""
DIRECT_PRIORITY = -200
STRANGERS_PRIORITY = -150
"""After connection tracking has looked a packet up (-200), before it is translated."""
TRANSLATION_PRIORITY = -100
"""The kernel's own for destination translation."""
ACCOUNT_PRIORITY = -90
REFUSE_PRIORITY = -10
DELIVERY_PRIORITY = 0
"""After the services' own refusal, which is an answer."""
SOURCE_PRIORITY = 100
"""The kernel's own for source translation."""

_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")


def address_name(address: IPAddress) -> str:
    """An address in the form in which it may be part of a name."""
    return str(address).replace(":", ".")


def service_name(key: ServiceKey) -> str:
    """The name that a service's objects begin with."""
    return f"{key.protocol.value}/{address_name(key.address)}/{key.port}"


def wire_key(key: ServiceKey) -> str:
    """A service's key in the maps that lead to services."""
    return f"{key.address} . {key.protocol.value} . {key.port}"


def counter_name(service: str, address: str, port: int) -> str:
    """The counter of one server of a service, by the service's name and the server's address in words. It lasts as long
    as the server is in it."""
    return f"{service}/{address.replace(':', '.')}/{port}"


def opened_name(key: ServiceKey) -> str:
    """The counter of new flows of a service that counts its servers' flows."""
    return f"new/{service_name(key)}"


def slots_name(key: ServiceKey) -> str:
    """The map of a service's slots, where more than one server has one."""
    return f"slots/{service_name(key)}"


def pin_name(key: ServiceKey, server: IPAddress, port: int) -> str:
    """The set of sources that persistence keeps with one server, under address translation."""
    return f"pin/{service_name(key)}/{address_name(server)}/{port}"


def parse_counter_name(name: str) -> tuple[ServiceKey, IPAddress, int] | None:
    """Back from the name of a counter; None for one that is not ours."""
    parts = name.split("/")
    if len(parts) != 5:
        return None
    try:
        key = ServiceKey(address_of(parts[1]), Protocol(parts[0]), int(parts[2]))
        return key, address_of(parts[3]), int(parts[4])
    except ValueError:
        return None


def interface_name(interface: str) -> str:
    """An interface in the form in which it may be part of a name; equal names only for equal interfaces."""
    return "".join(char if char in _ALLOWED else f"_{ord(char):02x}" for char in interface)


def hook_name(interface: str, index: int) -> str:
    """The place of a hook. The index is part of it: rules send to an index, and an interface that was removed and came
    back has another."""
    return f"{interface_name(interface)}/{index}"


def address_of(name: str) -> IPAddress:
    """Back from `address_name`. Raises ValueError for what is no address."""
    try:
        return parse_address(name)
    except ValueError:
        return parse_address(name.replace(".", ":"))
