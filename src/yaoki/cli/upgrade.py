"""Bring a running node to the version of Yaoki that is installed now: its processes are replaced, what they hold stays.

The node process, the check worker, the lease keeper and the flow copier are replaced without anybody noticing, unless a
lease lasts less than half a second. The speaker is replaced only with --speaker: the newer one starts beside it and
takes its place between two advertisements. Should it fail, the older one goes on, and an event says so.

examples:
  yaoki upgrade
  yaoki upgrade --speaker
"""

import argparse

from yaoki.cli.node_client import add_node_arguments, run_dir_of
from yaoki.cli.output import print_json
from yaoki.cli.renewal import renew
from yaoki.node.brain_events import Part


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--speaker", action="store_true", help="replace the speaker, too")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and wait until the new process answers."""
    parts = (Part.CHECKS, Part.LEASES, Part.FLOWS, *((Part.SPEAKER,) if args.speaker else ()))
    took = renew(run_dir_of(args), parts=parts)
    if args.json:
        print_json({"upgraded": ["node", *(part.value for part in parts)], "took": took})
    else:
        print(f"replaced the node process and {', '.join(part.value for part in parts)} in {took:.2f} s")
    return 0
