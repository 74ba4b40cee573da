"""Asks the kernel's neighbour table for one address: its MAC, if it is known (RTM_GETNEIGH, Linux 5.0 and later)."""

import socket

from yaoki.core.address import IPAddress, MacAddress
from yaoki.linux import neighbours
from yaoki.linux.attributes import attribute, message

_NETLINK_ROUTE, _GET, _REQUEST = 0, 30, 0x1
_NDA_DST = 1
_RECEIVE_OCTETS = 8192
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def mac_of(interface: str, address: IPAddress) -> MacAddress | None:
    """None if it is not known; then it is being asked for. Raises OSError if there is no such interface."""
    index = socket.if_nametoindex(interface)
    body = neighbours.HEADER.pack(_FAMILIES[address.version], 0, index, 0, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as sock:
        sock.send(message(_GET, _REQUEST, 1, body + attribute(_NDA_DST, address.packed)))
        found = next(neighbours.read(sock.recv(_RECEIVE_OCTETS)), None)
        if found is None or found.mac is None:
            sock.send(neighbours.use(index, address))
            return None
        return found.mac
