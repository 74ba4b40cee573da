"""Decide about a VIP on this node: hand it over to another node, or let this one own it again.

  move     another node takes it over, without a lost packet; this one owns it only if nobody else does, until admitted
  admit    it may be owned here again: after a move, after a return that failback: manual holds out, or where the VIP is
           stateful and this node waits in quarantine: say so only if the data here is current

A move outlives restarts. It is refused if nobody could take over.

examples:
  yaoki vip move web-vip                  before this machine is worked on
  yaoki vip move web-vip --to lb2         refused if another would come before lb2
  yaoki vip admit web-vip
"""

import argparse

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.operate import operate
from yaoki.cli.prefix import expand
from yaoki.core.error import UsageError
from yaoki.node.decisions import AdmitVip, MoveVip

_ACTIONS = ("admit", "move")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", metavar="admit|move", help="what to do with it")
    parser.add_argument("vip", help="its name in the site file")
    parser.add_argument("--to", metavar="NODE", help="with move: the node that shall take over")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Admit or move a VIP."""
    action = expand(args.action, _ACTIONS, what="action")
    if action == "move":
        return operate(args, MoveVip(args.vip, args.to), f"{args.vip} is handed over until it is admitted here")
    if args.to is not None:
        raise UsageError("--to goes with the action move, and only with it")
    return operate(args, AdmitVip(args.vip), f"{args.vip} may be owned here")
