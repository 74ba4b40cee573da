"""Serve a virtual service or not, whatever the site file says; it holds until taken back, restarts included.

A service that is disabled has its flows cut, and who connects is refused at once. Its VIP stays where it is and goes on
answering ARP and ND, for other services may be on it; with "yaoki stop" a node gives its VIPs away. To let flows end
first, drain the servers.

examples:
  yaoki service disable api        new connections to it are answered as if nobody listened
  yaoki service enable api
"""

import argparse

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.operate import operate
from yaoki.cli.prefix import expand
from yaoki.node.decisions import SetServiceEnabled


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", metavar="enable|disable", help="what to do with it")
    parser.add_argument("service", help="its name in the site file")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Switch a service."""
    action = expand(args.action, ("enable", "disable"), what="action")
    return operate(args, SetServiceEnabled(args.service, action == "enable"), f"{args.service}: {action}d")
