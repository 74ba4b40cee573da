"""From an object file to programs and maps in the kernel, by libbpf.so.1 through ctypes.

The library opens the file, makes the maps, relocates the code and has it verified; descriptors of our own are taken
from it and it is closed. Its messages, which the verifier's are among, are kept for the error, a few lines of them.
"""

import ctypes
import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf.maps import BpfMap
from yaoki.linux.bpf.program import Program
from yaoki.linux.bpf.syscall import refusal

LIBRARY = "libbpf.so.1"
MOST_LINES = 200
"""Lines of libbpf's messages that are kept while it loads."""
SHOWN_LINES = 6
_LINE_LENGTH = 300
_MESSAGE_LENGTH = 1 << 16
_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class LoadedObject:
    """Programs and maps by the names that they have in the source."""

    programs: Mapping[str, Program]
    maps: Mapping[str, BpfMap]

    def close(self) -> None:
        """Let go of all of it; what is neither attached nor pinned is gone."""
        for program in self.programs.values():
            program.close()
        for map_ in self.maps.values():
            map_.close()


def load(
    path: Path, *, sizes: Mapping[str, int] | None = None, reuse: Mapping[str, BpfMap] | None = None
) -> LoadedObject:
    """Load an object. `sizes`: entries of maps, by name, in place of the source's; `reuse`: maps that are taken instead
    of new ones. Raises ActuatorError: no libbpf, no permission, refused by the verifier."""
    library, change = _library(), f"load {path.name}"
    with _ONE_AT_A_TIME:
        _said.clear()
        handle = library.bpf_object__open_file(os.fsencode(path), None)
        if not handle:
            raise _error(change, ctypes.get_errno())
        try:
            for name, found in _walk(library, handle, "map"):
                if sizes and name in sizes:
                    _check(library.bpf_map__set_max_entries(found, sizes[name]), f"{change}: size of {name}")
                if reuse and name in reuse:
                    _check(library.bpf_map__reuse_fd(found, reuse[name].descriptor), f"{change}: reuse {name}")
            _check(library.bpf_object__load(handle), change)
            return LoadedObject(
                {
                    name: Program(_own(library.bpf_program__fd(at)), name)
                    for name, at in _walk(library, handle, "program")
                },
                {name: BpfMap(_own(library.bpf_map__fd(at)), name) for name, at in _walk(library, handle, "map")},
            )
        finally:
            library.bpf_object__close(handle)


_ONE_AT_A_TIME = Lock()
_said: deque[str] = deque(maxlen=MOST_LINES)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as error:
        raise ActuatorError(f"open {LIBRARY}", f"{error}; apt install libbpf1", errno=errno.ENOENT) from error
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("bpf_object__open_file", pointer, [text, pointer]),
        ("bpf_object__load", number, [pointer]),
        ("bpf_object__close", None, [pointer]),
        ("bpf_object__next_map", pointer, [pointer, pointer]),
        ("bpf_object__next_program", pointer, [pointer, pointer]),
        ("bpf_map__name", text, [pointer]),
        ("bpf_map__fd", number, [pointer]),
        ("bpf_map__set_max_entries", number, [pointer, ctypes.c_uint32]),
        ("bpf_map__reuse_fd", number, [pointer, number]),
        ("bpf_program__name", text, [pointer]),
        ("bpf_program__fd", number, [pointer]),
        ("libbpf_set_print", pointer, [_PRINT]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.libbpf_set_print(_HEAR)
    return library


def _hear(_: int, form: bytes, arguments: int) -> int:
    text = ctypes.create_string_buffer(_MESSAGE_LENGTH)
    length: int = ctypes.CDLL(None).vsnprintf(text, _MESSAGE_LENGTH, form, ctypes.c_void_p(arguments))
    _said.extend(line[:_LINE_LENGTH] for line in text.value.decode(errors="replace").splitlines() if line.strip())
    return length


_HEAR = _PRINT(_hear)
"""Kept for as long as the library may call it: for ever."""


def _walk(library: ctypes.CDLL, handle: int, kind: str) -> Iterator[tuple[str, int]]:
    following, name = getattr(library, f"bpf_object__next_{kind}"), getattr(library, f"bpf_{kind}__name")
    at = following(handle, None)
    while at:
        yield name(at).decode(), at
        at = following(handle, at)


def _own(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 0)


def _check(result: int, change: str) -> None:
    if result < 0:
        raise _error(change, -result)


def _error(change: str, number: int) -> ActuatorError:
    """With libbpf's own last words; for a refusal of the verifier they end with the reason."""
    plain = refusal(change, number)
    if number in (errno.EPERM, errno.ENOSYS):
        return plain
    words = [line for line in _said if not line.startswith(("libbpf: map", "libbpf: elf: skipping"))]
    return ActuatorError(change, " | ".join([os.strerror(number), *words[-SHOWN_LINES:]]), errno=number)
