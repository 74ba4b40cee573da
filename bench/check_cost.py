"""What a tcp check costs: CPU time of the real worker process, everything included, per probe that a listener saw.

Measured at the rate that is promised, 5,000 a second: at lower rates each probe wakes the process for itself alone.
On loopback the kernel does the listener's half of each handshake in the prober's time, so the true cost is lower. The
peer opens the same connections at the same rate with asyncio's streams, as a prober written the obvious way would.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from bench.row import Row, median_of
from yaoki.checks.check import CheckId, CheckSpec, Schedule, TcpParams
from yaoki.core.codec import Codec
from yaoki.core.error import ActuatorError
from yaoki.core.framing import split
from yaoki.linux import probe_rules
from yaoki.node.messages import ConfigureChecks

GOAL_US = 120
PER_CORE = 5000
CHECKS = 5000
INTERVAL_S = 1.0
SETTLE_S = 3.0
PATIENCE_S = 20.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def rows(quick: bool) -> list[Row]:
    """CPU microseconds per check, beside asyncio's."""
    runs, window_s = (3, 3.0) if quick else (5, 8.0)
    with listener() as (port, count):
        with rules_as_before(), worker(port) as pid:
            time.sleep(SETTLE_S)
            ours = median_of(runs, lambda: cost_us(pid, count, window_s))
            rate = rate_of(count, window_s)
            memory = resident_mib(pid)
        with asyncio_prober(port) as pid:
            time.sleep(SETTLE_S)
            peer = median_of(runs, lambda: cost_us(pid, count, window_s))
    return [
        Row("CPU per tcp check", ours, "us", goal=f"<= {GOAL_US}"),
        Row("CPU per tcp check, beside asyncio streams", ours, "us", peer, "asyncio", goal="<= 1"),
        Row("tcp checks a second that fit one core", 1e6 / ours, "1/s", goal=f">= {PER_CORE}"),
        Row(f"tcp checks a second made, {CHECKS} asked for", rate, "1/s"),
        Row(f"memory of a check worker with {CHECKS} checks", memory, "MiB"),
    ]


def cost_us(pid: int, count: Callable[[], int], window_s: float) -> float:
    """CPU time that a process uses per connection that arrives meanwhile."""
    checks, used = count(), cpu_s(pid)
    time.sleep(window_s)
    return 1e6 * (cpu_s(pid) - used) / max(1, count() - checks)


def rate_of(count: Callable[[], int], window_s: float) -> float:
    """Connections a second; other work on this machine may hold it down."""
    checks = count()
    time.sleep(window_s)
    return (count() - checks) / window_s


def cpu_s(pid: int) -> float:
    """User and system time of a process (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_mib(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


@contextmanager
def listener() -> Iterator[tuple[int, Callable[[], int]]]:
    """A process that accepts and closes; gives its port and a count of what it accepted so far."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as sock, tempfile.TemporaryFile() as counter:
        counter.write(bytes(8))
        counter.flush()
        pid = os.fork()
        if pid == 0:
            accepted = 0
            while True:
                sock.accept()[0].close()
                accepted += 1
                os.pwrite(counter.fileno(), accepted.to_bytes(8), 0)
        try:
            yield sock.getsockname()[1], lambda: int.from_bytes(os.pread(counter.fileno(), 8, 0))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextmanager
def worker(port: int) -> Iterator[int]:
    """The product's own check worker with CHECKS checks; gives its process id."""
    schedule = Schedule(timedelta(seconds=INTERVAL_S), timedelta(seconds=1))
    checks = tuple(CheckSpec(CheckId(target, TcpParams(port)), schedule, str(target)) for target in targets())
    with tempfile.TemporaryDirectory() as run_dir:
        command = [sys.executable, "-m", "yaoki.runtime.check_worker", "--node", "bench", "--run-dir", run_dir]
        process = subprocess.Popen(command)
        try:
            with connected(Path(run_dir) / "checks.sock") as link:
                for datagram in split(Codec().encode(ConfigureChecks(checks))):
                    link.send(datagram)
                with draining(link):
                    yield process.pid
        finally:
            process.terminate()
            process.wait()


@contextmanager
def rules_as_before() -> Iterator[None]:
    """The worker makes its nft table where it may; it goes again unless it was there before."""
    listed = subprocess.run(["nft", "list", "table", "inet", probe_rules.TABLE], check=False, capture_output=True)
    yield
    if listed.returncode != 0:
        with suppress(ActuatorError):
            probe_rules.remove()


@contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with suppress(FileNotFoundError, ConnectionRefusedError):
                link.connect(str(path))
                break
            time.sleep(0.02)
        yield link


@contextmanager
def draining(link: socket.socket) -> Iterator[None]:
    """Something has to read the first verdicts."""
    pid = os.fork()
    if pid == 0:
        while link.recv(65536):
            pass
        os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def asyncio_prober(port: int) -> Iterator[int]:
    """The peer; gives its process id."""
    pid = os.fork()
    if pid == 0:
        asyncio.run(probe_all(port))
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def probe_all(port: int) -> None:
    await asyncio.gather(*(probe_for_ever(str(target), port, n) for n, target in enumerate(targets())))


async def probe_for_ever(host: str, port: int, number: int) -> None:
    loop = asyncio.get_running_loop()
    at = loop.time() + INTERVAL_S * number / CHECKS
    while True:
        await asyncio.sleep(at - loop.time())
        at += INTERVAL_S
        with suppress(OSError, TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1)
            writer.transport.abort()


def targets() -> list[IPv4Address]:
    """One per check: a check is one per address and port."""
    return [IPv4Address("127.1.0.0") + number for number in range(1, CHECKS + 1)]
