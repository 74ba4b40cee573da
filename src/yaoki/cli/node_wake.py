"""`yaoki node wake SPARE`: switch a cold standby on from a machine that runs; its help is in yaoki.cli.node."""

import argparse
import time
from collections.abc import Iterable
from datetime import timedelta

from yaoki.cli.output import print_json, talk
from yaoki.cli.prefix import expand
from yaoki.core.address import MacAddress
from yaoki.core.error import ActuatorError, UsageError
from yaoki.linux.waker import wake
from yaoki.runtime.asking import Asked, ask
from yaoki.site.examine import accept_site
from yaoki.site.model import Machine
from yaoki.site.peers import paths

WAIT = timedelta(minutes=5)
"""Servers take minutes from their switch to their network."""
AGAIN_S = 10.0
"""The packet may be lost, and a switch port that has just come up lets nothing through."""


def wake_node(args: argparse.Namespace) -> int:
    """Send, and ask until it is there."""
    site = accept_site(args.site).site
    names = [node.name for node in site.nodes]
    spare, here = (site.machine(expand(name, names, what="node")) for name in (args.old, args.node))
    ways = tuple(_ways(spare, here))
    if not ways:
        raise UsageError(
            f"nothing says how {here.name} wakes {spare.name}; write wake-on-lan: MAC at an interface of {spare.name} "
            f"on a network that {here.name} is on"
        )
    begun = time.monotonic()
    found = _wake(spare, here, ways, begun + args.wait)
    waited_s = time.monotonic() - begun
    if args.json:
        print_json({"node": spare.name, "answers": found is not None, "waited_s": round(waited_s, 1)})
    elif found is None:
        talk(
            f"{spare.name} does not answer after {waited_s:.0f} s: is Wake-on-LAN on in its firmware, and its cable in?"
        )
    else:
        print(
            f"{spare.name} answers at {found.path.peer} ({found.path.interface}), {waited_s:.1f} s after it was called"
        )
    return int(found is None)


def _ways(spare: Machine, here: Machine) -> Iterable[tuple[str, MacAddress]]:
    """The interfaces here, and the MACs that are woken by them."""
    for interface in spare.interfaces:
        near = here.on_network(interface.network)
        if near is not None and interface.wake_on_lan is not None:
            yield near.name, interface.wake_on_lan


def _wake(spare: Machine, here: Machine, ways: tuple[tuple[str, MacAddress], ...], until: float) -> Asked | None:
    places = [(spare.name, path) for path in paths(here, spare)]
    called_at = float("-inf")
    while True:
        if time.monotonic() - called_at >= AGAIN_S:
            called_at = time.monotonic()
            for interface, mac in ways:
                try:
                    wake(interface, mac)
                except ActuatorError as error:
                    raise UsageError(f"{error}; are you root, on {here.name}?") from error
        found = next((each for each in ask(places) if each.answers), None)
        if found is not None or time.monotonic() >= until:
            return found
