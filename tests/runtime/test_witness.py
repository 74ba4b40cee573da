"""The witness: to a client it is a single etcd, and what it has answered outlives its process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.election.test_store_drivers import SILENCE, Client, compare_and_swap
from yaoki.core.error import UsageError
from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import (
    Endpoint,
    EtcdStore,
    KeyRead,
    KeyState,
    NotSwapped,
    ReadKey,
    StoreFailed,
    StoreRequest,
    SwapKey,
    Swapped,
)
from yaoki.runtime.stores import gateway
from yaoki.runtime.stores.etcd import EtcdDriver
from yaoki.runtime.witness.ledger import FILE_NAME, Ledger, Write
from yaoki.runtime.witness.register import MAX_VALUE, Register, Watcher
from yaoki.runtime.witness.server import MAX_BODY, WitnessServer
from yaoki.runtime.witness.wire import NotServed, read_wish

PREFIX = "yaoki/test/"
Play = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def running(directory: Path, port: int = 0) -> AsyncIterator[int]:
    """A witness on the loopback, and the port that it serves on."""
    ledger = Ledger(directory)
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = WitnessServer(ledger)
    serving = asyncio.ensure_future(server.serve("127.0.0.1", port, None, lambda at: listening.set_result(at[1])))
    await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield await listening
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        ledger.close()


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Client]:
    spec = EtcdStore((Endpoint("127.0.0.1", port),), PREFIX)
    client = Client(lambda client: EtcdDriver(spec, client.on_answer, client.on_seen))
    try:
        yield client
    finally:
        await client.driver.close()


def swapped(result: object) -> int:
    assert isinstance(result, Swapped)
    return result.revision


@pytest.mark.req("B-21")
def test_the_witness_is_a_store(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(tmp_path) as port, client_of(port) as client:
            await compare_and_swap(client)

    asyncio.run(play())


@pytest.mark.req("B-21")
def test_what_it_has_answered_outlives_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(tmp_path) as port, client_of(port) as client:
            first = swapped(await client.swap("vip/a", 0, b"one"))
        async with running(tmp_path) as port, client_of(port) as client:
            assert await client.read("vip/a") == KeyRead(KeyState(first, b"one"))
            assert await client.swap("vip/a", 0, b"two") == NotSwapped(KeyState(first, b"one"))
            assert swapped(await client.swap("vip/a", first, b"two")) > first

    asyncio.run(play())


def test_a_client_goes_on_with_a_witness_that_was_started_again_and_hears_of_writes(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(tmp_path) as port, client_of(port) as client:
            client.driver.watch(("vip/a",), SILENCE)
            revision = await client.swap_until_done("vip/a", 0, b"one")
            await client.until_seen(("vip/a", revision))
        async with client_of(port) as client:
            client.driver.watch(("vip/a",), SILENCE)
            assert isinstance(await client.read("vip/a"), StoreFailed)
            async with running(tmp_path, port):
                later = await client.swap_until_done("vip/a", revision, b"two")
                await client.until_seen(("vip/a", later))

    asyncio.run(play())


@pytest.mark.req("N-13")
def test_where_its_disk_was_lost_revisions_still_grow_and_keys_are_gone(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(tmp_path / "first") as port, client_of(port) as client:
            client.driver.watch(("vip/a",), SILENCE)
            first = swapped(await client.swap("vip/a", 0, b"one"))
            await client.until_seen(("vip/a", first))
            await asyncio.sleep(0.01)  # fewer writes than milliseconds
        async with running(tmp_path / "second") as port, client_of(port) as client:
            assert await client.swap("vip/a", first, b"renewed") == NotSwapped(KeyState(0, None))
            assert swapped(await client.swap("vip/a", 0, b"two")) > first

    asyncio.run(play())


def test_a_watch_from_a_revision_that_was_never_given_makes_its_client_read_anew(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(tmp_path) as port, client_of(port) as client:
            revision = swapped(await client.swap("vip/a", 0, b"one"))
            assert isinstance(client.driver, EtcdDriver)
            client.driver.watch(("vip/a",), SILENCE)
            client.driver._heard = revision + 1_000_000  # as after a witness whose clock went wrong
            await client.until_seen(("vip/a", revision))

    asyncio.run(play())


def test_a_watch_begins_with_the_writes_that_were_missed() -> None:
    async def play(register: Register) -> None:
        first = await register.ask(read_wish(gateway.TXN, gateway.swap("a", 0, b"1")))
        assert isinstance(first, bytes)
        revision = register.revision
        watcher = await register.ask(read_wish(gateway.WATCH, gateway.watch_of_prefix("a", revision)))
        assert isinstance(watcher, Watcher)
        await register.ask(read_wish(gateway.TXN, gateway.swap("b", 0, b"other")))
        await register.ask(read_wish(gateway.TXN, gateway.swap("a", revision, b"2")))
        lines: list[bytes] = []
        watcher.attach(lines.append)
        writes = [write for line in lines for write in gateway.read_news(line).writes]
        assert writes == [("a", KeyState(revision, b"1")), ("a", KeyState(revision + 2, b"2"))]
        register.forget(watcher)
        await register.ask(read_wish(gateway.TXN, gateway.swap("a", revision + 2, b"3")))
        assert len(lines) == 3, "opened, missed, one write"

    with_register(play)


# --- the ledger -------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-21")
def test_a_line_that_a_loss_of_power_cut_short_was_never_promised(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    start = ledger.revision
    ledger.keep([Write("a", start + 1, b"one"), Write("a", start + 2, b"two")])
    ledger.close()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-5])
    again = Ledger(tmp_path)
    assert again.keys == {"a": KeyState(start + 1, b"one")}
    assert again.revision == start + 1
    again.close()


def test_a_damaged_ledger_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"{}\n")
    with pytest.raises(UsageError, match=r"witness\.ledger:1: .*remove the file"):
        Ledger(tmp_path)


def test_two_witnesses_do_not_share_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(UsageError, match="another witness runs with it"):
        Ledger(tmp_path)
    ledger.close()


def test_a_long_ledger_is_written_anew_and_loses_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, max_lines=10)
    start = ledger.revision
    for number in range(1, 50):
        ledger.keep([Write("ab"[number % 2], start + number, b"%d" % number)])
    ledger.close()
    assert (tmp_path / FILE_NAME).read_bytes().count(b"\n") <= 13
    again = Ledger(tmp_path)
    assert again.keys == {"a": KeyState(start + 48, b"48"), "b": KeyState(start + 49, b"49")}
    again.close()


def test_a_new_ledger_begins_above_all_that_an_older_one_can_have_given(tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    ledger = Ledger(tmp_path)
    assert before <= ledger.revision <= time.time_ns() // 1_000_000
    ledger.close()


class FailingDisk(Ledger):
    """A disk that is full."""

    def keep(self, writes: object) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_fails_ends_the_witness_and_nothing_is_answered(tmp_path: Path) -> None:
    async def play() -> None:
        disk = FailingDisk(tmp_path)
        register = Register(disk)
        work = asyncio.ensure_future(register.work())
        asking = asyncio.ensure_future(register.ask(read_wish(gateway.TXN, gateway.swap("a", 0, b"1"))))
        with pytest.raises(OSError, match="No space left"):
            await work
        assert not asking.done()
        asking.cancel()
        disk.close()

    asyncio.run(play())


# --- against the store in memory --------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), KEYS, st.just(0)),
        st.tuples(st.just("swap"), KEYS, st.integers(0, 3)),
        st.tuples(st.just("restart"), KEYS, st.just(0)),
    ),
    max_size=30,
)


@given(STEPS)
@pytest.mark.req("B-21")
def test_it_answers_as_the_store_in_memory_does_whenever_it_is_started_again(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    directory = tmp_path_factory.mktemp("witness")

    async def play() -> None:
        ledger = Ledger(directory)
        model = MemoryStore(revision=ledger.revision)
        register, work = _started(ledger)
        for number, (what, key, age) in enumerate(steps):
            if what == "restart":
                work.cancel()
                ledger.close()
                ledger = Ledger(directory)
                model = MemoryStore(dict(model.items()), revision=ledger.revision)
                register, work = _started(ledger)
                continue
            request: StoreRequest = ReadKey(key, number)
            if what == "swap":
                expected = max(0, model.state(key).revision - age) if age else model.state(key).revision
                request = SwapKey(key, number, expected, b"%d" % number)
            assert await _asked(register, request) == model.carry_out(request)
        work.cancel()
        ledger.close()

    asyncio.run(play())


def _started(ledger: Ledger) -> tuple[Register, "asyncio.Future[None]"]:
    register = Register(ledger)
    return register, asyncio.ensure_future(register.work())


async def _asked(register: Register, request: StoreRequest) -> object:
    if isinstance(request, ReadKey):
        answer = await register.ask(read_wish(gateway.RANGE, gateway.range_of_key(request.key)))
        assert isinstance(answer, bytes)
        return KeyRead(gateway.read_key(answer))
    body = gateway.swap(request.key, request.expected, request.value)
    answer = await register.ask(read_wish(gateway.TXN, body))
    assert isinstance(answer, bytes)
    return gateway.read_swap(answer)


# --- what it does not serve -------------------------------------------------------------------------------------------

SWAP = json.loads(gateway.swap("a", 0, b"1"))


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/v3/lease/grant", b"{}", "a witness does not serve /v3/lease/grant"),
        (gateway.RANGE, b"[]", "not understood"),
        (gateway.RANGE, b"\xff", "not understood"),
        (gateway.RANGE, b"[" * 20_000, "not understood"),
        (gateway.RANGE, b'{"key": "?"}', "not understood"),
        (gateway.TXN, json.dumps({**SWAP, "compare": []}).encode(), "not understood"),
        (gateway.TXN, json.dumps({**SWAP, "success": [*SWAP["success"], *SWAP["success"]]}).encode(), "not understood"),
        (
            gateway.TXN,
            json.dumps({**SWAP, "compare": [{**SWAP["compare"][0], "target": "VERSION"}]}).encode(),
            "mod_revision for equality",
        ),
        (
            gateway.TXN,
            json.dumps({**SWAP, "failure": json.loads(gateway.swap("b", 0, b""))["failure"]}).encode(),
            "one and the same key",
        ),
    ],
)
def test_what_it_does_not_serve_is_refused(path: str, body: bytes, why: str) -> None:
    with pytest.raises(NotServed, match=why):
        read_wish(path, body)


@given(st.sampled_from([gateway.RANGE, gateway.TXN, gateway.WATCH]), st.binary(max_size=200))
def test_no_request_breaks_it(path: str, body: bytes) -> None:
    with suppress(NotServed):
        read_wish(path, body)


def test_a_value_that_is_too_long_is_refused() -> None:
    async def play(register: Register) -> None:
        with pytest.raises(NotServed, match="4096 octets"):
            await register.ask(read_wish(gateway.TXN, gateway.swap("a", 0, bytes(MAX_VALUE + 1))))

    with_register(play)


def test_a_refusal_and_a_flood_cost_nobody_else_anything(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(tmp_path) as port, client_of(port) as client:
            for wrong in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"nonsense\r\n\r\n", _post(bytes(MAX_BODY + 1))):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(wrong)
                answer = await asyncio.wait_for(_all(reader), 5)
                assert not answer or answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
                writer.close()
            assert isinstance(await client.swap("vip/a", 0, b"one"), Swapped)

    asyncio.run(play())


async def _all(reader: asyncio.StreamReader) -> bytes:
    """What there is within a moment, or until the peer closes."""
    try:
        return await asyncio.wait_for(reader.read(4096), 1)
    except (TimeoutError, ConnectionError):
        return b""


def _post(body: bytes) -> bytes:
    return b"POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def with_register(play: Callable[[Register], Awaitable[None]]) -> None:
    async def run() -> None:
        with TemporaryDirectory(prefix="ykh-") as directory:
            ledger = Ledger(Path(directory))
            register, work = _started(ledger)
            try:
                await play(register)
            finally:
                work.cancel()
                ledger.close()

    asyncio.run(run())
