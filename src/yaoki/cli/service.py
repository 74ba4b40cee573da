"""Add a virtual service to the site file, or one more real server to a service; or serve one or not.

  add          write a new virtual service into the file, with its real servers
  add-server   write one more real server of a service into it; with --address its host, too
  disable      serve it no longer, whatever the site file says; it holds until taken back, restarts included
  enable       serve it again

What is added is shown as a difference and examined as `yaoki check` does; if that finds an error, nothing is written.
Everything else in the file stays as it is, comments included; as it was before it is kept beside it. The running nodes
take it by `yaoki apply`, after `yaoki plan` has shown what it costs. Values are written as in the site file. Exit
status of add and add-server: 0 written (or, with --dry-run, it would be); 1 refused.

Who connects to a service that is disabled is refused at once, and its flows are cut; with "when-disabled: drain" in the
site file they go on to their end. Its VIP stays where it is and goes on answering ARP and ND, unless the site file has
"when-disabled: withdraw" at the VIP: then this node gives it up while every service on it is disabled. Do it on all
members, or another takes it.

examples:
  yaoki service add web --vip web-vip --listen tcp/80 --server web1 --server web2
  yaoki service add api --vip web-vip --listen tcp/8080 --forward fullnat --check port --server app1,port=8081
  yaoki service add ssh --vip web-vip --listen tcp/22 --persistence '{source: {timeout: 1h}}' --server web1 --dry-run
  yaoki service add-server web web3 --weight 500
  yaoki service add-server web web4 --address 192.0.2.24 --address 2001:db8:1::24 --site new.yaml
  yaoki service disable api        new connections to it are answered as if nobody listened
  yaoki service enable api
"""

import argparse
from pathlib import Path

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.operate import operate
from yaoki.cli.prefix import expand
from yaoki.cli.service_add import add, add_arguments, add_server, given
from yaoki.core.error import UsageError
from yaoki.node.decisions import SetServiceEnabled

SITE = Path("/etc/yaoki/site.yaml")
_ACTIONS = ("add", "add-server", "disable", "enable")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", metavar="add|add-server|disable|enable", help="what to do with it")
    parser.add_argument("service", help="its name in the site file")
    parser.add_argument("host", nargs="?", help="with add-server: the host of the real server")
    parser.add_argument("--site", type=Path, default=SITE, metavar="FILE", help=f"the site file (default {SITE})")
    parser.add_argument("--dry-run", action="store_true", help="with add and add-server: show it, and write nothing")
    add_arguments(parser)
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Add to the file, or switch a service."""
    args.action = expand(args.action, _ACTIONS, what="action")
    if args.action == "add":
        return add(args)
    if args.action == "add-server":
        return add_server(args)
    if odd := [*filter(None, [args.host]), *given(args)]:
        raise UsageError(f"{odd[0]} goes with the actions add and add-server, and only with them")
    return operate(args, SetServiceEnabled(args.service, args.action == "enable"), f"{args.service}: {args.action}d")
