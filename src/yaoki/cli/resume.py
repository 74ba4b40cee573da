"""End a pause: what changed meanwhile is applied at once.

examples:
  yaoki resume
"""

import argparse

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.operate import operate
from yaoki.node.decisions import Resume


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Resume."""
    return operate(args, Resume(), "resumed")
