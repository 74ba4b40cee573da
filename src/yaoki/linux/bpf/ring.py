"""What a program tells user space through a ring buffer, by libbpf.so.1 through ctypes.

The library keeps the order in which memory must be read and the reader's place must be written; here is only who is
called. What there is no room for the program drops, and nobody is told.

Limit: AT_ONCE records in one read.
"""

import ctypes
import errno
from functools import cache

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf.maps import BpfMap
from yaoki.linux.bpf.object import LIBRARY

AT_ONCE = 512

_HEAR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class RingReader:
    """Reads one map of the kind; there must be no other reader. Raises ActuatorError."""

    def __init__(self, map_: BpfMap) -> None:
        self._heard: list[bytes] = []
        self._hear = _HEAR(self._take)
        """Kept for as long as the library may call it."""
        self._library = _library()
        self._ring = self._library.ring_buffer__new(map_.descriptor, self._hear, None, None)
        if not self._ring:
            number = ctypes.get_errno()
            raise ActuatorError(f"BPF map {map_.name}: listen", errno.errorcode.get(number, str(number)), errno=number)

    def fileno(self) -> int:
        """Readable when there is something to read."""
        descriptor: int = self._library.ring_buffer__epoll_fd(self._ring)
        return descriptor

    def read(self) -> list[bytes]:
        """What was told since the last time, AT_ONCE records at most. Does not block."""
        self._heard = []
        self._library.ring_buffer__consume(self._ring)
        return self._heard

    def close(self) -> None:
        self._library.ring_buffer__free(self._ring)

    def _take(self, _: int, data: int, length: int) -> int:
        self._heard.append(ctypes.string_at(data, length))
        # Below zero the library stops, with this record read.
        return -errno.EAGAIN if len(self._heard) >= AT_ONCE else 0


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as error:
        raise ActuatorError(f"open {LIBRARY}", f"{error}; apt install libbpf1", errno=errno.ENOENT) from error
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("ring_buffer__new", pointer, [number, _HEAR, pointer, pointer]),
        ("ring_buffer__epoll_fd", number, [pointer]),
        ("ring_buffer__consume", number, [pointer]),
        ("ring_buffer__free", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
