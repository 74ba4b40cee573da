"""Behind which port of a bridge a MAC address is: its forwarding table, as one would ask a switch (rtnetlink(7)).

A virtual MAC is the same whoever owns it. The bridge has learnt its port from the very frame that is looked at, before
it sent that on.
"""

import socket
import struct
from contextlib import suppress

from yaoki.core.address import MacAddress
from yaoki.linux.attributes import attribute, message, messages
from yaoki.vrrp.virtual_mac import is_virtual

_NETLINK_ROUTE = 0
_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_REQUEST = 0x1
_PF_BRIDGE = 7
_NTF_MASTER = 0x04
_NDA_LLADDR, _NDA_MASTER = 2, 9
_NDMSG = struct.Struct("=BxHiHBB")
_BUFFER = 65536


class SwitchTable:
    """Those of the bridges in this namespace; `ports` are the machines' MACs by the names of the bridges' ports."""

    def __init__(self, ports: dict[str, str]) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._machines: dict[int, str] = {}
        for name, mac in ports.items():
            with suppress(OSError):  # a cable that is not plugged in
                self._machines[socket.if_nametoindex(name)] = mac
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def sender(self, bridge: int, mac: bytes) -> str:
        """The MAC of the machine that has sent from `mac` last, which is mostly the same."""
        if is_virtual(MacAddress(mac)):
            return self._machines.get(self._port(bridge, mac), mac.hex(":"))
        return mac.hex(":")

    def _port(self, bridge: int, mac: bytes) -> int:
        """The index of a port; 0 if the bridge does not know the MAC."""
        self._sequence += 1
        body = _NDMSG.pack(_PF_BRIDGE, 0, 0, 0, _NTF_MASTER, 0)
        body += attribute(_NDA_LLADDR, mac) + attribute(_NDA_MASTER, struct.pack("=I", bridge))
        self._socket.send(message(_RTM_GETNEIGH, _REQUEST, self._sequence, body))
        while True:
            for kind, sequence, answer in messages(self._socket.recv(_BUFFER)):
                if sequence == self._sequence:
                    return int(_NDMSG.unpack_from(answer)[2]) if kind == _RTM_NEWNEIGH else 0
