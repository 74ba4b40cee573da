"""The XDP hook of an interface, in its driver: what is attached there, by whom; attaching, replacing, taking away.

By rtnetlink, not by a BPF link: what is attached lives as long as the interface, as at the tcx hook. A program takes
another's place at one instant.

Invariants: attached in the driver or not at all, never in the kernel's generic mode; a program that is not ours is
neither displaced nor taken away.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attribute, attributes, nest
from yaoki.linux.bpf import hooks
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.bpf.program import Program
from yaoki.linux.macvlan import IFLA_LINKINFO, parse_kind
from yaoki.linux.netlink_question import ask
from yaoki.linux.rtnetlink import NETLINK_ROUTE, RTM_GETLINK

PROGRAM: Final = "balance_xdp"
"""The name of ours."""

# linux/rtnetlink.h, linux/if_link.h
_RTM_SETLINK = 19
_IFINFOMSG = struct.Struct("=BxHiII")
_IFLA_IFNAME, _IFLA_XDP = 3, 43
_XDP_FD, _XDP_FLAGS, _XDP_PROGRAM, _XDP_DRIVER_PROGRAM, _XDP_EXPECTED_FD = 1, 3, 4, 5, 8
_IF_NONE_IS_THERE, _DRIVER, _REPLACE = 0x1, 0x4, 0x10
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class XdpHook:
    """An interface as far as XDP goes. `kind` is that of a link which software makes ("veth"), empty for a card;
    `program` the kernel's number of the program in the driver, `elsewhere` that of one in generic mode or on the card;
    0: none."""

    interface: Interface
    kind: str
    program: int
    elsewhere: int


def look(interface: Interface) -> XdpHook:
    """Raises ActuatorError, if the interface is gone, too."""
    body = _IFINFOMSG.pack(0, 0, interface.index, 0, 0)
    found = ask(NETLINK_ROUTE, RTM_GETLINK, body, change=f"XDP: ask what is attached to {interface.name}")
    return _hook(found[0])


def look_everywhere() -> Iterator[XdpHook]:
    """All interfaces of this network namespace. Raises ActuatorError."""
    body = _IFINFOMSG.pack(0, 0, 0, 0, 0)
    for each in ask(NETLINK_ROUTE, RTM_GETLINK, body, change="XDP: ask what is attached", all_of_them=True):
        yield _hook(each)


def program_at(hook: XdpHook) -> Program | None:
    """The program in the driver; the caller closes it."""
    return hooks.program_of(hook.program) if hook.program else None


def ours() -> Iterator[tuple[Interface, Program]]:
    """Programs in drivers that bear the name of ours, in this network namespace; the caller closes them. Raises
    ActuatorError."""
    for hook in look_everywhere():
        program = program_at(hook)
        if program is not None and program.name == PROGRAM:
            yield hook.interface, program
        elif program is not None:
            program.close()


def attach(program: Program, interface: Interface) -> None:
    """Where there is none. Raises ActuatorError: there is one, or the driver refuses, with its words."""
    _set(interface, program.descriptor, _DRIVER | _IF_NONE_IS_THERE, change=f"XDP: attach to {interface.name}")


def replace(program: Program, interface: Interface, *, old: Program) -> None:
    """In the place of another one. Raises ActuatorError, if that is not there any more, too."""
    change = f"XDP: replace the program at {interface.name}"
    _set(interface, program.descriptor, _DRIVER | _REPLACE, expected=old.descriptor, change=change)


def detach(program: Program, interface: Interface) -> None:
    """No error if it, or the interface, is not there any more. Raises ActuatorError for anything else."""
    try:
        change = f"XDP: detach from {interface.name}"
        _set(interface, _NOBODY, _DRIVER | _REPLACE, expected=program.descriptor, change=change)
    except ActuatorError as error:
        if error.errno not in (errno.EEXIST, errno.ENOENT, errno.ENODEV):
            raise


def _set(interface: Interface, descriptor: int, flags: int, *, change: str, expected: int | None = None) -> None:
    asked = [attribute(_XDP_FD, struct.pack("=i", descriptor)), attribute(_XDP_FLAGS, struct.pack("=I", flags))]
    if expected is not None:
        asked.append(attribute(_XDP_EXPECTED_FD, struct.pack("=i", expected)))
    body = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, interface.index, 0, 0) + nest(_IFLA_XDP, *asked)
    ask(NETLINK_ROUTE, _RTM_SETLINK, body, change=change)


def _hook(body: bytes) -> XdpHook:
    _, _, index, _, _ = _IFINFOMSG.unpack_from(body)
    found = dict(attributes(body[_IFINFOMSG.size :]))
    name = found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="surrogateescape")
    xdp = dict(attributes(found.get(_IFLA_XDP, b"")))
    program, one = _number(xdp.get(_XDP_DRIVER_PROGRAM)), _number(xdp.get(_XDP_PROGRAM))
    kind = parse_kind(found.get(IFLA_LINKINFO, b""))
    return XdpHook(Interface(name, index), kind, program, 0 if one == program else one)


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(struct.unpack("=I", value)[0])
