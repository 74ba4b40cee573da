"""Find out what this kernel and machine can do: each ability with the evidence, and what its lack means.

Last comes what each interface can carry: the balancer plane that direct return has there, and why.
It is tried, not guessed; what would change the machine is tried in a network namespace made for the purpose. Exit
status 0: a node can run here; 1: something that every node needs is missing.

examples:
  yaoki doctor
  yaoki -j doctor | jq '.[] | select(.ability == "no")'
"""

import argparse
import sys

from yaoki.cli.output import Paint, print_json
from yaoki.cli.table import table
from yaoki.linux.capabilities import Ability, Capability, examine


def configure(parser: argparse.ArgumentParser) -> None:
    """There are no arguments of its own."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Try everything and print it."""
    found = examine()
    missing = [capability for capability in found if capability.needed and capability.ability is Ability.NO]
    if args.json:
        print_json(found)
        return int(bool(missing))
    paint = Paint(sys.stdout)
    for line in table([_row(capability, paint) for capability in found]):
        print(line)
    if missing:
        print(paint.red(f"no node can run here: {', '.join(capability.name for capability in missing)}"))
    return int(bool(missing))


def _row(capability: Capability, paint: Paint) -> tuple[str, ...]:
    colour = {Ability.YES: paint.green, Ability.NO: paint.red}.get(capability.ability, paint.yellow)
    meaning = "" if capability.ability is Ability.YES else capability.consequence
    return (capability.name, colour(capability.ability.value), capability.evidence, meaning)
