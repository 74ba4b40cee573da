"""The drivers of the stores: the memory of the process, and three real etcd that are paused, killed and restarted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.election.etcd_cluster import EtcdCluster, make_certificates
from yaoki.election.store import (
    Endpoint,
    EtcdStore,
    KeyRead,
    KeyState,
    NotSwapped,
    ReadKey,
    StoreFailed,
    StoreRequest,
    StoreResult,
    SwapKey,
    Swapped,
)
from yaoki.runtime.stores import StoreDriver
from yaoki.runtime.stores.etcd import EtcdDriver
from yaoki.runtime.stores.in_process import InProcessDriver
from yaoki.runtime.stores.opening import open_store

LIMIT = timedelta(milliseconds=300)
PATIENCE = timedelta(seconds=2)
LONG_PATIENCE = timedelta(seconds=10)
"""Of a client that wants its answer: the machine may have other things to do."""
SILENCE = timedelta(milliseconds=750)


class Client:
    """Asks one after another and keeps what was seen."""

    def __init__(self, make: Callable[["Client"], StoreDriver]) -> None:
        self.seen: list[tuple[str, int]] = []
        self._answers: asyncio.Queue[tuple[StoreRequest, StoreResult]] = asyncio.Queue()
        self._count = 0
        self.patience = PATIENCE
        self.driver = make(self)

    def on_answer(self, request: StoreRequest, result: StoreResult) -> None:
        self._answers.put_nowait((request, result))

    def on_seen(self, key: str, state: KeyState) -> None:
        self.seen.append((key, state.revision))

    async def read(self, key: str) -> StoreResult:
        self._count += 1
        return await self._ask(ReadKey(key, self._count))

    async def swap(self, key: str, expected: int, value: bytes) -> StoreResult:
        self._count += 1
        return await self._ask(SwapKey(key, self._count, expected, value))

    async def swap_until_done(self, key: str, expected: int, value: bytes, *, within_s: float = 20) -> int:
        """Repeat until it succeeds; the new revision. What failed may have been carried out, as everywhere."""
        async with asyncio.timeout(within_s):
            while True:
                match await self.swap(key, expected, value):
                    case Swapped(revision):
                        return revision
                    case NotSwapped(state):
                        assert state.value == value, "only ourselves write here"
                        return state.revision
                    case _:
                        await asyncio.sleep(0.02)

    async def _ask(self, request: StoreRequest) -> StoreResult:
        self.driver.ask(request, self.patience)
        async with asyncio.timeout(20):
            answered, result = await self._answers.get()
        assert answered == request
        return result

    async def until_seen(self, what: tuple[str, int], *, within_s: float = 15) -> None:
        async with asyncio.timeout(within_s):
            while what not in self.seen:
                await asyncio.sleep(0.01)


def with_client(make: Callable[[Client], StoreDriver], play: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        client = Client(make)
        try:
            await play(client)
        finally:
            await client.driver.close()

    asyncio.run(run())


async def compare_and_swap(client: Client) -> None:
    """What every store must do."""
    client.patience = LONG_PATIENCE
    client.driver.watch(("vip/a",), SILENCE)
    assert await client.read("vip/a") == KeyRead(KeyState(0, None))
    first = await client.swap("vip/a", 0, b"one")
    assert isinstance(first, Swapped)
    assert await client.swap("vip/a", 0, b"two") == NotSwapped(KeyState(first.revision, b"one"))
    second = await client.swap("vip/a", first.revision, b"two")
    assert isinstance(second, Swapped)
    assert second.revision > first.revision
    assert await client.read("vip/a") == KeyRead(KeyState(second.revision, b"two"))
    other = await client.swap("vip/b", 0, b"other")
    assert isinstance(other, Swapped)
    await client.until_seen(("vip/a", second.revision))
    assert ("vip/b", other.revision) not in client.seen


def test_the_memory_of_the_process_is_a_store() -> None:
    with_client(lambda client: InProcessDriver(client.on_answer, client.on_seen), compare_and_swap)


def test_a_closed_store_in_memory_answers_nothing() -> None:
    async def play(client: Client) -> None:
        client.driver.ask(ReadKey("vip/a", 1), LIMIT)
        await client.driver.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client._answers.get()

    with_client(lambda client: InProcessDriver(client.on_answer, client.on_seen), play)


def test_where_nobody_listens_every_request_fails_with_the_reason() -> None:
    spec = EtcdStore((Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)), "yaoki/test/")

    async def play(client: Client) -> None:
        client.driver.watch(("vip/a",), SILENCE)
        for _ in range(4):
            result = await client.read("vip/a")
            assert isinstance(result, StoreFailed)
            assert "127.0.0.1" in result.why
        assert client.seen == []

    with_client(lambda client: EtcdDriver(spec, client.on_answer, client.on_seen), play)


def test_a_store_whose_certificate_cannot_be_read_fails_with_the_file_s_name(tmp_path: Path) -> None:
    missing = str(tmp_path / "ca.pem")
    spec = EtcdStore((Endpoint("127.0.0.1", 1, tls=True),), "yaoki/test/", ca=missing)

    async def play(client: Client) -> None:
        client.driver.watch(("vip/a",), SILENCE)
        result = await client.read("vip/a")
        assert isinstance(result, StoreFailed)
        assert missing in result.why
        assert "No such file" in result.why

    with_client(lambda client: open_store(spec, client.on_answer, client.on_seen), play)


# --- with real etcd ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture
def etcd(cluster: EtcdCluster) -> Callable[[Callable[[Client], Awaitable[None]]], None]:
    """Runs a play with a client of the cluster, whose keys are empty at first."""
    cluster.wait_for_leader()
    cluster.ctl("del", "--prefix", cluster.spec.prefix)
    return lambda play: with_client(lambda client: EtcdDriver(cluster.spec, client.on_answer, client.on_seen), play)


WithEtcd = Callable[[Callable[[Client], Awaitable[None]]], None]
peers = pytest.mark.peers


@peers
def test_etcd_is_a_store(etcd: WithEtcd) -> None:
    etcd(compare_and_swap)


@peers
def test_a_later_request_of_a_key_takes_the_place_of_an_earlier_one(etcd: WithEtcd) -> None:
    async def play(client: Client) -> None:
        client.driver.ask(ReadKey("vip/a", 1), LIMIT)
        assert await client.read("vip/a") == KeyRead(KeyState(0, None))

    etcd(play)


@peers
@pytest.mark.parametrize("leader_too", [False, True], ids=["follower", "leader"])
def test_a_paused_member_costs_one_request_and_the_watch_is_opened_elsewhere(
    cluster: EtcdCluster, etcd: WithEtcd, *, leader_too: bool
) -> None:
    async def play(client: Client) -> None:
        client.driver.watch(("vip/a",), SILENCE)
        revision = await client.swap_until_done("vip/a", 0, b"0")
        await client.until_seen(("vip/a", revision))
        paused = next(number for number in range(3) if (number == cluster.leader()) == leader_too)
        cluster.pause(paused)
        try:
            for count in range(1, 30):
                revision = await client.swap_until_done("vip/a", revision, b"%d" % count)
            await client.until_seen(("vip/a", revision))
        finally:
            cluster.resume(paused)

    etcd(play)


@peers
def test_a_minority_refuses_and_the_driver_finds_the_majority_again(cluster: EtcdCluster, etcd: WithEtcd) -> None:
    async def play(client: Client) -> None:
        client.driver.watch(("vip/a",), SILENCE)
        revision = await client.swap_until_done("vip/a", 0, b"0")
        for number in (0, 1):
            cluster.kill(number)
        for _ in range(5):
            assert isinstance(await client.swap("vip/a", revision, b"1"), StoreFailed)
        for number in (0, 1):
            cluster.restart(number)
        revision = await client.swap_until_done("vip/a", revision, b"1", within_s=30)
        await client.until_seen(("vip/a", revision))

    etcd(play)


@peers
def test_a_watch_whose_revisions_were_compacted_reads_the_keys_anew(cluster: EtcdCluster, etcd: WithEtcd) -> None:
    async def play(client: Client) -> None:
        client.driver.watch(("vip/a",), SILENCE)
        revision = await client.swap_until_done("vip/a", 0, b"0")
        await client.until_seen(("vip/a", revision))
        assert isinstance(client.driver, EtcdDriver)
        for count in range(1, 5):
            revision = await client.swap_until_done("vip/a", revision, b"%d" % count)
        await asyncio.to_thread(cluster.ctl, "compact", str(revision))
        client.seen.clear()
        client.driver._heard = 1  # as if the stream had been down all the while
        for number in range(3):
            cluster.pause(number)
        await asyncio.sleep(2 * SILENCE.total_seconds())
        for number in range(3):
            cluster.resume(number)
        await client.until_seen(("vip/a", revision), within_s=30)

    etcd(play)


@peers
def test_etcd_by_tls_takes_those_with_a_certificate_and_no_others(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    with EtcdCluster(1, certificates=tmp_path) as secured:
        with_client(lambda client: EtcdDriver(secured.spec, client.on_answer, client.on_seen), compare_and_swap)

        async def refused(client: Client) -> None:
            assert isinstance(await client.read("vip/a"), StoreFailed)

        nobody = replace(secured.spec, certificate="", key="")
        with_client(lambda client: EtcdDriver(nobody, client.on_answer, client.on_seen), refused)
