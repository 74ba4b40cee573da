"""Carrying out an operator's command, as several commands do."""

import argparse

from yaoki.cli.node_client import connect
from yaoki.cli.output import print_json
from yaoki.node.decisions import OperatorCommand


def operate(args: argparse.Namespace, command: OperatorCommand, said: str) -> int:
    """Have the node do it, and say so."""
    with connect(args) as node:
        result = node.operate(command)
    event = result.get("event")
    if args.json:
        print_json({"done": True, "changed": event is not None, "event": event})
    else:
        print(said if event is not None else f"{said} (it was so already)")
    return 0
