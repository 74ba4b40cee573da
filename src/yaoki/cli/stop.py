"""Stop a node: its VIPs are handed over without a lost packet, then its processes end. A VIP that nobody takes over is
served a few advertisement intervals longer. The tables of its services stay, unless --cleanup.

examples:
  yaoki stop                       hand the VIPs over and end
  yaoki stop --cleanup             and leave nothing of ours in the kernel
"""

import argparse
import os
import select

from yaoki.cli.node_client import NodeClient, add_node_arguments, run_dir_of
from yaoki.cli.output import print_json
from yaoki.core.error import UsageError
from yaoki.runtime.requests import Life
from yaoki.vrrp.timing import LONGEST_LEAVING

# Twice the longest that virtual routers take to leave (asked, then told by a signal), and the rest.
WAIT_S = 2 * LONGEST_LEAVING.total_seconds() + 15.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--cleanup", action="store_true", help="remove tables, kernel settings, sockets and journal too"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait until it has ended")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and wait until the process has ended."""
    with NodeClient(run_dir_of(args)) as node:
        process = _watched(node.ask_for(Life, "life").pid)
        node.ask("stop", cleanup=args.cleanup)
    ended = args.no_wait or bool(select.select([process], [], [], WAIT_S)[0])
    os.close(process)
    if not ended:
        raise UsageError(f"the node has not ended within {WAIT_S:g} s; its log says what it waits for")
    if args.json:
        print_json({"stopped": not args.no_wait})
    return 0


def _watched(process: int) -> int:
    """What becomes readable when the process ends."""
    try:
        return os.pidfd_open(process)
    except ProcessLookupError as error:
        raise UsageError("the node has ended before it was told to stop; its log says why") from error
