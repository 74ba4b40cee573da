"""Show what happened on a node; every event names the one that caused it, so an incident reads as a chain.

examples:
  yaoki events                     the latest 100
  yaoki events -f                  and what happens from now on
  yaoki events --lang ja -n 20
  yaoki -j events -f               one JSON object per line, for programs
"""

import argparse
import json
import os
import sys

from yaoki.cli.node_client import add_node_arguments, connect
from yaoki.cli.output import Paint
from yaoki.core.codec import Codec
from yaoki.core.error import UsageError
from yaoki.core.event import Severity
from yaoki.node.wording import LANGUAGES, language_of, sentence
from yaoki.runtime.event_log import LoggedEvent, iso, text_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on showing events as they happen")
    parser.add_argument("-n", "--last", type=int, default=100, metavar="N", help="how many of the past (default 100)")
    parser.add_argument("--lang", choices=LANGUAGES, help="language (default: from LANG)")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print events until there are no more."""
    if args.last < 0:
        raise UsageError("--last is 0 or more")
    language = args.lang or language_of(os.environ)
    paint = Paint(sys.stdout)
    codec = Codec()
    with connect(args) as client:
        for logged in client.stream(LoggedEvent, "events", follow=args.follow, last=args.last):
            if args.json:
                body = {**codec.plain(logged.event), "time": iso(logged.wall_us)}
                print(json.dumps({**body, "text": sentence(logged.event.body, language)}, ensure_ascii=False))
            else:
                print(_coloured(logged, text_line(logged, language), paint))
            sys.stdout.flush()
    return 0


def _coloured(logged: LoggedEvent, line: str, paint: Paint) -> str:
    match logged.event.body.SEVERITY:
        case Severity.ERROR:
            return paint.red(line)
        case Severity.WARNING:
            return paint.yellow(line)
        case _:
            return line
