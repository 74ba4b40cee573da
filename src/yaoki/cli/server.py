"""Take a real server out of its services and back in, or change its weight. It holds until taken back.

  drain    no new flows; those it has stay until they end
  maint    out at once, its flows are scheduled anew, its checks stop
  ready    back as the site file says, once its checks pass
  weight   another weight than the file's, 0..65535; `file` goes back to the file's

A decision outlives restarts. It concerns this node; do the same on the others that may own the VIP.

examples:
  yaoki server drain web1
  yaoki server drain web1 --service api --wait     until it has no flows left, for rolling deploys
  yaoki server maint web1
  yaoki server ready web1
  yaoki server weight web1 200 --service web
"""

import argparse
import time

from yaoki.cli.node_client import NodeClient, add_node_arguments, connect
from yaoki.cli.operate import operate
from yaoki.cli.prefix import expand
from yaoki.cli.typed import amount, whole_number
from yaoki.core.error import UsageError
from yaoki.node.decisions import OperatorCommand, SetServerAdmin, SetServerWeight
from yaoki.node.snapshot import NodeView
from yaoki.pool.member import AdminState

_ACTIONS = ("drain", "maint", "ready", "weight")
_POLL_S = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", metavar="drain|maint|ready|weight", help="what to do with it")
    parser.add_argument("server", help="the host's name in the site file")
    parser.add_argument("weight", nargs="?", help='for the action weight: the weight, or "file"')
    parser.add_argument("--service", metavar="NAME", help="in this service only")
    parser.add_argument("--wait", action="store_true", help="after drain: wait until it has no flows left")
    parser.add_argument(
        "--timeout", type=amount, default=600.0, metavar="S", help="how long --wait waits (default 600)"
    )
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Decide about a server."""
    action = expand(args.action, _ACTIONS, what="action")
    if (args.weight is not None) != (action == "weight"):
        raise UsageError("a weight goes with the action weight, and only with it")
    if args.wait and action != "drain":
        raise UsageError("--wait goes with the action drain, and only with it")
    command, said = _command(action, args)
    status = operate(args, command, said)
    if args.wait:
        _wait(args)
    return status


def _command(action: str, args: argparse.Namespace) -> tuple[OperatorCommand, str]:
    where = f" in {args.service}" if args.service is not None else ""
    if action == "weight":
        weight = None if args.weight == "file" else _weight(args.weight)
        told = "as the file says" if weight is None else str(weight)
        return SetServerWeight(args.server, weight, args.service), f"{args.server}: weight {told}{where}"
    return SetServerAdmin(args.server, AdminState(action), args.service), f"{args.server}: {action}{where}"


def _weight(text: str) -> int:
    weight = whole_number(text)
    if weight is None:
        raise UsageError(f'"{text}" is no weight; 0..65535, or "file" for that of the site file')
    return weight


def _wait(args: argparse.Namespace) -> None:
    until = time.monotonic() + args.timeout
    with connect(args) as client:
        while (flows := _flows_left(_counted(client), args)) != 0:
            if time.monotonic() > until:
                left = "an unknown number of" if flows is None else flows
                raise UsageError(f"{args.server} still has {left} flows after {args.timeout:g} s")
            time.sleep(_POLL_S)


def _counted(client: NodeClient) -> NodeView:
    view: NodeView = client.ask_for(NodeView, "status", counted=True, flows=True)
    return view


def _flows_left(node: NodeView, args: argparse.Namespace) -> int | None:
    """As `open_flows`. Raises UsageError of a node that keeps sending new ones until a person says otherwise."""
    if node.paused and not node.balancer.in_force:
        raise UsageError(
            f"{node.node} is paused, so {args.server} goes on getting new flows; `yaoki resume` drains it, then wait"
        )
    return open_flows(node, args.server, args.service)


def open_flows(node: NodeView, server: str, service: str | None) -> int | None:
    """How many flows a server has, in one service or in all; None where the kernel does not tell."""
    counts = [
        each.count
        for found in node.services
        if found.enabled and service in (None, found.name)
        for each in found.servers
        if each.name == server
    ]
    flows = [count.flows for count in counts if count is not None and count.flows is not None]
    return sum(flows) if len(flows) == len(counts) else None
