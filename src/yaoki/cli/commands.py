"""The table of commands. To add one: write yaoki/cli/NAME.py with `configure` and `run`, and add a line here.

A command's module is imported only when the command is asked for, so that `yaoki status` does not wait for what only
`yaoki lab` needs; tests/cli/test_commands.py imports every one of them and checks its shape.
"""

import argparse
import importlib
from dataclasses import dataclass
from typing import Protocol, cast


class CommandModule(Protocol):
    """What the module of a command provides; its docstring is the text of `yaoki NAME --help`, examples included."""

    __doc__: str | None

    def configure(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the arguments; `-j/--json` (args.json) is there already."""
        ...

    def run(self, args: argparse.Namespace, /) -> int:
        """Carry it out; the result is the exit status. YaokiErrors are printed by the caller."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, one line of help, and the module that carries it out. `hidden` keeps it out of --help."""

    name: str
    help: str
    module: str
    hidden: bool = False

    def load(self) -> CommandModule:
        """Import the module of the command."""
        return cast(CommandModule, importlib.import_module(self.module))


COMMANDS: tuple[Command, ...] = (
    Command("check", "find everything wrong with a site file", "yaoki.cli.check"),
    Command("plan", "show what a new site file would change, and what that costs", "yaoki.cli.plan"),
    Command("apply", "put a site file in force on the running node", "yaoki.cli.apply"),
    Command("import", "make a site file of another product's configuration", "yaoki.cli.import_"),
    Command("export", "write the services of a site for another product", "yaoki.cli.export"),
    Command("schema", "print the JSON Schema of the site file, for editors", "yaoki.cli.schema"),
    Command("node", "run a node: the daemon", "yaoki.cli.node"),
    Command("witness", "keep the leases of a site of two nodes, on a third machine", "yaoki.cli.witness"),
    Command("status", "show how a node is, every value with its age and evidence", "yaoki.cli.status"),
    Command("show", "show VIPs, virtual services (as ipvsadm -Ln) or checks", "yaoki.cli.show"),
    Command("why", "which server a flow gets and why; why a VIP is where it is", "yaoki.cli.why"),
    Command("events", "show what happened and what caused it", "yaoki.cli.events"),
    Command("server", "drain a real server, take it out, bring it back, change its weight", "yaoki.cli.server"),
    Command("service", "add a virtual service or a server of one; serve one or not", "yaoki.cli.service"),
    Command("verify", "prove that the servers of a service are right for direct return", "yaoki.cli.verify"),
    Command("capture", "record a virtual service, and judge which way its replies go", "yaoki.cli.capture"),
    Command("realserver", "set up a real server for direct return", "yaoki.cli.realserver"),
    Command("vip", "hand a VIP over to another node, or let this one own it again", "yaoki.cli.vip"),
    Command("shell", "look at the network from a node: ping, arping, routes ..., and nothing else", "yaoki.cli.shell"),
    Command("pause", "hands off: apply nothing", "yaoki.cli.pause"),
    Command("resume", "end a pause", "yaoki.cli.resume"),
    Command("restart", "restart the node process; nobody notices", "yaoki.cli.restart"),
    Command("upgrade", "replace a node's processes by those installed now", "yaoki.cli.upgrade"),
    Command("lab", "build a site in network namespaces on this machine", "yaoki.cli.lab"),
    Command("rehearse", "break every part of a site in its lab and measure the outages", "yaoki.cli.rehearse"),
    Command("sim", "simulate a site: the shipped engines in worlds of faults, from seeds", "yaoki.cli.sim"),
    Command("doctor", "what this kernel and machine can do, and what a lack means", "yaoki.cli.doctor"),
    Command("stop", "give up VIPs and end a node", "yaoki.cli.stop"),
)
