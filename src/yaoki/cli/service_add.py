"""`yaoki service add` and `add-server`: a virtual service, or one more real server, written into the site file.

Its help is in yaoki.cli.service. The options are the keys of the site file, their values in its notation.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff

from yaoki.cli.check import coloured, problem_as_json
from yaoki.cli.output import Paint, print_json, talk
from yaoki.cli.site_file import replace_file
from yaoki.core.error import Problem, UsageError
from yaoki.site.additions import FileChange, NewHost, NewServer, server_added, service_added
from yaoki.site.document import Node
from yaoki.site.drawing import draw
from yaoki.site.examine import Examination, examine
from yaoki.site.notation import listed, read
from yaoki.site.reading import suggestion
from yaoki.site.shapes import Key, ListOf
from yaoki.site.vocabulary import SERVER, SERVICE

INTERFACE = "eth0"
_ELSEWHERE = ("servers", "acknowledge")
"""Keys of a service that are no options: its servers have one of their own, and findings are to be read first."""
_HOST_KEYS = ("gateway", "os")
_DEST = "key_"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the keys as options."""
    service = parser.add_argument_group("keys of the virtual service, with add")
    service.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="HOST[,KEY=VALUE...]",
        help="a real server; with its keys, such as web3,weight=500,port=8081; once for each",
    )
    for key in _service_keys():
        _declare(service, key)
    server = parser.add_argument_group("keys of the real server, with add-server (and forward)")
    for key in SERVER.keys.values():
        if key.name not in SERVICE.keys:
            _declare(server, key)
    host = parser.add_argument_group("a host that the site does not have yet, with add-server")
    host.add_argument("--address", action="append", metavar="ADDRESS", help="its own address; once for each family")
    host.add_argument("--interface", metavar="NAME", help=f"the interface that has it (default {INTERFACE})")
    for name in _HOST_KEYS:
        host.add_argument(f"--{name}", metavar=name.upper(), help="as the site file has it")


def _service_keys() -> list[Key]:
    return [key for key in SERVICE.keys.values() if key.offered and key.name not in _ELSEWHERE]


def _declare(group: argparse._ArgumentGroup, key: Key) -> None:
    told = key.description + (f" (default: {key.default})" if key.default else "")
    group.add_argument(
        f"--{key.name}", dest=_DEST + key.name, action="append", metavar="VALUE", help=told.replace("%", "%%")
    )


def add(args: argparse.Namespace) -> int:
    """A virtual service with its servers."""
    if args.host is not None:
        raise UsageError(f"the servers of a new service are given by --server: --server {args.host}")
    if args.address or args.interface or args.gateway or args.os:
        raise UsageError("a new host's address is given with its server: --server HOST,address=ADDRESS")
    keys = _keys(args, {key.name: key for key in _service_keys()})
    missing = [f"--{key}" for key in ("vip", "listen") if key not in keys] + ["--server"] * (not args.server)
    if missing:
        raise UsageError(f"a service needs {', '.join(missing)}: yaoki service add --help shows an example")
    return _change(args, service_added(args.site, args.service, keys, map(_server, args.server)))


def add_server(args: argparse.Namespace) -> int:
    """One more real server of a service."""
    if args.host is None or args.server:
        raise UsageError(f"which host? yaoki service add-server {args.service} HOST")
    keys = _keys(args, SERVER.keys)
    about = {name: read(f"--{name}", said) for name in _HOST_KEYS if (said := getattr(args, name)) is not None}
    host = _host(args.address or [], args.interface, about)
    return _change(args, server_added(args.site, args.service, NewServer(args.host, keys, host)))


def given(args: argparse.Namespace) -> list[str]:
    """The options of add and add-server that were given."""
    keys = [name.removeprefix(_DEST) for name, value in vars(args).items() if name.startswith(_DEST) and value]
    others = [name for name in ("server", "address", "interface", *_HOST_KEYS) if getattr(args, name)]
    return [f"--{name}" for name in (*keys, *others)] + ["--dry-run"] * args.dry_run


