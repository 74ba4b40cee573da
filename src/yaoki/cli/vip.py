"""Let this node own a VIP again that it returned to and was held out of (failback: manual).

examples:
  yaoki vip admit web-vip
"""

import argparse

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.operate import operate
from yaoki.cli.prefix import expand
from yaoki.node.decisions import AdmitVip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", help="admit")
    parser.add_argument("vip", help="its name in the site file")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Admit a VIP."""
    expand(args.action, ("admit",), what="action")
    return operate(args, AdmitVip(args.vip), f"{args.vip} may be owned here")
