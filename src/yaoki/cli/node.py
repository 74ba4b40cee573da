"""Run a node of a site: the daemon, in the foreground.

SIGTERM (or `yaoki stop`) releases what the node holds and ends it. SIGHUP (or `yaoki apply`) reads the site file again.
If the file is bad at start, the last good configuration is taken, and said so. Exit status 0: stopped as asked; 1: the
file is refused and no good one is known, or it crashed again and again; 2: another node holds the run directory.

examples:
  yaoki node --site /etc/yaoki/site.yaml --node lb1
  yaoki node --site site.yaml --node lb1 --run-dir /tmp/lb1 --state-dir /tmp/lb1-state --log json
  yaoki node --site site.yaml --node lb1 --metrics 127.0.0.1:9859
"""

import argparse
from pathlib import Path

from yaoki.cli.node_client import RUN_ROOT, STATE_ROOT
from yaoki.core.error import UsageError
from yaoki.daemon import run_node
from yaoki.runtime.event_log import LogForm
from yaoki.runtime.node import NodeOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--site", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument("--node", required=True, metavar="NAME", help="which node of the site this machine is")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help=f"for sockets (default {RUN_ROOT}/NAME)")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help=f"for the journal (default {STATE_ROOT}/NAME)")
    parser.add_argument("--log", choices=[form.value for form in LogForm], default="text", help="form of log lines")
    parser.add_argument(
        "--metrics", metavar="ADDRESS:PORT", help="serve Prometheus metrics there (off unless given; no TLS, no login)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until stopped."""
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
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f'"{text}" is no ADDRESS:PORT; for example 127.0.0.1:9859 or [::1]:9859')
    return host.strip("[]") or "127.0.0.1", int(port)
