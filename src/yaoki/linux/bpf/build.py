"""From the C source of a BPF program to the object that the loader takes, by clang.

The object lies beside its source and is named by a digest of all the sources, so one that was built from other sources
is never taken for it. The build hook of the package calls this when a wheel or an editable installation is made; where
no object came with the package, `object_file` builds it at its first use.

Deliberately without any import from this package: the hook runs before the package can be imported.
"""

import os
import shutil
import subprocess
from hashlib import blake2b
from pathlib import Path

HERE = Path(__file__).parent
COMPILE_LIMIT_S = 120
_FLAGS = ("-O2", "-g", "-mcpu=v3", "-Wall", "-Wextra", "-Werror", "-target", "bpf")
"""-g for the types (BTF), -mcpu=v3 for atomic operations that return a value (Linux 5.12)."""


class CannotBuild(Exception):
    """No object can be made here; the text says why, and the cure."""


def object_file(program: str, directory: Path = HERE) -> Path:
    """The object of `program`, built now if it is not there. Raises CannotBuild."""
    found = object_path(program, directory)
    return found if found.exists() else build(program, directory)


def object_path(program: str, directory: Path = HERE) -> Path:
    """Where the object of the sources as they are now lies, or would."""
    sources = sorted([directory / f"{program}.bpf.c", *directory.glob("*.h")])
    digest = blake2b(" ".join(_FLAGS).encode(), digest_size=6)
    for source in sources:
        digest.update(b"\0" + source.name.encode() + b"\0" + source.read_bytes())
    return directory / f"{program}-{digest.hexdigest()}.bpf.o"


def build(program: str, directory: Path = HERE) -> Path:
    """Compile, and take away objects of earlier sources. Raises CannotBuild."""
    clang = os.environ.get("YAOKI_CLANG") or shutil.which("clang")
    if clang is None:
        raise CannotBuild("clang is not here to compile it; apt install clang libbpf-dev")
    target = object_path(program, directory)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    headers = f"/usr/include/{os.uname().machine}-linux-gnu"
    command = [clang, *_FLAGS, f"-I{headers}", "-c", str(directory / f"{program}.bpf.c"), "-o", str(unfinished)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILE_LIMIT_S)
        if done.returncode:
            raise CannotBuild(_complaint(done.stderr))
        _strip(unfinished)
        unfinished.rename(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(str(error)) from error
    finally:
        unfinished.unlink(missing_ok=True)
    for other in directory.glob(f"{program}-*.bpf.o"):
        if other != target:
            other.unlink(missing_ok=True)
    return target


def _strip(path: Path) -> None:
    """Without what only a debugger wants; the types stay. Where llvm-strip is missing the object is only larger."""
    strip = shutil.which("llvm-strip")
    if strip is not None:
        subprocess.run([strip, "-g", str(path)], check=False, capture_output=True, timeout=COMPILE_LIMIT_S)


def _complaint(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if "error:" in line] or errors.strip().splitlines()
    cure = "; apt install libbpf-dev" if "'bpf/bpf_" in errors else ""
    return (lines[0] if lines else "clang gave no reason")[:500] + cure
