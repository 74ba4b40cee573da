"""The inner loop of Maglev hashing in C (maglev.c), built where it is used, at the first use.

The library lies beside its source and is named by a digest of it. Where there is no compiler, or no place to write, the
loop in Python gives the same tables later (yaoki.pool.maglev).
"""

import ctypes
import os
import shutil
import subprocess
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from yaoki.pool.maglev import Fill, Walk

SOURCE = Path(__file__).with_name("maglev.c")
COMPILERS = ("clang", "gcc", "cc")
COMPILE_LIMIT_S = 60
_FLAGS = ("-O2", "-shared", "-fPIC", "-nostdlib", "-Wall", "-Wextra", "-Werror")


def native_fill(source: Path = SOURCE) -> Fill | None:
    """The loop, built now if it is not there; None if it cannot be."""
    path = library_path(source)
    if not path.exists() and not _built(source, path):
        return None
    try:
        function = ctypes.CDLL(str(path)).maglev_fill
    except (OSError, AttributeError):
        return None
    function.restype = None
    function.argtypes = [ctypes.c_uint32, ctypes.c_uint32, *[ctypes.c_void_p] * 5]

    def fill(walks: Sequence[Walk], quota: Sequence[int], size: int) -> tuple[int, ...]:
        positions = array("I", (walk.offset for walk in walks))
        skips = array("I", (walk.skip for walk in walks))
        shares, credits = array("I", quota), array("Q", bytes(8 * len(walks)))
        slots = array("I", bytes(4 * size))
        arrays = (positions, skips, shares, credits, slots)
        function(len(walks), size, *(each.buffer_info()[0] for each in arrays))
        return tuple(slots)

    return fill


def library_path(source: Path = SOURCE) -> Path:
    """Where the library of the source as it is now lies, or would."""
    digest = blake2b(" ".join(_FLAGS).encode() + b"\0" + source.read_bytes(), digest_size=6).hexdigest()
    return source.with_name(f"maglev-{os.uname().machine}-{digest}.so")


def _built(source: Path, path: Path) -> bool:
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return False
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    command = [compiler, *_FLAGS, str(source), "-o", str(unfinished)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=COMPILE_LIMIT_S)
        if done.returncode:
            return False
        unfinished.rename(path)
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    for other in path.parent.glob(f"maglev-{os.uname().machine}-*.so"):
        if other != path:
            other.unlink(missing_ok=True)
    return True
