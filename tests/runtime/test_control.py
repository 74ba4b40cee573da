"""The control socket: requests, refusals, streams, and clients that misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from yaoki.runtime import control
from yaoki.runtime.control import ControlServer, Refusal, Result

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(request: Mapping[str, Any]) -> Result:
    return {"said": request.get("say")}


async def refuse(_: Mapping[str, Any]) -> Result:
    raise Refusal("not today", "try tomorrow")


async def count(request: Mapping[str, Any]) -> AsyncIterator[Result]:
    for number in range(int(request["to"])):
        yield {"number": number}


async def endless(_: Mapping[str, Any]) -> AsyncIterator[Result]:
    while True:
        yield {"filler": "x" * 100_000}


def talk(directory: Path, scene: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    async def with_server() -> None:
        path = directory / "control.sock"
        server = ControlServer(
            path, answers={"echo": echo, "refuse": refuse}, streams={"count": count, "endless": endless}
        )
        await server.listen()
        assert path.stat().st_mode & 0o777 == 0o600
        await scene(path)
        server.close()
        await asyncio.sleep(0.05)
        assert not path.exists()

    asyncio.run(with_server())


async def ask(client: Client, *requests: object) -> None:
    client[1].write("".join(json.dumps(request) + "\n" for request in requests).encode())
    await client[1].drain()


async def answer(client: Client) -> Any:  # noqa: ANN401
    async with asyncio.timeout(10):
        return json.loads(await client[0].readline())


def test_requests_of_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async def scene(path: Path) -> None:
        client = await asyncio.open_unix_connection(path)
        await ask(client, {"do": "echo", "say": 1}, {"do": "count", "to": 2}, {"do": "echo", "say": 2})
        answers = [await answer(client) for _ in range(5)]
        assert [a["result"] for a in answers] == [{"said": 1}, {"number": 0}, {"number": 1}, {}, {"said": 2}]
        assert [a.get("end", False) for a in answers] == [False, False, False, True, False]
        client[1].close()

    talk(tmp_path, scene)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"do": "refuse"}', "not today"),
        ('{"do": "fly"}', "this node does not know 'fly'"),
        ("{}", "this node does not know 'None'"),
        ("[1]", "a request is a JSON object"),
        ("{", "no JSON"),
    ],
)
def test_what_cannot_be_done_is_refused_and_the_connection_goes_on(tmp_path: Path, line: str, why: str) -> None:
    async def scene(path: Path) -> None:
        client = await asyncio.open_unix_connection(path)
        client[1].write(line.encode() + b"\n")
        refused = await answer(client)
        assert refused["ok"] is False
        assert why in refused["why"]
        await ask(client, {"do": "echo", "say": "still here"})
        assert (await answer(client))["result"] == {"said": "still here"}
        client[1].close()

    talk(tmp_path, scene)


def test_a_client_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    async def scene(path: Path) -> None:
        deaf = await asyncio.open_unix_connection(path)
        await ask(deaf, {"do": "endless"})
        await asyncio.sleep(0.1)
        other = await asyncio.open_unix_connection(path)
        await ask(other, {"do": "echo", "say": "hello"})
        assert (await answer(other))["result"] == {"said": "hello"}
        deaf[1].close()
        other[1].close()

    talk(tmp_path, scene)


def test_one_client_too_many_is_told_so(tmp_path: Path) -> None:
    async def scene(path: Path) -> None:
        clients = [await asyncio.open_unix_connection(path) for _ in range(control.MAX_CLIENTS)]
        for client in clients:
            await ask(client, {"do": "echo", "say": 0})
            assert (await answer(client))["ok"]
        late = await asyncio.open_unix_connection(path)
        assert (await answer(late))["why"] == f"{control.MAX_CLIENTS} clients are connected already"
        for client in (*clients, late):
            client[1].close()

    talk(tmp_path, scene)
