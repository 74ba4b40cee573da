"""What hinders the balancer's plane on BPF at an interface; nothing does, as a rule, on Linux 6.6 and later.

One rule for the node that chooses a plane and for `yaoki doctor`: the program can be had, loads and does as it should
(tried once in a process's life), and the interface is Ethernet with a tcx hook. Where that is so the program is
attached by tcx, which works on whatever is above a driver, too: bridges, bonds, VLANs, veth.
"""

import errno
import fcntl
import socket
import struct
from collections.abc import Iterator

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf import hooks
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.bpf.self_test import self_test

_SIOCGIFHWADDR = 0x8927
_REQUEST = struct.Struct("=16sH22x")
_ETHERNET, _LOOPBACK = 1, 772
"""linux/if_arp.h, ARPHRD_..."""


class Carriers:
    """The interfaces of this network namespace."""

    def __init__(self) -> None:
        self._tried = False
        self._program_lacks: str | None = None

    def lacks(self, interface: str) -> str | None:
        """What hinders BPF there, in a few words; None if nothing does."""
        return self._lacks_program() or _interface_lacks(interface)

    def _lacks_program(self) -> str | None:
        if not self._tried:
            self._tried = True
            try:
                self_test()
            except ActuatorError as error:
                self._program_lacks = str(error)
        return self._program_lacks


def _interface_lacks(name: str) -> str | None:
    """The same, if the program is there."""
    try:
        index = socket.if_nametoindex(name)
        kind = _hardware(name)
    except OSError:
        return f"there is no interface {name}"
    if kind != _ETHERNET:
        return f"{name} is no Ethernet interface"
    refused = hooks.refusal_of(Interface(name, index))
    if refused in (0, errno.ENOENT):
        return None
    return f"the kernel has no tcx hook at {name}; it came with Linux 6.6"


def carriers() -> Iterator[str]:
    """Interfaces that may have addresses: all but the loopback, by name."""
    for interface in hooks.interfaces():
        try:
            if _hardware(interface.name) != _LOOPBACK:
                yield interface.name
        except OSError:
            continue  # it has just gone


def _hardware(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        answer = fcntl.ioctl(asked, _SIOCGIFHWADDR, _REQUEST.pack(name.encode(), 0))
    kind: int = _REQUEST.unpack(answer)[1]
    return kind
