"""Tells the neighbours on an interface that an address is here: gratuitous ARP in both forms, or an unsolicited NA."""

import socket
from ipaddress import IPv4Address
from pathlib import Path

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.packet import arp, neighbour

# Between the priorities of bulk traffic and of what keeps the network alive (socket(7), SO_PRIORITY).
_PRIORITY = 6


class Announcer:
    """One packet socket for all interfaces; it receives nothing. The frames of an address are made once."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _PRIORITY)
        self._frames: dict[tuple[MacAddress, IPAddress, bool], tuple[bytes, ...]] = {}

    def close(self) -> None:
        self._socket.close()

    def announce(self, interface: str, mac: MacAddress, address: IPAddress) -> None:
        """Send the frames. Raises ActuatorError."""
        router = address.version == 6 and _forwards(interface)
        try:
            for frame in self._prepared(mac, address, router):
                self._socket.sendto(frame, (interface, 0))
        except OSError as error:
            raise ActuatorError(f"announce {address}", error.strerror or str(error), errno=error.errno) from error

    def _prepared(self, mac: MacAddress, address: IPAddress, router: bool) -> tuple[bytes, ...]:
        frames = self._frames.get((mac, address, router))
        if frames is None:
            if isinstance(address, IPv4Address):
                frames = arp.announcement(mac, address)
            else:
                frames = (neighbour.announcement(mac, address, router=router),)
            self._frames[mac, address, router] = frames
        return frames


def _forwards(interface: str) -> bool:
    """What the kernel says of itself in its own advertisements."""
    try:
        return Path(f"/proc/sys/net/ipv6/conf/{interface}/forwarding").read_text(encoding="ascii").strip() != "0"
    except OSError:
        return False
