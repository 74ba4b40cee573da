"""`yaoki witness` as a process: what it says, how it ends, and whom it lets in by TLS."""

import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.election.etcd_cluster import make_certificates
from tests.election.test_store_drivers import Client, compare_and_swap, with_client
from yaoki.election.store import Endpoint, EtcdStore, KeyRead, StoreFailed
from yaoki.runtime.stores.etcd import EtcdDriver

WITNESS = (sys.executable, "-m", "yaoki.cli", "witness")
PREFIX = "witness/test/"
Process = subprocess.Popen[str]


@contextmanager
def running(state: Path, *words: str) -> Iterator[tuple[Process, int, str]]:
    """A witness on a port that the kernel chose: the process, the port, and what it said."""
    command = [*WITNESS, "--listen", "127.0.0.1:0", "--state-dir", str(state), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"serves on 127\.0\.0\.1 port (\d+)", said)
            assert found, said
            yield process, int(found[1]), said
        finally:
            process.kill()


def play(spec: EtcdStore, what: Callable[[Client], Awaitable[None]]) -> None:
    with_client(lambda client: EtcdDriver(spec, client.on_answer, client.on_seen), what)


def refused(*words: str) -> tuple[int, str]:
    ended = subprocess.run([*WITNESS, *words], capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.req("N-13")
def test_what_it_keeps_outlives_a_kill_and_sigterm_ends_it(tmp_path: Path) -> None:
    kept: list[object] = []

    async def write(client: Client) -> None:
        await compare_and_swap(client)
        kept.append(await client.read("vip/a"))

    async def read(client: Client) -> None:
        kept.append(await client.read("vip/a"))

    with running(tmp_path) as (process, port, said):
        assert "with 0 leases on its disk" in said
        play(EtcdStore((Endpoint("127.0.0.1", port),), PREFIX), write)
        process.kill()
        process.wait()
    with running(tmp_path) as (process, port, said):
        assert "with 2 leases on its disk" in said
        play(EtcdStore((Endpoint("127.0.0.1", port),), PREFIX), read)
        status, told = refused("--listen", "127.0.0.1:0", "--state-dir", str(tmp_path))
        assert (status, "another witness runs with it" in told) == (2, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert isinstance(kept[0], KeyRead)
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--listen", "nowhere"), '"nowhere" is no ADDRESS:PORT; for example 192.0.2.31:2379'),
        (("--ca", "ca.pem"), "TLS needs all three: --ca, --certificate and --key"),
        (("--ca", "/none", "--certificate", "/none", "--key", "/none"), "/none: No such file or directory"),
    ],
)
def test_what_it_cannot_do_it_says(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    status, said = refused("--state-dir", str(tmp_path / "state"), *words)
    assert status == 2
    assert told in said


def test_an_address_that_is_not_here_ends_it_with_the_reason(tmp_path: Path) -> None:
    status, said = refused("--state-dir", str(tmp_path), "--listen", "192.0.2.31:2379")
    assert status == 1
    assert "nothing more is promised" in said


@pytest.mark.peers
def test_by_tls_it_takes_those_with_a_certificate_and_no_others(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    at = {name: str(tmp_path / file) for name, file in (("ca", "ca.pem"), ("own", "etcd.pem"), ("key", "etcd.key"))}
    words = ("--ca", at["ca"], "--certificate", at["own"], "--key", at["key"])

    async def nobody(client: Client) -> None:
        assert isinstance(await client.read("vip/a"), StoreFailed)

    with running(tmp_path / "state", *words) as (_, port, _said):
        endpoint = (Endpoint("127.0.0.1", port, tls=True),)
        mine = (str(tmp_path / "node.pem"), str(tmp_path / "node.key"))
        play(EtcdStore(endpoint, PREFIX, at["ca"], *mine), compare_and_swap)
        play(EtcdStore(endpoint, PREFIX, at["ca"]), nobody)
        play(EtcdStore((Endpoint("127.0.0.1", port),), PREFIX), nobody)
