"""A control socket that gives answers which are known beforehand, as one of a node at an awkward moment."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yaoki.core.codec import Codec
from yaoki.node.events import EVENT_KINDS
from yaoki.runtime.control import Answerer, ControlServer, Result


@contextmanager
def answering(run_dir: Path, **answers: object) -> Iterator[list[str]]:
    """Let a socket in `run_dir` answer each of these requests with a value; what was asked is noted."""
    asked: list[str] = []
    server = ControlServer(
        run_dir / "control.sock",
        answers={do: _answerer(do, value, asked) for do, value in answers.items()},
        streams={},
    )
    loop, listens, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        await server.listen()
        listens.set()
        await over.wait()
        server.close()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    listens.wait()
    try:
        yield asked
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def _answerer(do: str, value: object, asked: list[str]) -> Answerer:
    plain: dict[str, Any] = Codec(EVENT_KINDS).plain(value)

    async def answer(_: Mapping[str, Any]) -> Result:
        asked.append(do)
        return plain

    return answer
