"""What an interface is below IP: its kind, its MAC, what its card does with VLAN tags. Asked by ioctl, netdevice(7)."""

import array
import errno
import fcntl
import socket
import struct
from dataclasses import dataclass
from typing import Final

from yaoki.core.address import MacAddress

ETHERNET: Final = 1
LOOPBACK: Final = 772
"""linux/if_arp.h, ARPHRD_..."""

_SIOCETHTOOL, _SIOCGIFHWADDR = 0x8946, 0x8927
_REQUEST = struct.Struct("=16sH22x")
_POINTER_REQUEST = struct.Struct("@16sP16x")
_ETHTOOL_GFLAGS, _TAKES_TAGS_OFF = 0x25, 1 << 8
"""linux/ethtool.h, ETH_FLAG_RXVLAN"""


@dataclass(frozen=True, slots=True)
class Hardware:
    """`kind` is one of ARPHRD_...; only Ethernet and the loopback have a MAC here."""

    kind: int
    mac: MacAddress | None


def hardware(interface: str) -> Hardware:
    """Raises OSError: there is no such interface."""
    answer = _ioctl(_SIOCGIFHWADDR, _REQUEST.pack(interface.encode(), 0))
    kind: int = _REQUEST.unpack(answer)[1]
    return Hardware(kind, MacAddress(answer[18:24]) if kind in (ETHERNET, LOOPBACK) else None)


def takes_tags_off(interface: str) -> bool:
    """Whether VLAN tags of what arrives are taken off before anybody sees the frame, and kept beside it. Raises
    OSError: there is no such interface."""
    value = array.array("I", (_ETHTOOL_GFLAGS, 0))
    try:
        _ioctl(_SIOCETHTOOL, _POINTER_REQUEST.pack(interface.encode(), value.buffer_info()[0]))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EPERM):
            raise
        return False
    return bool(value[1] & _TAKES_TAGS_OFF)


def _ioctl(request: int, argument: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        return fcntl.ioctl(asked, request, argument)
