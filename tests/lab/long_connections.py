"""Keeps TCP connections open and busy: `python long_connections.py COUNT ADDRESS PORT [ADDRESS PORT]`.

Each sends a number and waits for its echo, again and again; it is cut if it ends, or if an echo takes longer than
PATIENCE_S. It prints a line when all are open; at the end of its input, how they fared, as JSON.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence

PATIENCE_S = 12.0
PAUSE_S = 0.1


class Fleet:
    """All connections. `closing`: they are to end well now."""

    def __init__(self) -> None:
        self.open = 0
        self.echoes = 0
        self.longest_s = 0.0
        self.cut: Counter[str] = Counter()
        self.servers: Counter[str] = Counter()
        self.closing = False

    async def keep(self, address: str, port: int, all_open: asyncio.Barrier) -> None:
        """One connection, from its first echo on."""
        reader, writer = await asyncio.open_connection(address, port)
        loop = asyncio.get_running_loop()
        pause_s = PAUSE_S * (0.5 + writer.get_extra_info("sockname")[1] * 37 % 100 / 100)
        try:
            for number in range(1 << 30):
                begun = loop.time()
                line = f"{number}\n".encode()
                writer.write(line)
                async with asyncio.timeout(PATIENCE_S):
                    answer = await reader.readuntil(b"\n")
                server, _, echo = answer.partition(b"\0")
                assert echo == line, (echo, line)
                self.echoes += 1
                self.longest_s = max(self.longest_s, loop.time() - begun)
                if number == 0:
                    self.open += 1
                    self.servers[server.decode()] += 1
                    await all_open.wait()
                if self.closing:
                    return
                # Not in the order in which they were opened: servers that are given anew would be the same by chance.
                await asyncio.sleep(pause_s)
        except (OSError, EOFError, TimeoutError) as error:
            self.cut[type(error).__name__] += 1
        finally:
            writer.close()


async def main(arguments: Sequence[str]) -> None:
    """See the module."""
    count, places = int(arguments[0]), list(zip(arguments[1::2], arguments[2::2], strict=True))
    fleet, all_open = Fleet(), asyncio.Barrier(count + 1)
    tasks = [
        asyncio.create_task(fleet.keep(*places[index % len(places)][:1], int(places[index % len(places)][1]), all_open))
        for index in range(count)
    ]
    async with asyncio.timeout(20):
        await all_open.wait()
    _tell({"open": fleet.open, "servers": fleet.servers})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    fleet.closing = True
    await asyncio.gather(*tasks)
    _tell({"cut": fleet.cut.total(), "how": fleet.cut, "echoes": fleet.echoes, "longest_s": fleet.longest_s})


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
