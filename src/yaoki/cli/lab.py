"""Build a site in network namespaces on this machine, with the real daemon on its nodes and real servers behind them.

  up      build it and leave it running
  exec    run a command on one of its machines (a shell without one)
  down    end everything in it and remove it; also what a killed run has left
  list    the labs that there are

SITE is a site file; for exec and down the name of a site that is up will do. Needs root.

examples:
  yaoki lab up site.yaml
  yaoki lab exec site.yaml alice curl -s http://192.0.2.50/
  yaoki lab exec tokyo lb1 tcpdump -ni eth0 vrrp
  yaoki lab exec tokyo lb1 yaoki status
  yaoki lab down tokyo
  yaoki lab down --all
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from yaoki.cli.node_client import RUN_DIR
from yaoki.cli.output import print_json, talk
from yaoki.cli.prefix import expand
from yaoki.core.error import UsageError
from yaoki.lab.lab import Lab, remove_lab
from yaoki.lab.namespaces import existing, inside
from yaoki.lab.software_yaoki import Yaoki
from yaoki.lab.state import BASE, all_sites, recall
from yaoki.lab.topology import namespace_name, plan_lab
from yaoki.site.examine import accept_site
from yaoki.site.load import load_site

_ANSWER_LIMIT_S = 15.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="up | exec | down | list")
    up = actions.add_parser("up", help="build it and leave it running")
    up.add_argument("site", metavar="SITE", type=Path, help="the site file")
    enter = actions.add_parser("exec", help="run a command on one of its machines")
    enter.add_argument("site", metavar="SITE", help="the site file, or the name of a site that is up")
    enter.add_argument("machine", help="which machine")
    enter.add_argument("command", nargs=argparse.REMAINDER, help="what to run there (default: a shell)")
    down = actions.add_parser("down", help="end everything in it and remove it")
    down.add_argument("site", nargs="?", metavar="SITE", help="the site file, or the name of a site that is up")
    down.add_argument("--all", action="store_true", help="every lab")
    down.add_argument("--force", action="store_true", help="even a lab in which a rehearsal is under way")
    shown = actions.add_parser("list", help="the labs that there are")
    for action in (up, down, shown):
        action.add_argument("-j", "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out one action."""
    need_root()
    match args.action:
        case "up":
            return _up(args)
        case "exec":
            return _exec(args)
        case "list":
            return _list(args)
        case _ if args.all:
            return _down(args, all_sites(base=BASE))
        case _ if args.site is None:
            raise UsageError("which lab? `yaoki lab list` shows them, --all means every one")
        case _:
            return _down(args, (_site_name(args.site),))


def need_root() -> None:
    """Raises UsageError for anybody else."""
    if os.geteuid() != 0:
        raise UsageError("the lab makes network namespaces, which needs root: run it with sudo")


def _up(args: argparse.Namespace) -> int:
    site = accept_site(args.site).site
    lab = Lab(site, args.site.resolve())
    lab.up()
    try:
        nodes = Yaoki(lab)
        for node in site.nodes:
            nodes.start(node.name)
        silent = _wait(lab, nodes)
    except BaseException:
        lab.down()
        raise
    machines = {machine.name: lab.namespace(machine.name) for machine in site.machines}
    if args.json:
        print_json({"site": site.name, "machines": machines, "directory": lab.directory, "silent": silent})
    else:
        print(f"{site.name} is up: {', '.join(machines)}")
        print(f"  a shell on one:   yaoki lab exec {site.name} {next(iter(machines))}")
        for node in site.nodes:
            print(f"  status of {node.name}:    yaoki lab exec {site.name} {node.name} yaoki status")
        print(f"  remove it:        yaoki lab down {site.name}")
        for name in silent:
            talk(f"{name} does not answer; its log is {lab.machine_directory(name)}/node.log")
    return int(bool(silent))


def _wait(lab: Lab, nodes: Yaoki) -> list[str]:
    """The nodes whose control socket is not there in time."""
    until = time.monotonic() + _ANSWER_LIMIT_S
    while True:
        missing = [n.name for n in lab.site.nodes if not (nodes.run_directory(n.name) / "control.sock").exists()]
        if not missing or time.monotonic() > until:
            return missing
        time.sleep(0.05)


def _exec(args: argparse.Namespace) -> int:
    site = _site_name(args.site)
    state = recall(site, base=BASE)
    if state is None:
        raise UsageError(f"the lab of {site} is not up; `yaoki lab up SITE` builds it")
    prefix = namespace_name(site, "")
    machines = [name.removeprefix(prefix) for name in existing(state.namespaces)]
    machine = expand(args.machine, machines, what="machine")
    command = args.command or [os.environ.get("SHELL", "/bin/sh")]
    own = BASE / site / "machines" / machine / "run"
    # This installation's `yaoki` is found, whether its directory is on the PATH or not.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    environment = {**os.environ, "PATH": path, **({RUN_DIR: str(own)} if own.is_dir() else {})}
    return subprocess.run(inside(prefix + machine, command), env=environment, check=False).returncode


def _down(args: argparse.Namespace, sites: tuple[str, ...]) -> int:
    removed = []
    for site in sites:
        state = recall(site, base=BASE)
        if state is not None and state.in_use and not args.force:
            what = f"{site} is in a rehearsal, process {state.holder}; end that, or take the lab away with --force"
            if not args.all:
                raise UsageError(what)
            talk(what)
            continue
        file = Path(args.site) if args.site is not None else None
        also = plan_lab(load_site(file).site).all_namespaces if file is not None and file.is_file() else ()
        if remove_lab(site, also=also):
            removed.append(site)
        else:
            talk(f"the lab of {site} was not up")
    if args.json:
        print_json({"removed": removed})
    else:
        for site in removed:
            print(f"{site} is removed")
    return 0


def _list(args: argparse.Namespace) -> int:
    labs = [state for site in all_sites(base=BASE) if (state := recall(site, base=BASE)) is not None]
    if args.json:
        print_json([{"site": s.site, "file": s.file, "left_over": s.left_over} for s in labs])
        return 0
    for state in labs:
        note = "left over from a killed rehearsal; `yaoki lab down` removes it" if state.left_over else ""
        held = f"in a rehearsal, process {state.holder}" if state.holder is not None and not note else note
        print(f"{state.site}  {state.file}  {held}".rstrip())
    return 0


def _site_name(text: str) -> str:
    """The name of the site in a file, or the text itself if a lab has that name."""
    if Path(text).is_file():
        return load_site(Path(text)).site.name
    if text in all_sites(base=BASE):
        return text
    raise UsageError(f'"{text}" is neither a site file nor a site whose lab is up; `yaoki lab list` shows those')
