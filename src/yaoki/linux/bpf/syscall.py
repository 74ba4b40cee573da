"""The bpf(2) system call, by ctypes: commands of linux/bpf.h, attributes as bytes, refusals with reason and cure."""

import ctypes
import errno
import os
from enum import IntEnum
from functools import cache
from typing import Final

from yaoki.core.error import ActuatorError

ATTRIBUTES_LENGTH: Final = 160
"""Octets of `union bpf_attr` that are handed over; zeros behind what a kernel knows are no harm."""

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}


class Command(IntEnum):
    """enum bpf_cmd, those that are used here."""

    MAP_CREATE = 0
    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    MAP_DELETE = 3
    OBJECT_PIN = 6
    OBJECT_GET = 7
    PROGRAM_ATTACH = 8
    PROGRAM_DETACH = 9
    PROGRAM_TEST_RUN = 10
    PROGRAM_BY_ID = 13
    MAP_BY_ID = 14
    OBJECT_INFO = 15
    PROGRAM_QUERY = 16
    MAP_LOOKUP_BATCH = 24
    MAP_UPDATE_BATCH = 26
    MAP_DELETE_BATCH = 27
    PROGRAM_BIND_MAP = 35


Buffer = ctypes.Array[ctypes.c_char]


def buffer(octets: bytes) -> Buffer:
    """Octets at an address of their own, for as long as the result is referred to."""
    return ctypes.create_string_buffer(octets, max(len(octets), 1))


def room(length: int) -> Buffer:
    """Zeros for the kernel to write to."""
    return ctypes.create_string_buffer(max(length, 1))


def address(of: Buffer | None) -> int:
    """As the attributes want it; 0 is no buffer."""
    return 0 if of is None else ctypes.addressof(of)


def bpf(command: Command, attributes: bytes, *, change: str) -> tuple[int, bytes]:
    """What the call returns, and the attributes afterwards. Raises ActuatorError, with its errno."""
    result, number, after = attempt(command, attributes)
    if number:
        raise refusal(change, number)
    return result, after


def attempt(command: Command, attributes: bytes) -> tuple[int, int, bytes]:
    """The call's result, errno (0: none) and the attributes afterwards."""
    block = ctypes.create_string_buffer(attributes, ATTRIBUTES_LENGTH)
    ctypes.set_errno(0)
    result = _libc().syscall(_number(), int(command), block, ctypes.c_uint(ATTRIBUTES_LENGTH))
    return result, ctypes.get_errno() if result < 0 else 0, block.raw


class Prepared:
    """One call that is made again and again: nothing is built for it any more. What its attributes point to is kept."""

    def __init__(self, command: Command, attributes: bytes, *kept: Buffer) -> None:
        block = buffer(attributes)
        self._kept = (block, *kept)
        self._arguments = (
            ctypes.c_long(_number()),
            ctypes.c_int(command),
            ctypes.byref(block),
            ctypes.c_uint(len(attributes)),
        )
        self._call = _libc().syscall

    def __call__(self) -> int:
        """The errno, 0 for none."""
        return ctypes.get_errno() if self._call(*self._arguments) < 0 else 0


def refusal(change: str, number: int) -> ActuatorError:
    """What the kernel's number means here."""
    why = os.strerror(number)
    if number in (errno.EPERM, errno.EACCES):
        why += ": BPF needs CAP_BPF and CAP_NET_ADMIN; run as root, where no container or lockdown refuses bpf(2)"
    elif number == errno.ENOSYS:
        why += ": this kernel is built without bpf(2)"
    elif number == errno.E2BIG:
        why += ": the table is full"
    return ActuatorError(change, why, errno=number)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def is_known() -> bool:
    """Whether the call can be made at all on such a machine."""
    return os.uname().machine in _NUMBERS


@cache
def _number() -> int:
    machine = os.uname().machine
    number = _NUMBERS.get(machine)
    if number is None:
        raise ActuatorError("bpf", f"its system call number on {machine} is not known here", errno=errno.ENOSYS)
    return number
