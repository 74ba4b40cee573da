"""The polled side of a link, against plain sockets."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.core.instant import Instant
from yaoki.runtime.driver import monotonic_now
from yaoki.runtime.polled_link import MAX_QUEUED_OCTETS, PolledLinkServer
from yaoki.runtime.probes.loop import ProbeLoop


class Side:
    """A server with its loop, and what it was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[bytes] = []
        self.ups = 0
        self.downs: list[str] = []
        self.loop = ProbeLoop(lambda *_: None)
        self.link = PolledLinkServer(
            path, self.loop, on_message=self.heard.append, on_up=self._up, on_down=self.downs.append
        )
        self.link.listen()

    def _up(self) -> None:
        self.ups += 1

    def turn_until(self, true: Callable[[], bool]) -> None:
        end = monotonic_now().us + 20_000_000
        while not true() and monotonic_now().us < end:
            self.loop.turn(Instant(monotonic_now().us + 50_000))
        assert true()


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    made = Side(tmp_path / "x.sock")
    yield made
    made.link.close()
    made.loop.close()


@pytest.fixture
def peer(side: Side) -> Iterator[socket.socket]:
    with connected(side.path) as sock:
        side.turn_until(lambda: side.ups == 1)
        yield sock


def connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(path))
    sock.setblocking(False)
    return sock


def receive(side: Side, sock: socket.socket) -> bytes:
    """The next message, while the server goes on turning."""
    joiner, messages = Joiner(), list[bytes]()

    def arrived() -> bool:
        with suppress(BlockingIOError):
            if messages:
                return True
            message = joiner.join(sock.recv(MAX_DATAGRAM))
            if message is not None:
                messages.append(message)
        return bool(messages)

    side.turn_until(arrived)
    return messages[0]


def test_only_its_owner_may_connect(side: Side) -> None:
    assert stat.S_IMODE(os.stat(side.path).st_mode) == 0o600


@pytest.mark.parametrize("length", [0, 1, MAX_DATAGRAM - 1, MAX_DATAGRAM, 5 * MAX_DATAGRAM])
def test_messages_of_any_length_pass_both_ways(length: int, side: Side, peer: socket.socket) -> None:
    message = os.urandom(length)
    for datagram in split(message):
        peer.send(datagram)
        side.loop.turn(Instant(0))
    side.turn_until(lambda: side.heard == [message])
    side.link.send(message)
    assert receive(side, peer) == message


def test_what_the_peer_does_not_read_yet_waits_and_then_arrives_in_order(side: Side, peer: socket.socket) -> None:
    messages = [bytes((number,)) * 50_000 for number in range(100)]
    for message in messages:
        side.link.send(message)
    received = []
    for _ in messages:
        received.append(receive(side, peer))
    assert received == messages


@pytest.mark.usefixtures("peer")
def test_a_peer_that_never_reads_is_dropped(side: Side) -> None:
    for _ in range(9):
        side.link.send(bytes(8 * 1024 * 1024))
    assert side.downs == [f"more than {MAX_QUEUED_OCTETS} octets wait for the peer to read"]
    assert not side.link.is_up


def test_a_newer_peer_takes_the_place_of_the_old(side: Side, peer: socket.socket) -> None:
    with connected(side.path) as newer:
        side.turn_until(lambda: side.ups == 2)
        assert side.downs == ["a newer peer has connected"]
        side.link.send(b"hello")
        assert receive(side, newer) == b"hello"
        assert peer.recv(10) == b""


def test_the_end_of_the_peer_is_noticed(side: Side, peer: socket.socket) -> None:
    peer.close()
    side.turn_until(lambda: side.downs == ["the peer has closed it"])
    side.link.send(b"nobody hears it")


def test_a_datagram_that_is_no_frame_ends_the_connection(side: Side, peer: socket.socket) -> None:
    peer.send(b"*")
    side.turn_until(lambda: len(side.downs) == 1)


def test_the_socket_of_a_dead_process_is_replaced_and_ours_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    side = Side(path)
    connected(path).close()
    side.link.close()
    side.loop.close()
    assert not path.exists()
