"""Tiny servers that behave well or badly, on loopback, and a loop that runs one probe to its end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from yaoki.checks.check import CheckId, CheckSpec, Finding, KindParams, Schedule
from yaoki.core.address import IPAddress
from yaoki.runtime.probes.loop import Job, ProbeLoop
from yaoki.runtime.probes.registry import probe_for

LOOPBACK = IPv4Address("127.0.0.1")

Behaviour = Callable[[socket.socket], None]
"""What a server does with a connection, in a thread; the connection is closed when it returns."""
Serve = Callable[[Behaviour], int]
RunProbe = Callable[..., Finding]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a TCP server of a behaviour on 127.0.0.1; gives its port."""
    listeners: list[socket.socket] = []
    connections: list[socket.socket] = []

    def start(behaviour: Behaviour) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_accept, args=(listener, behaviour, connections), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for sock in [*listeners, *connections]:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept or recv
        sock.close()


def _accept(listener: socket.socket, behaviour: Behaviour, connections: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connections.append(connection)
            threading.Thread(target=_behave, args=(connection, behaviour), daemon=True).start()


def _behave(connection: socket.socket, behaviour: Behaviour) -> None:
    with suppress(OSError):
        behaviour(connection)
    connection.close()


@pytest.fixture
def run_probe() -> RunProbe:
    """Runs one probe and gives its finding."""
    return probe_once


def probe_once(
    params: KindParams,
    *,
    timeout: float = 5.0,
    target: IPAddress = LOOPBACK,
    source: IPAddress | None = None,
    number: int = 1,
) -> Finding:
    schedule = Schedule(timedelta(seconds=60), timedelta(seconds=timeout))
    job = Job(number, CheckSpec(CheckId(target, params, source), schedule, "test"), time.monotonic_ns())
    findings: list[Finding] = []
    loop = ProbeLoop(lambda _, finding: findings.append(finding))
    loop.start(job, probe_for(job))
    give_up = time.monotonic() + timeout + 30
    while not findings and time.monotonic() < give_up:
        loop.turn(None)
    assert len(loop) == 0
    loop.close()
    [finding] = findings
    return finding
