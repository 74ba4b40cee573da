"""`yaoki node` with a mistake in it: whoever asks for a service called "boom" crashes the process."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from yaoki import daemon
from yaoki.lb.service import Desired
from yaoki.linux.planes import Changes, SplitBalancer
from yaoki.linux.sysctl import SysctlKeeper
from yaoki.runtime.node import NodeOptions


class BreakingBalancer(SplitBalancer):
    def converge(self, desired: Desired) -> Changes:
        if any(service.name == "boom" for service in desired.services):
            raise KeyError("a mistake of ours")
        return super().converge(desired)


class BreakingKernel(daemon.LinuxKernel):
    def balancer(self, originals: Mapping[str, str], guard: Callable[[], None], /) -> BreakingBalancer:
        return BreakingBalancer(SysctlKeeper(originals), guard=guard)


def main(site: str, node: str, run_dir: str, state_dir: str) -> int:
    return daemon.run_node(NodeOptions(node, Path(site), Path(run_dir), Path(state_dir)), BreakingKernel())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
