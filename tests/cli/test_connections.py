"""Connections as `yaoki show connections` prints them."""

from datetime import timedelta

import pytest

from tests.lb.samples import service
from yaoki.cli.connections import lines
from yaoki.core.address import parse_address
from yaoki.core.codec import Codec
from yaoki.lb.connection import Connection, ConnectionList, ConnectionState, RememberedSource

SECOND = timedelta(seconds=1)
WEB, SIX = service().key, service(family=6).key
FIRST = Connection(
    WEB, parse_address("198.51.100.9"), 40001, "web1", parse_address("192.0.2.21"), 80, ConnectionState.ESTABLISHED,
    idle=12 * SECOND, expires=888 * SECOND,
)  # fmt: skip
HASHED = Connection(SIX, None, None, "web2", parse_address("2001:db8:1::22"), 80, None, idle=None, expires=30 * SECOND)
SOURCE = RememberedSource(
    WEB, parse_address("198.51.100.0"), 24, "web1", parse_address("192.0.2.21"), 80, expires=300 * SECOND
)


def test_the_columns_are_those_of_ipvsadm_and_more() -> None:
    assert list(lines(ConnectionList((FIRST, HASHED), 2))) == [
        "Prot  Expires      Idle  State        Source              Virtual              Destination          Server",
        "TCP   14 min 48 s  12 s  established  198.51.100.9:40001  192.0.2.50:80        192.0.2.21:80        web1",
        "TCP   30 s         -     -            (a hash)            [2001:db8:1::50]:80  [2001:db8:1::22]:80  web2",
    ]


def test_what_is_not_shown_is_counted_and_remembered_sources_follow() -> None:
    single = RememberedSource(SIX, parse_address("2001:db8:2::9"), 128, "web2", HASHED.server, 80, expires=SECOND)
    found = list(lines(ConnectionList((FIRST,), 2345, (SOURCE, single), 3)))
    assert found[2:4] == ["1 of 2345 connections; --limit shows more", ""]
    assert [line.split()[:5] for line in found[5:7]] == [
        ["TCP", "5", "min", "198.51.100.0/24", "192.0.2.50:80"],
        ["TCP", "1", "s", "2001:db8:2::9", "[2001:db8:1::50]:80"],
    ]
    assert found[7:] == ["2 of 3 remembered sources; --limit shows more"]


@pytest.mark.parametrize("found", [ConnectionList(), ConnectionList((FIRST, HASHED), 2, (SOURCE,), 1)])
def test_a_list_crosses_the_control_socket(found: ConnectionList) -> None:
    codec = Codec()
    assert codec.decode(codec.encode(found), ConnectionList) == found
