"""Hands off: the node applies nothing until `yaoki resume`. VIPs go on by themselves, checks go on, and are shown.

examples:
  yaoki pause
  yaoki status                     says PAUSED as long as it lasts
  yaoki resume
"""

import argparse

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.operate import operate
from yaoki.node.decisions import Pause


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Pause."""
    return operate(args, Pause(), "PAUSED: nothing is applied until `yaoki resume`")
