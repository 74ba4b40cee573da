"""One way to command nftables: libnftables in this process, or the `nft` program where the library is missing.

The library is four functions by ctypes; it saves 5 ms of process start per transaction. Both take the same text, and
each text is one transaction: all of it takes effect at one instant, or none.
"""

import ctypes
import os
import socket
import stat
import subprocess
from contextlib import suppress
from ctypes.util import find_library
from typing import Protocol

from yaoki.core.error import ActuatorError

LIBRARY = "libnftables.so.1"
PROGRAM_TIMEOUT_S = 60
_NETLINK_NETFILTER = 12


class NftSession(Protocol):
    """Runs nft commands in the network namespace of the process that made it."""

    def run(self, text: str, /, *, purpose: str) -> None:
        """One transaction. Raises ActuatorError with nft's words; then nothing has changed."""
        ...


def open_session() -> NftSession:
    """The library if it can be loaded, else the program."""
    try:
        return LibrarySession()
    except OSError:
        return ProgramSession()


def netfilter_sockets() -> list[int]:
    """The descriptors of this process's netfilter sockets, those of the library among them."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            number = int(name)
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                # On a duplicate, for closing this object must not close the library's descriptor.
                with socket.socket(fileno=os.dup(number)) as sock:
                    kind = (
                        sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN),
                        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL),
                    )
                if kind == (socket.AF_NETLINK, _NETLINK_NETFILTER):
                    found.append(number)
    return sorted(found)


class LibrarySession:
    """libnftables by ctypes. Raises OSError when it cannot be loaded."""

    def __init__(self) -> None:
        library = ctypes.CDLL(find_library("nftables") or LIBRARY)
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name).restype = ctypes.c_char_p
        self._library = library
        self._context = library.nft_ctx_new(0)
        if not self._context:
            raise OSError("nft_ctx_new failed")
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self._library.nft_ctx_free(self._context)

    def run(self, text: str, /, *, purpose: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()):
            raise refusal(purpose, self._errors())
        self._library.nft_ctx_get_output_buffer(self._context)

    def _errors(self) -> str:
        return str(self._library.nft_ctx_get_error_buffer(self._context).decode(errors="replace"))


class ProgramSession:
    """The nft program, one process per transaction."""

    def run(self, text: str, /, *, purpose: str) -> None:
        done = self._nft(["-f", "-"], text)
        if done.returncode:
            raise refusal(purpose, done.stderr)

    def _nft(self, arguments: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, check=False, timeout=PROGRAM_TIMEOUT_S
        )


def refusal(purpose: str, errors: str) -> ActuatorError:
    """nft's complaint: its first line of reason, and the line of ours that it points at."""
    lines = [line for line in errors.splitlines() if line.strip()]
    return ActuatorError(f"nft: {purpose}", " | ".join(lines[:2])[:2000] or "no reason given")