def _keys(args: argparse.Namespace, known: Mapping[str, Key]) -> dict[str, Node]:
    """The options' values, as the file's."""
    found: dict[str, Node] = {}
    for dest, texts in vars(args).items():
        name = dest.removeprefix(_DEST)
        if not dest.startswith(_DEST) or texts is None:
            continue
        if name not in known:
            raise UsageError(f"--{name} does not go with the action {args.action}")
        if len(texts) > 1 and not isinstance(known[name].kind, ListOf):
            raise UsageError(f"--{name} is given twice")
        values = [read(f"--{name}", text) for text in texts]
        found[name] = values[0] if len(values) == 1 else listed(values)
    return found


def _server(spec: str) -> NewServer:
    """HOST,KEY=VALUE,..."""
    host, *parts = spec.split(",")
    keys: dict[str, Node] = {}
    about: dict[str, Node] = {}
    addresses: list[str] = []
    interface = None
    for part in parts:
        name, equals, value = part.partition("=")
        option = f"--server {host}: {name}"
        if not equals or name in keys or name in about or (name == "interface" and interface is not None):
            raise UsageError(f'--server {spec}: "{part}" is no KEY=VALUE, or that key is given twice')
        if name in SERVER.keys:
            keys[name] = read(option, value)
        elif name in _HOST_KEYS:
            about[name] = read(option, value)
        elif name == "address":
            addresses.append(value)
        elif name == "interface":
            interface = value
        else:
            known = (*SERVER.keys, "address", "interface", *_HOST_KEYS)
            raise UsageError(f'--server {spec}: a server has no key "{name}"; {suggestion(name, known)}')
    return NewServer(host, keys, _host(addresses, interface, about))


def _host(addresses: list[str], interface: str | None, about: Mapping[str, Node]) -> NewHost | None:
    if addresses:
        return NewHost(interface or INTERFACE, tuple(addresses), about)
    if interface is not None or about:
        raise UsageError("interface, gateway and os are of a new host: give its address, too")
    return None


def _change(args: argparse.Namespace, changes: list[FileChange]) -> int:
    """Examine, show and write."""
    before = examine(args.site)
    after = examine(args.site, {change.file.resolve(): change.after.encode() for change in changes})
    diff = "".join(line for change in changes for line in _diff(change))
    found = list(_new(before, after))
    going = not after.refused and not args.dry_run
    if args.json:
        print_json({"refused": after.refused, "diff": diff, "problems": [problem_as_json(each) for each in found]})
    elif after.refused:
        _refuse(before, after)
    else:
        _show(diff, found)
    if not going:
        talk("nothing was written")
        return int(after.refused)
    for change in changes:
        former = replace_file(change.file, change.after, before=change.before)
        talk(f"{change.file} is written; as it was before it is kept as {former}")
    talk(f"what it costs: yaoki plan {args.site}; on each node that has the file: yaoki apply")
    return 0


def _diff(change: FileChange) -> Iterator[str]:
    name = str(change.file)
    old, new = change.before.splitlines(keepends=True), change.after.splitlines(keepends=True)
    for line in unified_diff(old, new, name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _new(before: Examination, after: Examination) -> Iterator[Problem]:
    """What is found of the file as it shall be and not of the file as it is; lines have moved, so they do not count."""
    known = {(problem.rule, problem.what) for problem in before.problems}
    return (problem for problem in after.problems if (problem.rule, problem.what) not in known)


def _refuse(before: Examination, after: Examination) -> None:
    for problem in after.problems:
        if problem.fatal:
            print(draw(problem), file=sys.stderr)
    if before.refused:
        talk("the file has errors as it is; `yaoki check` shows them")
    talk("the lines are those of the file as it would be")


def _show(diff: str, found: Iterable[Problem]) -> None:
    paint = Paint(sys.stdout)
    for line in diff.splitlines():
        print(paint.green(line) if line.startswith("+") else paint.red(line) if line.startswith("-") else line)
    for problem in found:
        print("\n" + coloured(problem, paint))
