"""The tcx hook of an interface: what is attached at its ingress, by whom, and attaching, replacing and taking away.

What is attached lives as long as the interface, whatever becomes of processes and mounts; it is found again at the
interface itself. A program takes another's place at one instant: no packet passes by neither.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from yaoki.linux.bpf.maps import BpfMap
from yaoki.linux.bpf.program import Program
from yaoki.linux.bpf.syscall import Command, address, attempt, bpf, room

PROGRAM = "balance_tc"
"""The name of ours."""
MOST_PROGRAMS = 64
"""At one hook: the kernel's own limit."""
MOST_MAPS = 64

_TCX_INGRESS = 46
_REPLACE = 4
_ATTACH = struct.Struct("=IIIIIIQ")
_QUERY = struct.Struct("=IIIIQI")
_COUNT_AT = 24
_INFO_LENGTH, _MAP_COUNT_AT, _MAP_IDS_AT, _NAME_AT = 80, 52, 56, 64
_NAME_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface, by name and number."""

    name: str
    index: int


def interfaces() -> Iterator[Interface]:
    """Those of this network namespace."""
    for index, name in socket.if_nameindex():
        yield Interface(name, index)


def attach(program: Program, interface: Interface) -> None:
    """Behind whatever is there. Raises ActuatorError."""
    attributes = _ATTACH.pack(interface.index, program.descriptor, _TCX_INGRESS, 0, 0, 0, 0)
    bpf(Command.PROGRAM_ATTACH, attributes, change=f"BPF: attach {program.name} to {interface.name}")


def replace(program: Program, interface: Interface, *, old: Program) -> None:
    """In the place of another one. Raises ActuatorError."""
    attributes = _ATTACH.pack(interface.index, program.descriptor, _TCX_INGRESS, _REPLACE, old.descriptor, 0, 0)
    bpf(Command.PROGRAM_ATTACH, attributes, change=f"BPF: replace {program.name} at {interface.name}")


def detach(program: Program, interface: Interface) -> None:
    """No error if it, or the interface, is not there any more. Raises ActuatorError for anything else."""
    attributes = _ATTACH.pack(interface.index, program.descriptor, _TCX_INGRESS, 0, 0, 0, 0)
    _, number, _ = attempt(Command.PROGRAM_DETACH, attributes)
    if number not in (0, errno.ENOENT, errno.ENODEV, errno.EINVAL):
        bpf(Command.PROGRAM_DETACH, attributes, change=f"BPF: detach {program.name} from {interface.name}")


def attached(interface: Interface) -> Iterator[Program]:
    """All programs at an interface's ingress; the caller closes them. Raises ActuatorError."""
    ids = room(4 * MOST_PROGRAMS)
    attributes = _QUERY.pack(interface.index, _TCX_INGRESS, 0, 0, address(ids), MOST_PROGRAMS)
    _, number, after = attempt(Command.PROGRAM_QUERY, attributes)
    if number:
        # No hook of this kind has ever been used at the interface, or the kernel is older than 6.6.
        return
    (count,) = struct.unpack_from("=I", after, _COUNT_AT)
    for (id_,) in list(struct.iter_unpack("=I", ids.raw))[:count]:
        program = program_of(id_)
        if program is not None:
            yield program


def program_of(number: int) -> Program | None:
    """By the kernel's own number, None if it is gone; the caller closes it."""
    descriptor, refused, _ = attempt(Command.PROGRAM_BY_ID, struct.pack("=I", number))
    return None if refused else Program(descriptor, _name(descriptor))


def refusal_of(interface: Interface) -> int:
    """The errno of asking an interface for its programs: ENOENT for none, EINVAL where there are no such hooks."""
    attributes = _QUERY.pack(interface.index, _TCX_INGRESS, 0, 0, 0, 0)
    _, number, _ = attempt(Command.PROGRAM_QUERY, attributes)
    return number


def map_numbers(program: Program) -> list[int]:
    """The kernel's own numbers of the maps that a program uses or is bound to. Raises ActuatorError."""
    ids, info = room(4 * MOST_MAPS), bytearray(_INFO_LENGTH)
    struct.pack_into("=I", info, _MAP_COUNT_AT, MOST_MAPS)
    struct.pack_into("=Q", info, _MAP_IDS_AT, address(ids))
    after = _info(program.descriptor, bytes(info))
    (count,) = struct.unpack_from("=I", after, _MAP_COUNT_AT)
    return [id_ for (id_,) in struct.iter_unpack("=I", ids.raw)][:count]


def maps_of(program: Program) -> dict[str, BpfMap]:
    """The maps that a program uses or is bound to, by name; the caller closes them. Raises ActuatorError."""
    found = {}
    for id_ in map_numbers(program):
        descriptor, _ = bpf(Command.MAP_BY_ID, struct.pack("=I", id_), change=f"BPF: open map {id_}")
        name = _text(_info(descriptor, bytes(_INFO_LENGTH))[_NAME_AT - 40 : _NAME_AT - 40 + _NAME_LENGTH])
        found[name] = BpfMap(descriptor, name)
    return found


def bind(program: Program, map_: BpfMap) -> None:
    """Let a map live as long as a program does that does not use it itself. Raises ActuatorError."""
    attributes = struct.pack("=III", program.descriptor, map_.descriptor, 0)
    bpf(Command.PROGRAM_BIND_MAP, attributes, change=f"BPF: bind {map_.name} to {program.name}")


def number_of(program: Program) -> int:
    """The kernel's own number of a program. Raises ActuatorError."""
    number: int = struct.unpack_from("=I", _info(program.descriptor, bytes(_INFO_LENGTH)), 4)[0]
    return number


def _name(descriptor: int) -> str:
    return _text(_info(descriptor, bytes(_INFO_LENGTH))[_NAME_AT : _NAME_AT + _NAME_LENGTH])


def _info(descriptor: int, before: bytes) -> bytes:
    info = room(len(before))
    info.raw = before
    attributes = struct.pack("=IIQ", descriptor, len(before), address(info))
    bpf(Command.OBJECT_INFO, attributes, change="BPF: ask what it is")
    return info.raw


def _text(octets: bytes) -> str:
    return octets.partition(b"\0")[0].decode()
