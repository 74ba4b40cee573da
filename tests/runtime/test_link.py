"""Links between processes, over real sockets."""

import asyncio
import select
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from yaoki.core.framing import PING
from yaoki.runtime import link
from yaoki.runtime.link import LinkClient
from yaoki.runtime.polled_link import PolledLinkServer


class End:
    """Records what one end of a link was told."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ups = 0
        self.downs: list[str] = []

    def up(self) -> None:
        self.ups += 1


class LoopPoller:
    """The event loop of the test as the poll loop of the listening side."""

    def attach(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, handler, select.EPOLLIN)
        if events & select.EPOLLOUT:
            loop.add_writer(fd, handler, select.EPOLLOUT)
        else:
            loop.remove_writer(fd)

    def detach(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        asyncio.get_running_loop().remove_writer(fd)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def ends(path: Path) -> tuple[End, PolledLinkServer, End, LinkClient]:
    s, c = End(), End()
    server = PolledLinkServer(path, LoopPoller(), on_message=s.messages.append, on_up=s.up, on_down=s.downs.append)
    client = LinkClient(path, on_message=c.messages.append, on_up=c.up, on_down=c.downs.append)
    return s, server, c, client


def test_messages_of_any_length_arrive_whole_and_in_order(tmp_path: Path) -> None:
    async def scene() -> None:
        s, server, c, client = ends(tmp_path / "x.sock")
        server.listen()
        client.connect()
        messages = [b"a", b"", b"x" * 5_000_000, b"b"]
        for message in messages:
            client.send(message)
        await until(lambda: len(s.messages) == 4)
        assert s.messages == messages
        server.send(b"answer")
        await until(lambda: c.messages == [b"answer"])
        client.close()
        server.close()
        assert not (tmp_path / "x.sock").exists()

    asyncio.run(scene())


def test_the_client_waits_for_a_server_and_comes_back_after_its_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        s, server, c, client = ends(tmp_path / "x.sock")
        client.connect()
        assert c.ups == 0
        server.listen()
        await until(lambda: c.ups == 1)
        await until(lambda: s.ups == 1)
        server.close()
        await until(lambda: len(c.downs) == 1)
        server.listen()
        await until(lambda: c.ups == 2)
        client.send(b"again")
        await until(lambda: s.messages == [b"again"])
        client.close()
        server.close()

    asyncio.run(scene())


def test_a_newer_peer_takes_the_place_of_the_older(tmp_path: Path) -> None:
    async def scene() -> None:
        s, server, c, client = ends(tmp_path / "x.sock")
        server.listen()
        client.connect()
        await until(lambda: s.ups == 1)
        newer = End()
        second = LinkClient(
            tmp_path / "x.sock", on_message=newer.messages.append, on_up=newer.up, on_down=newer.downs.append
        )
        second.connect()
        await until(lambda: s.ups == 2)
        client.close()
        server.send(b"to the newer")
        await until(lambda: newer.messages == [b"to the newer"])
        assert c.messages == []
        second.close()
        server.close()

    asyncio.run(scene())


def test_a_peer_that_does_not_read_is_disconnected_at_the_limit(tmp_path: Path) -> None:
    async def scene() -> None:
        _, server, c, client = ends(tmp_path / "x.sock")
        server.listen()
        client.connect()
        # Nothing is read in between: the loop gets no turn.
        for _ in range(5):
            client.send(b"x" * (link.MAX_QUEUED_OCTETS // 4))
        assert len(c.downs) == 1
        assert "wait for the peer to read" in c.downs[0]
        client.close()
        server.close()

    asyncio.run(scene())


def test_only_the_own_account_may_connect(tmp_path: Path) -> None:
    async def scene() -> None:
        _, server, _, _ = ends(tmp_path / "x.sock")
        server.listen()
        assert (tmp_path / "x.sock").stat().st_mode & 0o777 == 0o600
        server.close()

    asyncio.run(scene())


@pytest.mark.parametrize("junk", [b"*", b"x{}", b"??"])
def test_a_datagram_of_another_form_ends_the_connection(tmp_path: Path, junk: bytes) -> None:
    async def scene() -> None:
        s, server, _, _ = ends(tmp_path / "x.sock")
        server.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(str(tmp_path / "x.sock"))
            peer.send(junk)
            await until(lambda: len(s.downs) == 1)
        assert s.messages == []
        server.close()

    asyncio.run(scene())


def test_a_peer_that_stops_answering_is_told_and_told_again_when_it_answers(tmp_path: Path) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        told = End()
        silences: list[int] = []
        client = LinkClient(
            tmp_path / "x.sock",
            on_message=told.messages.append,
            on_up=told.up,
            on_down=told.downs.append,
            on_silence=silences.append,
            ping_every_s=0.1,
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(tmp_path / "x.sock"))
            listener.listen()
            client.connect()
            peer, _ = listener.accept()
            with peer:
                peer.setblocking(False)
                await until(lambda: len(silences) >= 2)
                assert told.downs == [f"it has not answered {link.SILENT_AFTER} pings"]
                assert silences[:2] == [link.SILENT_AFTER, link.SILENT_AFTER + 1]
                assert await loop.sock_recv(peer, 100) == PING
                peer.send(b"!")
                await until(lambda: told.ups == 2)
                assert client.unanswered <= 1
                client.close()

    asyncio.run(scene())
