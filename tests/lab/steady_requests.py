"""Asks web servers without a pause worth the name: `python steady_requests.py ADDRESS PORT [ADDRESS PORT ...]`.

ASKERS for each place, each request on a connection of its own. At every line of its input it waits until the requests
that are under way are over, and prints as JSON what became of all since the line before: how many there were, how
those that failed did, and who answered. It ends with its input.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence

ASKERS = 2
PAUSE_S = 0.01
PATIENCE_S = 10.0
"""A busy machine may be slow; a server that was taken for ready and is not refuses, or says nothing."""


class Crowd:
    """All askers. `round` counts the lines so far; `busy` are the requests under way, by the round they began in."""

    def __init__(self) -> None:
        self.round = 0
        self.busy: Counter[int] = Counter()
        self.asked = 0
        self.failed: Counter[str] = Counter()
        self.servers: Counter[str] = Counter()

    async def ask(self, address: str, port: int) -> None:
        """Ask for ever."""
        while True:
            begun_in = self.round
            self.busy[begun_in] += 1
            try:
                async with asyncio.timeout(PATIENCE_S):
                    self.servers[await _answer(address, port)] += 1
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.failed[f"{address} {port}: {str(error) or type(error).__name__}"] += 1
            self.asked += 1
            self.busy[begun_in] -= 1
            await asyncio.sleep(PAUSE_S)

    async def story(self) -> dict[str, object]:
        """What became of the requests since the last time."""
        now, self.round = self.round, self.round + 1
        while self.busy[now]:
            await asyncio.sleep(PAUSE_S)
        del self.busy[now]
        told = {"asked": self.asked, "failed": dict(self.failed), "servers": dict(self.servers)}
        self.asked, self.failed, self.servers = 0, Counter(), Counter()
        return told


async def _answer(address: str, port: int) -> str:
    """Who answers. Raises ValueError for anything but status 200."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(head.partition(b"\r\n")[0].decode() or "empty answer")
    return body.decode().strip()


async def main(arguments: Sequence[str]) -> None:
    """See the module."""
    crowd, loop = Crowd(), asyncio.get_running_loop()
    places = zip(arguments[::2], map(int, arguments[1::2]), strict=True)
    asking = [asyncio.create_task(crowd.ask(*place)) for place in places for _ in range(ASKERS)]
    while await loop.run_in_executor(None, sys.stdin.readline):
        sys.stdout.write(json.dumps(await crowd.story()) + "\n")
        sys.stdout.flush()
    for task in asking:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
