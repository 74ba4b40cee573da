"""Prove from a balancer that the servers of a service are right for direct return.

For each address of the VIP it asks who has it, and listens: nobody but the owner may answer, and no server may name it
in a question of its own. Each server is asked for the service through the direct-return path itself, by packets for the
VIP that are sent to its MAC, or through its tunnel: does it take them, listen there and not only on its own address,
and answer straight?
Clients notice nothing; it may run at any time, on the owner or on a standby, and needs root. It takes about 3 seconds.

Once a node runs, it watches for claims of the VIPs all the time and tells of them: event arp-leaked names the server.

Exit status 0: everything is right; 1: something is wrong, or could not be asked.

examples:
  yaoki verify web --site site.yaml
  yaoki lab exec tokyo lb1 yaoki verify web --site site.yaml
  yaoki -j verify web | jq '.findings[] | select(.result != "right")'
"""

import argparse
import os
import sys
from pathlib import Path

from yaoki.cli.output import Paint, print_json
from yaoki.cli.prefix import expand
from yaoki.cli.verify_text import cure, sentence
from yaoki.core.error import UsageError
from yaoki.lb.proof import Finding, Result, findings
from yaoki.linux.own_interfaces import own_addresses
from yaoki.runtime.prover import Prover
from yaoki.site.examine import accept_site
from yaoki.site.here import machine_with
from yaoki.site.proof_task import proof_task

SITE = Path("/etc/yaoki/site.yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("service", metavar="SERVICE", help="its name in the site file")
    parser.add_argument("--site", type=Path, default=SITE, metavar="FILE", help=f"the site file (default {SITE})")
    parser.add_argument("--node", metavar="NAME", help="which node this machine is (default: by its addresses)")


def run(args: argparse.Namespace) -> int:
    """Ask, and print what was found."""
    if os.geteuid() != 0:
        raise UsageError("packets are made and shown for root only: run it with sudo")
    site = accept_site(args.site).site
    service = expand(args.service, [one.name for one in site.services], what="service")
    here = site.machine(expand(args.node, [n.name for n in site.nodes], what="node")) if args.node else None
    here = here or machine_with(site, own_addresses())
    if here is None or not here.is_node:
        raise UsageError(
            "run it on a node that may own the VIP: this machine has no address of one (--node says which it is)"
        )
    found = findings(*Prover(proof_task(site, service, here.name)).run())
    if args.json:
        plain = [{**_fields(one), "sentence": sentence(one), "cure": cure(one, service)} for one in found]
        print_json({"service": service, "node": here.name, "findings": plain})
    else:
        _print(found, service)
    return int(any(one.result is not Result.RIGHT for one in found))


def _fields(finding: Finding) -> dict[str, object]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def _print(found: tuple[Finding, ...], service: str) -> None:
    paint = Paint(sys.stdout)
    marks = {Result.RIGHT: paint.green("right  "), Result.WRONG: paint.red("wrong  "), Result.UNKNOWN: "unknown"}
    for one in found:
        print(f"{marks[one.result]}  {sentence(one)}")
        if told := cure(one, service):
            print(f"         {told}")
    wrong = sum(one.result is Result.WRONG for one in found)
    unknown = sum(one.result is Result.UNKNOWN for one in found)
    print(f"{service}: {len(found) - wrong - unknown} right, {wrong} wrong, {unknown} unknown")
