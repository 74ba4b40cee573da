"""Connections of virtual services and sources that persistence remembers, in the columns of `ipvsadm -Lnc`."""

import argparse
from collections.abc import Iterable

from yaoki.cli.node_client import NodeClient
from yaoki.cli.output import print_json
from yaoki.cli.prefix import expand
from yaoki.cli.status import age
from yaoki.cli.table import table
from yaoki.core.address import IPAddress
from yaoki.core.codec import Codec
from yaoki.lb.connection import Connection, ConnectionList, RememberedSource
from yaoki.node.snapshot import NodeView
from yaoki.runtime.requests import ListConnections

USUAL_LIMIT = 100
_CONNECTION = ("Prot", "Expires", "Idle", "State", "Source", "Virtual", "Destination", "Server")
_SOURCE = ("Prot", "Expires", "Remembered source", "Virtual", "Destination", "Server")


def show_connections(client: NodeClient, args: argparse.Namespace) -> int:
    """Ask and print."""
    service = args.name
    if service is not None:
        node: NodeView = client.ask_for(NodeView, "status", counted=False)
        service = expand(service, dict.fromkeys(each.name for each in node.services), what="service")
    wish = Codec().plain(ListConnections(service, args.limit))
    found: ConnectionList = client.ask_for(ConnectionList, "connections", wish=wish)
    if args.json:
        print_json(found)
        return 0
    for line in lines(found):
        print(line)
    return 0


def lines(found: ConnectionList) -> Iterable[str]:
    """The tables, each with how many there are where not all are shown."""
    yield from table([_CONNECTION, *map(_connection, found.connections)])
    yield from _more(len(found.connections), found.total, "connections")
    if found.total_sources:
        yield ""
        yield from table([_SOURCE, *map(_source, found.sources)])
        yield from _more(len(found.sources), found.total_sources, "remembered sources")


def _connection(each: Connection) -> tuple[str, ...]:
    hashed = "(a hash)" if each.client is None else _place(each.client, each.client_port or 0)
    return (
        each.service.protocol.value.upper(),
        age(each.expires),
        age(each.idle),
        "-" if each.state is None else each.state.value,
        hashed,
        _place(each.service.address, each.service.port),
        _place(each.server, each.port),
        each.name,
    )


def _source(each: RememberedSource) -> tuple[str, ...]:
    whole = each.prefix_length == each.source.max_prefixlen
    return (
        each.service.protocol.value.upper(),
        age(each.expires),
        str(each.source) if whole else f"{each.source}/{each.prefix_length}",
        _place(each.service.address, each.service.port),
        _place(each.server, each.port),
        each.name,
    )


def _more(shown: int, total: int, what: str) -> Iterable[str]:
    if shown < total:
        yield f"{shown} of {total} {what}; --limit shows more"


def _place(address: IPAddress, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
