"""Compiles the BPF programs when a wheel or an editable installation is made.

`YAOKI_BPF` says how: `auto` (without clang the package is made all the same, and says which balancer plane is left),
`require` (without clang there is no package), `skip`. The object lies beside its source, where the loader looks for it;
byte code is the same for every processor of one byte order, so the wheel stays one for all.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAMS = {"balancer": "src/yaoki/linux/bpf", "tunnel_end": "src/yaoki/lab/plays"}
"""Where their sources are."""
CHOICES = ("auto", "require", "skip")


class BpfBuildHook(BuildHookInterface):
    """Called by hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        choice = os.environ.get("YAOKI_BPF", "auto")
        if choice not in CHOICES:
            raise SystemExit(f"YAOKI_BPF={choice}: it is one of {', '.join(CHOICES)}")
        if choice == "skip" or self.target_name != "wheel":
            return
        build = _builder(Path(self.root) / "src/yaoki/linux/bpf/build.py")
        for program, directory in PROGRAMS.items():
            try:
                found = build.object_file(program, Path(self.root) / directory)
            except build.CannotBuild as error:
                if choice == "require":
                    raise SystemExit(f"YAOKI_BPF=require: {program} cannot be built: {error}") from error
                self.app.display_warning(f"{program} is not built; without BPF, nftables balances: {error}")
                continue
            build_data["artifacts"].append(f"/{directory}/{found.name}")


def _builder(path: Path) -> ModuleType:
    """The package's own module, which needs nothing else of the package."""
    spec = importlib.util.spec_from_file_location("bpf_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
