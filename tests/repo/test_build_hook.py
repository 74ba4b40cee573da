"""The build hook of the package: what becomes of an installation where clang is, and where it is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, types

class BuildHookInterface:
    "What hatchling's own has, as far as the hook uses it."

for name in ("hatchling", "hatchling.builders", "hatchling.builders.hooks", "hatchling.builders.hooks.plugin"):
    sys.modules[name] = types.ModuleType(name)
interface = types.ModuleType("hatchling.builders.hooks.plugin.interface")
interface.BuildHookInterface = BuildHookInterface
sys.modules[interface.__name__] = interface

from hatch_build import BpfBuildHook

class App:
    def display_warning(self, text):
        print("warning:", text)

hook = BpfBuildHook()
hook.root, hook.target_name, hook.app = sys.argv[1], "wheel", App()
data = {"artifacts": []}
hook.initialize("standard", data)
print(len(data["artifacts"]), "artifacts")
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for directory in ("src/yaoki/linux/bpf", "src/yaoki/lab/plays"):
        shutil.copytree(ROOT / directory, tmp_path / directory, ignore=shutil.ignore_patterns("*.o", "__pycache__"))
    return tmp_path


def built(sources: Path, choice: str, *, clang: bool) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "YAOKI_CLANG"}
    environment |= {"PYTHONPATH": str(ROOT), "YAOKI_BPF": choice}
    if not clang:
        environment["PATH"] = str(sources)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(sources)],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_clang_the_package_is_made_and_says_which_plane_is_left(sources: Path) -> None:
    done = built(sources, "auto", clang=False)
    assert done.returncode == 0
    assert "without BPF, nftables balances: clang is not here to compile it; apt install clang" in done.stdout
    assert done.stdout.endswith("0 artifacts\n")


def test_who_requires_bpf_gets_no_package_without_it(sources: Path) -> None:
    done = built(sources, "require", clang=False)
    assert done.returncode == 1
    assert done.stderr.startswith("YAOKI_BPF=require: balancer cannot be built: clang is not here")


def test_who_skips_bpf_is_told_nothing(sources: Path) -> None:
    assert built(sources, "skip", clang=True).stdout == "0 artifacts\n"
    assert list(sources.rglob("*.bpf.o")) == []


def test_with_clang_every_program_is_built_and_packed(sources: Path) -> None:
    done = built(sources, "require", clang=True)
    assert (done.returncode, done.stdout) == (0, "2 artifacts\n"), done.stderr
    assert len(list(sources.rglob("*.bpf.o"))) == 2


def test_a_wrong_choice_names_the_right_ones(sources: Path) -> None:
    done = built(sources, "maybe", clang=True)
    assert done.stderr.strip() == "YAOKI_BPF=maybe: it is one of auto, require, skip"
