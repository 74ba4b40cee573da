"""Shipped engines with one mistake each: the patches of tests/mutations, applied to a copy of the sources.

A patch that does not apply any more has to be made anew: copy src, make the same mistake by hand, `diff -ru src copy`.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATCHES = ROOT / "tests" / "mutations"


def patched(name: str, target: Path) -> Path:
    """A copy of src in `target` with the mutation of this name; to be put on PYTHONPATH."""
    shutil.copytree(ROOT / "src", target / "src", ignore=shutil.ignore_patterns("__pycache__"))
    command = ["patch", "-p1", "--batch", "--fuzz=2", "-d", str(target), "-i", str(PATCHES / f"{name}.patch")]
    applied = subprocess.run(command, capture_output=True, text=True, check=False)
    if applied.returncode != 0:
        pytest.fail(f"tests/mutations/{name}.patch does not apply any more; make it anew\n{applied.stdout}")
    return target / "src"
