"""Both ends of many slow downloads: `python -m bench.download_ends serve PORT`, `... fetch COUNT SOURCE/VIP/PORT ...`.

A server sends a piece every PIECE_EVERY_S for as long as anybody reads. The client keeps COUNT downloads open from each
source to its VIP; one is cut if it ends, is refused, or brings nothing for PATIENCE_S. It prints a line when all are
open; at the end of its input, how many of each VIP were cut, as JSON.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

PIECE = b"." * 1024
PIECE_EVERY_S = 0.5
PATIENCE_S = 10.0
OPENED_WITHIN_S = 30.0
AT_ONCE = 100
"""Downloads that are being opened at one time."""


async def serve(port: int) -> None:
    """Until killed."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                writer.write(PIECE)
                await writer.drain()
                await asyncio.sleep(PIECE_EVERY_S)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(send, "0.0.0.0", port, backlog=4096)
    await server.serve_forever()


class Fetching:
    """All downloads of the client."""

    def __init__(self) -> None:
        self.opened = 0
        self.cut: dict[str, int] = {}
        self.over = False
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def download(self, source: str, vip: str, port: int) -> None:
        """One, from its first piece on."""
        try:
            async with self._gate, asyncio.timeout(OPENED_WITHIN_S):
                reader, writer = await asyncio.open_connection(vip, port, local_addr=(source, 0))
                await reader.readexactly(len(PIECE))
        except (OSError, EOFError, TimeoutError) as error:
            raise SystemExit(f"{vip} cannot be downloaded from: {error!r}") from error
        self.opened += 1
        try:
            while not self.over:
                async with asyncio.timeout(PATIENCE_S):
                    if not await reader.read(1 << 16):
                        raise EOFError
        except (OSError, EOFError, TimeoutError):
            self.cut[vip] += 1
        finally:
            writer.close()


async def fetch(count: int, places: Sequence[str]) -> None:
    """See the module."""
    fetching = Fetching()
    tasks = []
    for place in places:
        source, vip, port = place.split("/")
        fetching.cut[vip] = 0
        tasks += [asyncio.create_task(fetching.download(source, vip, int(port))) for _ in range(count)]
    while fetching.opened < len(tasks):
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.1)
    _tell({"open": fetching.opened})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    fetching.over = True
    await asyncio.gather(*tasks)
    _tell(fetching.cut)


def _tell(what: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    asyncio.run(serve(int(arguments[0])) if role == "serve" else fetch(int(arguments[0]), arguments[1:]))
