"""Write the services of a site for another product: as `ipvsadm -R` reads them, or as keepalived's virtual_servers.

The text goes to stdout; what it cannot say goes to stderr, one line each. Exit status 0: written; 1: the site is
refused, or with --strict something is not in the text.

examples:
  yaoki export ipvsadm site.yaml | ipvsadm -R
  yaoki export keepalived site.yaml > services.conf     to be included by keepalived.conf, beside its vrrp_instances
  yaoki -j export keepalived site.yaml                 text and losses as one JSON value
"""

import argparse
import sys
from pathlib import Path

from yaoki.cli.output import print_json, talk
from yaoki.site.examine import accept_site
from yaoki.site.foreign.ipvsadm.writing import export_ipvsadm
from yaoki.site.foreign.keepalived.writing import export_keepalived

_WRITERS = {"ipvsadm": export_ipvsadm, "keepalived": export_keepalived}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("format", choices=tuple(_WRITERS), help="what it is written for")
    parser.add_argument("file", type=Path, help="the site file")
    parser.add_argument("--strict", action="store_true", help="fail unless all of it is in the text")


def run(args: argparse.Namespace) -> int:
    """Print the text and what is not in it."""
    made = _WRITERS[args.format](accept_site(args.file).site)
    if args.json:
        print_json(made)
    else:
        sys.stdout.write(made.text)
        for lost in made.lost:
            talk(f"{lost.service}: not in it: {lost.what}")
    return int(args.strict and bool(made.lost))
