"""Show how a real server is set up for direct return, carry it out on a Linux server, or take it back there.

What is printed can be pasted as it is: all that is no command is a comment of the shell that the commands are for. The
interfaces have the names of the site file: `alias` at an interface and `loopback` at a host are what Windows calls
them.

With --apply, on the server itself, the set-up is carried out, all of it or nothing; again, it changes nothing. With
--undo, there, everything is as it was before the first --apply, but for what another service still needs. What was
there before is kept in realserver.json of the state directory. Exit status 0: done; 1: refused, and nothing is changed.

examples:
  yaoki realserver setup web web1 --site site.yaml                 the steps, for what web1 runs
  yaoki realserver setup web web1 --os windows-2008                for another operating system
  yaoki realserver setup web web1 --os windows-2003 --encoding cp932 > setup.txt    to be taken to a Japanese Windows
  yaoki realserver setup web web1 --apply                          on web1
  yaoki realserver setup web web1 --undo                           on web1; needs no site file
  yaoki -j realserver setup web web1 | jq -r '.setup[].lines[]'    the commands alone
"""

import argparse
import sys
from pathlib import Path

from yaoki.cli.node_client import STATE_ROOT
from yaoki.cli.output import print_json, talk
from yaoki.cli.prefix import expand
from yaoki.cli.realserver_text import text
from yaoki.core.error import UsageError
from yaoki.lb.realserver import PROCEDURES, OperatingSystem, RealServerTask, changes, refusals
from yaoki.lb.realserver.places import Plan, Setup
from yaoki.linux.real_server import ServerMachine
from yaoki.runtime.real_server import RecordFile, bring_to
from yaoki.site.examine import accept_site
from yaoki.site.real_server import real_server_task

SITE = Path("/etc/yaoki/site.yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="setup")
    setup = actions.add_parser("setup", help="show, carry out or take back the set-up of a real server")
    setup.add_argument("service", help="the service, by its name in the site file")
    setup.add_argument("server", help="the server, by its host's name")
    setup.add_argument("--site", type=Path, default=SITE, help=f"the site file (default {SITE})")
    setup.add_argument("--os", help="what the server runs (default: its os in the site file)")
    setup.add_argument("--encoding", choices=("utf-8", "cp932"), default="utf-8", help="of what is printed")
    setup.add_argument(
        "--state-dir", type=Path, default=STATE_ROOT, help=f"where --apply keeps what was before ({STATE_ROOT})"
    )
    does = setup.add_mutually_exclusive_group()
    does.add_argument("--apply", action="store_true", help="carry it out on this machine")
    does.add_argument("--undo", action="store_true", help="take it back on this machine")
    setup.add_argument("-j", "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print, apply or undo."""
    if args.undo:
        return _undo(args)
    site = accept_site(args.site).site
    service = expand(args.service, [one.name for one in site.services], what="service")
    server = expand(args.server, [one.host for one in site.service(service).recipients], what="server")
    os = None if args.os is None else OperatingSystem(expand(args.os, list(OperatingSystem), what="operating system"))
    task = real_server_task(site, service, server, os)
    if args.apply:
        return _apply(args, task)
    made = PROCEDURES[task.os](task)
    if args.json:
        print_json(made)
    else:
        _print(text(made), args.encoding)
    return 0


def _print(shown: str, encoding: str) -> None:
    """In the encoding of the machine that it is for; a command prompt wants CR LF with it."""
    if encoding == "utf-8":
        sys.stdout.write(shown)
        return
    try:
        octets = shown.replace("\n", "\r\n").encode(encoding)
    except UnicodeEncodeError as error:
        odd = error.object[error.start]
        raise UsageError(
            f'{encoding} has no "{odd}" (U+{ord(odd):04X}), so no interface can be called so there: copy the name from '
            "netsh interface show interface"
        ) from None
    sys.stdout.flush()
    sys.stdout.buffer.write(octets)


def _apply(args: argparse.Namespace, task: RealServerTask) -> int:
    if not task.os.is_linux:
        raise UsageError(
            f"--apply runs on Linux; {task.server} runs {task.os.value}: print the steps and type them there"
        )
    records = RecordFile(args.state_dir)
    machine = ServerMachine()
    try:
        why = refusals(task, machine.addresses(), machine.arp_ignore())
        if why:
            for reason in why:
                talk(f"refused: {reason}")
            return 1
        record = records.read()
        setups = record.with_setup(Setup(task.service, task.server, changes(task)))
        _report(args, bring_to(record, setups, machine, records.write))
    finally:
        machine.close()
    return 0


def _undo(args: argparse.Namespace) -> int:
    records = RecordFile(args.state_dir)
    record = records.read()
    if not record.setups:
        raise UsageError(f"nothing is set up on this machine: there is no {records.path}")
    service = expand(args.service, [one.service for one in record.setups], what="set-up of a service")
    found = record.setup(service)
    if found is None or found.server != args.server:
        raise UsageError(f"this machine is set up as {found.server if found else 'nothing'}, not as {args.server}")
    machine = ServerMachine()
    try:
        _report(args, bring_to(record, record.without(service), machine, records.write))
    finally:
        machine.close()
    return 0


def _report(args: argparse.Namespace, done: Plan) -> None:
    if args.json:
        print_json({"changed": done.writes, "left": done.left})
        return
    for write in done.writes:
        value = "taken away" if write.value is None else "written" if "\n" in write.value else write.value
        print(f"{write.place}: {value}")
    for place in done.left:
        talk(f"{place}: left as it is: somebody else has changed it since")
    if not done.writes:
        print("nothing to change")
