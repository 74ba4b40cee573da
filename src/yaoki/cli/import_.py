"""Make a site file of another product's configuration, with a report of what was and was not taken.

The site goes to stdout, the report to stderr: one line for each statement, with what it became or why it was left out.
The files of several nodes make one site; the same VRID on the same network is one VIP with those nodes as members. What
no file says is assumed, marked GAP in the site and reported. Exit status 0: a site was printed; 1: a file is no
configuration of that product, or with --strict something was not taken, changed or assumed.

NAME=FILE gives a node its name, which is also the id that @conditions of keepalived.conf are compared with.

examples:
  yaoki import keepalived lb1=lb1/keepalived.conf lb2=lb2/keepalived.conf > site.yaml
  yaoki import keepalived main=keepalived.conf backup=keepalived.conf      one file with @conditions, two nodes
  yaoki import keepalived --own lb1:eth0=192.0.2.11/24 --own lb2:eth0=192.0.2.12/24 lb1=a.conf lb2=b.conf > site.yaml
  yaoki import ipvsadm lb1=lb1.rules lb2=lb2.rules > site.yaml             what ipvsadm -S -n has saved on each
  yaoki import -q keepalived keepalived.conf                               report only what was not taken as it is
  yaoki -j import keepalived keepalived.conf                               site and report as one JSON value
"""

import argparse
import re
import sys
from collections.abc import Sequence
from ipaddress import ip_interface

from yaoki.cli.import_names import SystemNames
from yaoki.cli.output import Paint, print_json, talk
from yaoki.core.address import IPInterface
from yaoki.core.error import UsageError
from yaoki.site.drawing import printable
from yaoki.site.foreign.ipvsadm import import_ipvsadm
from yaoki.site.foreign.keepalived import MAX_NODES, Disk, Import, Original, Outcome, Remark, import_keepalived
from yaoki.site.kinds import NAME

_QUIET = (Outcome.TAKEN, Outcome.NOT_NEEDED)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("format", choices=("keepalived", "ipvsadm"), help="what the files are written for")
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE", help="the files, one for each node")
    parser.add_argument("--site", default="imported", help="the name of the site (default: imported)")
    parser.add_argument(
        "--own",
        action="append",
        default=[],
        metavar="NODE:INTERFACE=ADDRESS/LENGTH",
        help="a node's own address, which is in no file",
    )
    parser.add_argument("--strict", action="store_true", help="fail unless all was taken as it is")
    parser.add_argument("-q", "--quiet", action="store_true", help="report only what was not taken as it is")


def run(args: argparse.Namespace) -> int:
    """Print the site and the report."""
    if len(args.files) > MAX_NODES:
        raise UsageError(f"at most {MAX_NODES} files are imported at once")
    if re.fullmatch(NAME.pattern or "", args.site) is None:
        raise UsageError(f'--site "{args.site}" is not {NAME.wanted}, for example {NAME.example}')
    originals, own = [_original(word) for word in args.files], [_own(word) for word in args.own]
    _refuse_one_name_twice(originals)
    if args.format == "ipvsadm":
        made = import_ipvsadm(originals, Disk(), site=args.site, own=own, directory=SystemNames())
    else:
        made = import_keepalived(originals, Disk(), site=args.site, own=own)
    shown = [remark for remark in made.remarks if not (args.quiet and remark.outcome in _QUIET)]
    if args.json:
        print_json({"site": made.text, "remarks": [_as_json(remark) for remark in shown]})
    else:
        sys.stdout.write(made.text)
        paint = Paint(sys.stderr)
        for remark in shown:
            talk(_line(remark, paint))
        talk(_summary(made))
    complete = all(remark.outcome in _QUIET for remark in made.remarks)
    return int(args.strict and not complete)


def _original(word: str) -> Original:
    name, equals, file = word.partition("=")
    return Original(file, name) if equals and "/" not in name else Original(word)


def _refuse_one_name_twice(originals: Sequence[Original]) -> None:
    names = [original.node for original in originals if original.node is not None]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two files are said to be of {twice}; a node has one, with its includes: name them apart")


def _own(word: str) -> tuple[str, str, IPInterface]:
    place, _, address = word.partition("=")
    node, _, interface = place.partition(":")
    try:
        found = ip_interface(address)
    except ValueError:
        found = None
    if found is None or not node or not interface or "/" not in address:
        raise UsageError(f'--own "{word}": write NODE:INTERFACE=ADDRESS/LENGTH, such as lb1:eth0=192.0.2.11/24')
    return node, interface, found


def _line(remark: Remark, paint: Paint) -> str:
    colour = {
        Outcome.TAKEN: paint.green,
        Outcome.NOT_NEEDED: paint.faint,
        Outcome.CHANGED: paint.yellow,
        Outcome.NOT_TAKEN: paint.red,
        Outcome.GAP: paint.red,
    }[remark.outcome]
    where = f"{remark.where.file}:{remark.where.line}"
    return f"{where}: {colour(str(remark.outcome))}: {printable(f'{remark.statement}: {remark.text}')}"


def _summary(made: Import) -> str:
    return ", ".join(f"{made.count(outcome)} {outcome}" for outcome in Outcome)


def _as_json(remark: Remark) -> dict[str, object]:
    return {
        "file": remark.where.file,
        "line": remark.where.line,
        "statement": remark.statement,
        "outcome": remark.outcome,
        "text": remark.text,
    }
