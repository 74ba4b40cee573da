"""Record a virtual service's packets and judge which way its replies go: straight to the clients, or back through the
balancer.

It records until one of --bounds is reached, or until Ctrl-C, and needs root but no tcpdump. With --write the packets go
into a pcapng file for Wireshark, tshark or tcpdump, which names the machines by address and MAC.

One run records the machine that it runs on. With --lab it records machines of the site's lab on this machine at once,
by one clock; without --nodes the VIP's members and the servers. On real machines run it on each of them with --write,
and join the files with --merge, which judges them together; files that tcpdump wrote do as well, as MACHINE=FILE. Their
clocks should agree: the order of packets is by time.

A balancer alone sees no reply that goes straight; the clients' acknowledgements tell it that there were replies, and
how much they had at least. Beside it, record a server or the router to see them.

Exit status 0: it is as the site file says; 1: it is not, or what was recorded cannot tell.

examples:
  yaoki capture web                                          on a balancer or a server
  yaoki capture web --bounds time=1m,octets=100M --write lb1.pcapng
  yaoki capture web --lab --nodes lb1,web1,web2,router       in the lab of the site
  tcpdump -i eth0 -w web2.pcap port 80                       on a server without Yaoki
  yaoki capture web --merge lb1.pcapng web2=web2.pcap --write all.pcapng
"""

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from yaoki import __version__
from yaoki.cli.capture_bounds import bounds_of
from yaoki.cli.capture_text import plain, text
from yaoki.cli.output import print_json, refuse_unwritable, talk
from yaoki.cli.prefix import expand
from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import UsageError
from yaoki.lab.state import BASE, recall
from yaoki.lab.topology import namespace_name
from yaoki.lb.capture import concerns, frames_of, hops_of, judge, scene_of, unwrapped
from yaoki.linux import neighbour_cache
from yaoki.linux.capture_filter import program
from yaoki.linux.capture_socket import CaptureSocket, Seen, hidden
from yaoki.linux.network_namespace import inside
from yaoki.linux.own_interfaces import own_addresses, own_interfaces
from yaoki.packet import pcap, pcapng
from yaoki.packet.malformed import Malformed
from yaoki.packet.recording import CaptureInterface, Recording, merged
from yaoki.runtime.recorder import MOST_OCTETS, Bounds, Post, record
from yaoki.site.capture_task import CaptureTask, capture_task, recorded_by_default
from yaoki.site.examine import accept_site
from yaoki.site.here import machine_with
from yaoki.site.model import Site

SITE = Path("/etc/yaoki/site.yaml")
MOST_NAMES = 2000
"""Of addresses and MACs, written into a file."""

_Made = TypeVar("_Made")


