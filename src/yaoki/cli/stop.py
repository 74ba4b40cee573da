"""Stop a node: its VIPs are given up, its processes end. The tables of its services stay, unless --cleanup.

examples:
  yaoki stop                       hand the VIPs over and end
  yaoki stop --cleanup             and leave nothing of ours in the kernel
"""

import argparse
import time
from pathlib import Path

from yaoki.cli.node_client import NodeClient, add_node_arguments, run_dir_of
from yaoki.cli.output import print_json
from yaoki.core.error import UsageError
from yaoki.runtime.run_dir import is_running

WAIT_S = 20.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--cleanup", action="store_true", help="remove tables, kernel settings, sockets and journal too"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait until it has ended")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and wait until the socket is gone."""
    run_dir = run_dir_of(args)
    with NodeClient(run_dir) as node:
        node.ask("stop", cleanup=args.cleanup)
        ended = args.no_wait or _wait(run_dir)
    if args.json:
        print_json({"stopped": ended})
    if not ended:
        raise UsageError(f"the node has not ended within {WAIT_S:g} s; its log says what it waits for")
    return 0


def _wait(run_dir: Path) -> bool:
    """The node holds the lock of its run directory until the very end."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if not is_running(run_dir):
            return True
        time.sleep(0.05)
    return False
