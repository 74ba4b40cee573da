"""What hinders the balancer's plane on BPF at an interface; nothing does, as a rule, on Linux 6.6 and later.

One rule for the node that chooses a plane and for `yaoki doctor`: the program can be had, loads and does as it should
(tried once in a process's life), and the interface is Ethernet with a tcx hook. Where that is so the program is
attached by tcx, which works on whatever is above a driver, too: bridges, bonds, VLANs, veth.

By XDP it is attached as well where the file asks for it and the driver runs programs; what hinders that is known
before, for attaching may make a card pause.
"""

import errno
import socket
from collections.abc import Iterator

from yaoki.core.error import ActuatorError
from yaoki.linux import hardware, xdp_features
from yaoki.linux.bpf import hooks, xdp
from yaoki.linux.bpf.drivers import stranger
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.bpf.self_test import self_test

_UNFIT = {
    "veth": "tcx is the faster hook of a veth, and what XDP sends there is lost unless the other end runs XDP, too",
    "bond": "XDP of a bond runs at its members, and to the program their frames are not the bond's; tcx is at the bond",
}
"""Kinds of interface that run XDP in their drivers, or seem to, and where it is not wanted all the same."""


class Carriers:
    """The interfaces of this network namespace."""

    def __init__(self) -> None:
        self._tried = False
        self._program_lacks: str | None = None

    def lacks(self, interface: str) -> str | None:
        """What hinders BPF there, in a few words; None if nothing does."""
        return self._lacks_program() or _interface_lacks(interface)

    def lacks_xdp(self, interface: str) -> str | None:
        """What hinders XDP there, where BPF can be had; None if nothing is known to."""
        try:
            return _driver_lacks(Interface(interface, socket.if_nametoindex(interface)))
        except OSError:
            return f"there is no interface {interface}"
        except ActuatorError as error:
            return str(error)

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
        kind = hardware.hardware(name).kind
    except OSError:
        return f"there is no interface {name}"
    if kind != hardware.ETHERNET:
        return f"{name} is no Ethernet interface"
    refused = hooks.refusal_of(Interface(name, index))
    if refused in (0, errno.ENOENT):
        return None
    return f"the kernel has no tcx hook at {name}; it came with Linux 6.6"


def _driver_lacks(interface: Interface) -> str | None:
    hook = xdp.look(interface)
    if hook.kind in _UNFIT:
        return _UNFIT[hook.kind]
    if not xdp_features.features_of(interface) & xdp_features.BASIC:
        return f"the driver of {interface.name} runs no XDP programs"
    if hook.elsewhere:
        return f"the XDP program number {hook.elsewhere} is there, in generic mode or on the card"
    found = xdp.program_at(hook)
    if found is not None:
        try:
            if found.name != xdp.PROGRAM:
                return stranger(found)
        finally:
            found.close()
    if hardware.takes_tags_off(interface.name):
        # A frame of another VLAN would look as if it were none's, and be sent on as that.
        return f"{interface.name} takes VLAN tags off before XDP sees the frame; ethtool -K {interface.name} rxvlan off"
    return None


def carriers() -> Iterator[str]:
    """Interfaces that may have addresses: all but the loopback, by name."""
    for interface in hooks.interfaces():
        try:
            if hardware.hardware(interface.name).kind != hardware.LOOPBACK:
                yield interface.name
        except OSError:
            continue  # it has just gone
