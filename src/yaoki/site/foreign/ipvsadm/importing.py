"""The tables of several nodes as one site: every address of a service is a VIP of these nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_interface
from pathlib import PurePath

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.error import Location, Problem, SiteError
from yaoki.site.foreign.ipvsadm.reading import Directory, NoNames, TableReader
from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.configuration import Address, Configuration, Instance, VirtualServer
from yaoki.site.foreign.keepalived.draft import Product
from yaoki.site.foreign.keepalived.importing import MAX_NODES, Import, Original, join, nothing_found
from yaoki.site.foreign.keepalived.library import Library, Unreadable
from yaoki.site.foreign.keepalived.naming import Names, name_of
from yaoki.site.foreign.keepalived.report import Report

MAX_VIPS = 255
"""One VRID each, on whatever network."""
_INTERFACE = "eth0"
_FIRST_PRIORITY = 150
_ADVERTISE = timedelta(seconds=1)
_Own = Sequence[tuple[str, str, IPInterface]]


@dataclass(frozen=True, slots=True)
class _Read:
    """What one node's file says."""

    node: str
    file: str
    servers: tuple[VirtualServer, ...]
    lines: tuple[Statement, ...]


def import_ipvsadm(
    originals: Sequence[Original],
    library: Library,
    *,
    site: str = "imported",
    own: _Own = (),
    directory: Directory | None = None,
) -> Import:
    """One site of the tables of its nodes. `own`: (node, interface, address) that the operator knows.

    Raises SiteError with every place where a file is no table of ipvsadm, or if none of it can be taken.
    """
    report = Report()
    problems: list[Problem] = []
    names = Names()
    read: list[_Read] = []
    for original in originals[:MAX_NODES]:
        node = names.give(original.node or PurePath(original.file).stem, "node")
        reader = TableReader(original.file, directory or NoNames(), report, problems)
        read.append(_Read(node, original.file, *reader.read(_text(library, original.file, problems))))
    if problems:
        raise SiteError(problems)
    vrids: dict[IPAddress, int] = {}
    for table in read:
        for server in table.servers:
            if server.address not in vrids and len(vrids) < MAX_VIPS:
                vrids[server.address] = len(vrids) + 1
    if not vrids:
        unfit = [each for table in read for each in table.lines if each.keyword == "-A"]
        what, cure = "there is no service in it that could be one here", "save it on the balancer: ipvsadm -S -n > FILE"
        raise SiteError(nothing_found("ipvsadm-empty", originals[0].file, what, cure, unfit=unfit, report=report))
    configurations = tuple(
        _configuration(table, vrids, own, priority=_FIRST_PRIORITY - index) for index, table in enumerate(read)
    )
    return join(configurations, report, names, site=site, own=own, product=Product.IPVSADM)


def _text(library: Library, file: str, problems: list[Problem]) -> str:
    try:
        return library.read(file)
    except Unreadable as error:
        what = f"cannot read {file}: {error}"
        problems.append(Problem("ipvsadm-syntax", Location(file, 1, 1), what, "check the path and its permissions"))
        return ""


def _configuration(table: _Read, vrids: dict[IPAddress, int], own: _Own, *, priority: int) -> Configuration:
    first = {server.address: server.source for server in reversed(table.servers)}
    instances = tuple(
        Instance(
            name=name_of(address, "vip"),
            source=first[address],
            interface=_interface(table.node, address, own),
            vrid=vrid,
            priority=priority,
            advertise=_ADVERTISE,
            version=3,
            addresses=(Address(ip_interface(address), first[address]),),
        )
        for address, vrid in vrids.items()
        if address in first
    )
    return Configuration(table.node, table.file, table.lines, instances, servers=table.servers)


def _interface(node: str, address: IPAddress, own: _Own) -> str:
    """By which interface a node reaches an address, as far as the operator has said."""
    mine = [(interface, has) for name, interface, has in own if name == node]
    return next((name for name, has in mine if address in has.network), mine[0][0] if mine else _INTERFACE)
