"""Run a node of a site: the daemon, in the foreground; or wake a cold standby, or give it a dead node's place.

SIGTERM (or `yaoki stop`) releases what the node holds and ends it. SIGHUP (or `yaoki apply`) reads the site file again.
If the file is bad at start, the last good configuration is taken, and said so. Exit status 0: stopped as asked; 1: the
file is refused and no good one is known, or it crashed again and again; 2: another node holds the run directory.

`replace OLD NEW` is run on NEW, which has `standby-for: [OLD]` in the site file. It asks on every network whether OLD
is dead, shows what will change, writes `replaces: OLD` at NEW into the file, keeps the former file beside it, and has
the node on this machine take it. Then the file is copied to the other nodes and applied there. OLD, should it return,
is told by them and owns nothing. Exit status 0: done, or would be; 1: refused, for OLD answers or nobody does.

`wake NEW` is run on any other node, --node says which: it switches NEW on by Wake-on-LAN (`wake-on-lan` at NEW's
interface) and waits until it answers. Exit status 1: it has not within --wait seconds.

examples:
  yaoki node --site /etc/yaoki/site.yaml --node lb1
  yaoki node --site site.yaml --node lb1 --run-dir /tmp/lb1 --state-dir /tmp/lb1-state --log json
  yaoki node --site site.yaml --node lb1 --metrics 127.0.0.1:9859
  yaoki node wake lb3 --site /etc/yaoki/site.yaml --node lb2
  yaoki node replace lb1 lb3 --site /etc/yaoki/site.yaml --dry-run
  yaoki node replace lb1 lb3 --site /etc/yaoki/site.yaml
"""

import argparse
from pathlib import Path

from yaoki.cli.node_client import RUN_ROOT, STATE_ROOT
from yaoki.cli.node_replace import replace_node
from yaoki.cli.node_wake import WAIT, wake_node
from yaoki.cli.prefix import expand
from yaoki.cli.typed import amount, endpoint
from yaoki.core.error import UsageError
from yaoki.daemon import run_node
from yaoki.linux.capabilities import lacking_privileges
from yaoki.runtime.event_log import LogForm
from yaoki.runtime.node import NodeOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", nargs="?", help="replace or wake")
    parser.add_argument("old", nargs="?", help="with replace: the node that has died; with wake: that to wake")
    parser.add_argument("new", nargs="?", help="with replace: the cold standby, which is this machine")
    parser.add_argument("--site", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument("--node", metavar="NAME", help="which node of the site this machine is")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help=f"for sockets (default {RUN_ROOT}/NAME)")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help=f"for the journal (default {STATE_ROOT}/NAME)")
    parser.add_argument("--log", choices=[form.value for form in LogForm], default="text", help="form of log lines")
    parser.add_argument(
        "--metrics", metavar="ADDRESS:PORT", help="serve Prometheus metrics there (off unless given; no TLS, no login)"
    )
    parser.add_argument(
        "--wait",
        type=amount,
        metavar="S",
        default=WAIT.total_seconds(),
        help="with wake: seconds (default %(default)g)",
    )
    parser.add_argument("--dry-run", action="store_true", help="with replace: ask and show, and change nothing")
    parser.add_argument("--force", action="store_true", help="with replace: do it whoever answers")


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; or replace or wake a node."""
    if args.action is not None and expand(args.action, ("replace", "wake"), what="action") == "wake":
        if args.old is None or args.new is not None or args.node is None:
            raise UsageError("say whom to wake, and from where: yaoki node wake SPARE --site FILE --node HERE")
        return wake_node(args)
    if args.action is not None:
        if args.old is None or args.new is None or args.node is not None:
            raise UsageError("name both nodes: yaoki node replace OLD NEW --site FILE")
        return replace_node(args)
    if args.node is None:
        raise UsageError("which node is this machine? yaoki node --site FILE --node NAME")
    if args.dry_run or args.force:
        raise UsageError("--dry-run and --force go with the action replace, and only with it")
    if lacking := lacking_privileges():
        raise UsageError(
            f"a node needs {' and '.join(lacking)}: run it as root; `yaoki doctor` shows what else it needs"
        )
    return run_node(
        NodeOptions(
            args.node,
            args.site.resolve(),
            (args.run_dir or RUN_ROOT / args.node).resolve(),
            (args.state_dir or STATE_ROOT / args.node).resolve(),
            LogForm(args.log),
            None if args.metrics is None else _address(args.metrics),
        )
    )


def _address(text: str) -> tuple[str, int]:
    host, port = endpoint(text, least_port=1, example="127.0.0.1:9859 or [::1]:9859")
    return host or "127.0.0.1", port
