"""Restart the node process and nothing else: VIPs, tables, flows and counters stay as they are.

examples:
  yaoki restart
"""

import argparse

from yaoki.cli.node_client import add_node_arguments, run_dir_of
from yaoki.cli.output import print_json
from yaoki.cli.renewal import renew


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and wait until the new process answers."""
    took = renew(run_dir_of(args), parts=())
    if args.json:
        print_json({"restarted": True, "took": took})
    else:
        print(f"restarted in {took:.2f} s")
    return 0
