"""Asks from many sources who serves them: `python many_sources.py PORT SERVICE SOURCE ... -- SERVICE SOURCE ...`.

Prints the server of each source as JSON. The sources must be addresses of this machine.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

LIMIT_S = 10.0


async def _server(source: str, service: str, port: int) -> str:
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(service, port, local_addr=(source, 0))
        writer.write(b"who?\n")
        answer = await reader.readuntil(b"\n")
        writer.close()
        await writer.wait_closed()
    return answer.partition(b"\0")[0].decode()


async def _main(arguments: Sequence[str]) -> None:
    port, places = int(arguments[0]), " ".join(arguments[1:]).split(" -- ")
    found = {}
    for service, *sources in map(str.split, places):
        for source in sources:
            found[source] = await _server(source, service, port)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
