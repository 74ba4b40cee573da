"""Keeping another process running: started, adopted, started again."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from yaoki.core.event import EventBody
from yaoki.node.brain_events import Part, PartDied, PartHung
from yaoki.runtime.link import PING_EVERY_S
from yaoki.runtime.part_keeper import HUNG_AFTER, PartKeeper

# A part in a few lines: listens, answers each message with its process id.
PROGRAM = """
import os, socket, sys
path = sys.argv[1]
if os.path.exists(path): os.unlink(path)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(path); listener.listen()
while True:
    peer, _ = listener.accept()
    while (datagram := peer.recv(65536)):
        peer.send(b"!" if datagram == b"?" else b"." + str(os.getpid()).encode())
"""


class Kept:
    """A keeper and what it told."""

    def __init__(self, path: Path, program: str = PROGRAM, *, ping_every_s: float = PING_EVERY_S) -> None:
        self.messages: list[bytes] = []
        self.ups = 0
        self.downs: list[str] = []
        self.told: list[EventBody] = []
        self.keeper = PartKeeper(
            Part.SPEAKER,
            (sys.executable, "-c", program, str(path)),
            path,
            on_message=self.messages.append,
            on_up=self._up,
            on_down=self.downs.append,
            report=self.told.append,
            ping_every_s=ping_every_s,
        )

    def _up(self) -> None:
        self.ups += 1
        self.keeper.send(b"who?")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_part_is_started_adopted_by_a_second_keeper_and_ended(tmp_path: Path) -> None:
    async def scene() -> None:
        first = Kept(tmp_path / "s")
        first.keeper.start()
        await until(lambda: len(first.messages) == 1)
        pid = first.keeper.pid
        assert first.messages == [str(pid).encode()]
        first.keeper.leave()
        second = Kept(tmp_path / "s")
        second.keeper.start()
        await until(lambda: len(second.messages) == 1)
        assert second.keeper.pid == pid
        await second.keeper.end(timedelta(seconds=5), asked=False)
        assert second.keeper.pid is None
        assert second.told == []

    asyncio.run(scene())


def test_a_part_that_dies_is_told_and_started_again_later_each_time(tmp_path: Path) -> None:
    async def scene() -> None:
        kept = Kept(tmp_path / "s")
        kept.keeper.start()
        for times in (1, 2):
            await until(lambda n=times: kept.ups == n and kept.keeper.pid is not None)  # type: ignore[misc]
            assert kept.keeper.pid is not None
            os.kill(kept.keeper.pid, signal.SIGKILL)
            await until(lambda n=times: len(kept.told) == n)  # type: ignore[misc]
        await until(lambda: kept.ups == 3)
        died = [body for body in kept.told if isinstance(body, PartDied)]
        assert [(body.status, body.again_in) for body in died] == [
            (-signal.SIGKILL, timedelta(milliseconds=50)),
            (-signal.SIGKILL, timedelta(milliseconds=100)),
        ]
        assert len(kept.downs) == 2
        await kept.keeper.end(timedelta(seconds=5), asked=False)

    asyncio.run(scene())


def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    async def scene() -> None:
        kept = Kept(tmp_path / "s", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PROGRAM)
        kept.keeper.start()
        await until(lambda: kept.ups == 1)
        await kept.keeper.end(timedelta(milliseconds=300), asked=False)
        assert kept.keeper.pid is None

    asyncio.run(scene())


def test_a_part_that_was_asked_to_end_is_given_time(tmp_path: Path) -> None:
    async def scene() -> None:
        kept = Kept(tmp_path / "s", PROGRAM.replace("recv(65536)):", "recv(65536)) != b'.end':"))
        kept.keeper.start()
        await until(lambda: kept.ups == 1)
        kept.keeper.send(b"end")
        ended = asyncio.create_task(kept.keeper.end(timedelta(seconds=0.5), asked=True))
        await asyncio.sleep(0.2)
        assert kept.keeper.pid is not None
        await ended
        assert kept.keeper.pid is None

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_a_part_that_lives_but_does_not_answer_is_ended_and_started_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        kept = Kept(tmp_path / "s", ping_every_s=0.1)
        kept.keeper.start()
        await until(lambda: kept.ups == 1 and kept.keeper.pid is not None)
        hung = kept.keeper.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.timeout(60):
            while kept.ups < 2:
                await asyncio.sleep(0.05)
        assert kept.told[0] == PartHung(Part.SPEAKER, timedelta(seconds=HUNG_AFTER * 0.1))
        assert [type(body) for body in kept.told] == [PartHung, PartDied]
        assert kept.keeper.pid != hung
        assert kept.downs[0] == "it has not answered 5 pings"
        await kept.keeper.end(timedelta(seconds=5), asked=False)

    asyncio.run(scene())
