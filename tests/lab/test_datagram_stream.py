"""The numbered datagrams of one target: what still waits for an answer."""

import socket
from collections.abc import Iterator

import pytest

from yaoki.lab.probes.datagram import Stream

TARGET = {"kind": "udp", "address": "192.0.2.50", "port": 7, "period_us": 1000, "server": ""}


@pytest.fixture
def stream() -> Iterator[Stream]:
    """Three datagrams, begun at 1, 2 and 3 ms."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    found = Stream(0, TARGET, 0)
    found.sockets = [ours]
    for at_us in (1000, 2000, 3000):
        found.send(at_us)
    yield found
    ours.close()
    theirs.close()


def test_an_item_waits_though_a_later_one_is_answered(stream: Stream) -> None:
    stream.receive(2, "web1", 3500)
    assert stream.waits(0)
    stream.receive(0, "web2", 3600)
    stream.receive(1, "web2", 3700)
    assert not stream.waits(0)


def test_what_was_begun_long_ago_is_not_waited_for(stream: Stream) -> None:
    stream.receive(1, "web1", 3500)
    stream.receive(2, "web1", 3500)
    assert not stream.waits(1500)
    assert stream.waits(1000)