class Enter(Protocol):
    """Does something on a machine."""

    def __call__(self, machine: str, make: Callable[[], _Made], /) -> _Made: ...


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("service", metavar="SERVICE", help="its name in the site file")
    parser.add_argument("--site", type=Path, default=SITE, metavar="FILE", help=f"the site file (default {SITE})")
    parser.add_argument("--nodes", metavar="NAME,...", help="the machines of the site to record on")
    parser.add_argument("--lab", action="store_true", help="in the site's lab on this machine")
    parser.add_argument(
        "--bounds",
        default="",
        metavar="time=10s,packets=100000,octets=64M,snap=65535",
        help="when to end, what to keep",
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the packets in this pcapng file")
    parser.add_argument(
        "--merge", nargs="+", metavar="[MACHINE=]FILE", help="record nothing; join and judge these files"
    )


def run(args: argparse.Namespace) -> int:
    """Record, or read, and judge."""
    bounds = bounds_of(args.bounds)
    site = accept_site(args.site).site
    service = expand(args.service, [one.name for one in site.services], what="service")
    if args.merge:
        task = capture_task(site, service, recorded_by_default(site, service))
        recording = merged(tuple(_read(site, one) for one in args.merge))
        end, recorded = None, tuple(dict.fromkeys(interface.node for interface in recording.interfaces))
    else:
        machines, enter = _machines(args, site, service)
        if args.write:
            refuse_unwritable(args.write)
        task, recorded = capture_task(site, service, machines), machines
        recording, end = _record(task, bounds, enter)
        recording = replace(recording, comment=f"service {service} of site {site.name}")
    scene = scene_of(task.scene, recording)
    frames = frames_of(recording, scene)
    verdict, hops = judge(scene, frames, recorded=recorded, lost=recording.lost), hops_of(scene, frames)
    if args.json:
        print_json(plain(verdict, hops, recording, end, args.write))
    else:
        for line in text(verdict, hops, recording, end):
            print(line)
    # Last: what was seen is told even if it cannot be kept.
    if args.write:
        _write(args.write, recording)
    return int(verdict.as_wanted is not True)


# --- recording


def _machines(args: argparse.Namespace, site: Site, service: str) -> tuple[tuple[str, ...], Enter]:
    """Which machines to record on, and how to do something there."""
    known = [machine.name for machine in site.machines]
    named = tuple(expand(name, known, what="machine") for name in args.nodes.split(",")) if args.nodes else ()
    if args.lab:
        if recall(site.name, base=BASE) is None:
            raise UsageError(f"the lab of {site.name} is not up; `yaoki lab up {args.site}` builds it")
        return named or recorded_by_default(site, service), partial(_in_lab, site.name)
    here = machine_with(site, own_addresses())
    if here is None and len(named) == 1:
        return named, _here
    if here is None:
        raise UsageError("this machine has none of the site's addresses; say with --nodes which machine it is")
    if set(named) - {here.name}:
        raise UsageError(
            f"one run records the machine that it runs on, {here.name}: run it on the others, too, each with --write, "
            "and join the files with --merge (--lab records every machine of a lab)"
        )
    return (here.name,), _here


def _here(_machine: str, make: Callable[[], _Made]) -> _Made:
    return make()


def _in_lab(site: str, machine: str, make: Callable[[], _Made]) -> _Made:
    return inside(namespace_name(site, machine), make)


def _record(task: CaptureTask, bounds: Bounds, enter: Enter) -> tuple[Recording, str]:
    if os.geteuid() != 0:
        raise UsageError("packets are shown to root only: run it with sudo")
    addresses = dict.fromkeys(address for address, _ in task.places)
    ports = dict.fromkeys(port for _, port in task.places)
    tunnel = (task.scene.tunnel, task.ends) if task.ends else None
    filter_ = program(addresses, ports, task.protocol, snap=bounds.snap, tunnel=tunnel)

    def wanted(seen: Seen) -> bool:
        read = unwrapped(seen.octets, seen.length, task.scene)
        return read is not None and concerns(read[0], task.scene, task.protocol)

    with ExitStack() as stack:
        posts: list[Post] = []
        for machine, names in task.interfaces:
            for post in enter(machine, partial(_posts, machine, names, filter_, bounds.snap)):
                stack.callback(post.socket.close)
                posts.append(post)
            for name in enter(machine, partial(hidden, names)):
                talk(f"{machine}/{name}: a program in its driver (XDP) may take and send packets that are not seen")
        talk(f"recording {task.scene.service} on {', '.join(str(post.interface) for post in posts)}")
        recording, end = record(posts, bounds, wanted=wanted)
    whose = dict(task.names)
    macs: dict[tuple[IPAddress | MacAddress, str], None] = {}
    for machine, names in task.interfaces:
        for address, mac in enter(machine, partial(_neighbours, names)):
            if address in whose and whose[address] != task.scene.vip:
                macs[mac, whose[address]] = None
    macs.update({(post.interface.mac, post.interface.node): None for post in posts if post.interface.mac})
    return replace(recording, names=(*macs, *task.names)[:MOST_NAMES]), end.value


def _posts(machine: str, names: Sequence[str], filter_: list[tuple[int, int, int, int]], snap: int) -> list[Post]:
    """Called on the machine."""
    found = {interface.name: interface for interface in own_interfaces()}
    posts = []
    for name in names:
        if name not in found:
            raise UsageError(f"{machine} has no interface {name}, which the site file names")
        own = found[name]
        interface = CaptureInterface(machine, name, own.mac, own.addresses)
        posts.append(Post(CaptureSocket(name, filter_, snap=snap), interface))
    return posts


def _neighbours(names: Sequence[str]) -> list[tuple[IPAddress, MacAddress]]:
    """Called on the machine."""
    return [(entry.address, entry.mac) for entry in neighbour_cache.read(names).entries if entry.mac is not None]


# --- files


def _read(site: Site, word: str) -> Recording:
    """A file, with the machine that it is of if the file does not say it."""
    name, equals, file = word.partition("=")
    path = Path(file if equals else word)
    try:
        if path.stat().st_size > 2 * MOST_OCTETS:
            raise UsageError(f"{path} is larger than {2 * MOST_OCTETS >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    node = name if equals else path.stem
    found = pcap.decode(data, node) if pcap.is_pcap(data) else pcapng.decode(data, node)
    if isinstance(found, Malformed):
        raise UsageError(f"{path}, octet {found.offset}: {found.reason}")
    known = {machine.name for machine in site.machines}
    for interface in found.interfaces:
        if interface.node not in known:
            raise UsageError(f'"{interface.node}" is no machine of the site: write MACHINE={path}')
    return found


def _write(path: Path, recording: Recording) -> None:
    """A new file is for root's eyes only: there may be secrets in the packets."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(pcapng.encode(recording, f"Yaoki {__version__}"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
