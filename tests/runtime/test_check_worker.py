"""The check worker as a process: what it is told and tells, and how it lives and dies."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from yaoki.checks.check import CheckId, CheckSpec, Outcome, Schedule, ScriptParams, TcpParams
from yaoki.checks.events import CheckFell, CheckRose, ProbesTracked
from yaoki.core.codec import Codec
from yaoki.core.error import ActuatorError
from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.linux import probe_rules
from yaoki.node.messages import (
    AskCheckStatus,
    CheckStatusReport,
    ConfigureChecks,
    Published,
    RepeatVerdicts,
    ShardReport,
    VerdictChanged,
)
from yaoki.pool.member import Health
from yaoki.runtime.check_worker import EXIT_UNREADABLE

CODEC = Codec({event.__name__: event for event in (CheckFell, CheckRose, ProbesTracked)})
SCHEDULE = Schedule(timedelta(milliseconds=100), timedelta(milliseconds=80), fall=3, rise=2)
PATIENCE = 20.0


class Main:
    """The node process's end of the link."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._sock.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < end
                time.sleep(0.01)
        self._sock.settimeout(PATIENCE)
        self._joiner = Joiner()
        self.reports: list[ShardReport] = []

    def tell(self, message: object) -> None:
        self.tell_raw(CODEC.encode(message))

    def tell_raw(self, message: bytes) -> None:
        for datagram in split(message):
            self._sock.send(datagram)

    def hear_until(self, wanted: Callable[[ShardReport], bool]) -> ShardReport:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            message = self._joiner.join(self._sock.recv(MAX_DATAGRAM))
            if message is not None:
                report: ShardReport = CODEC.decode(message, ShardReport)
                self.reports.append(report)
                if wanted(report):
                    return report
        raise AssertionError(f"not heard; heard were {self.reports}")

    def verdict(self, check: CheckSpec, health: Health) -> VerdictChanged:
        report = self.hear_until(lambda r: isinstance(r, VerdictChanged) and r.check == check.id and r.health is health)
        assert isinstance(report, VerdictChanged)
        return report

    def status(self) -> CheckStatusReport:
        self.tell(AskCheckStatus(1))
        report = self.hear_until(lambda r: isinstance(r, CheckStatusReport))
        assert isinstance(report, CheckStatusReport)
        return report

    def close(self) -> None:
        self._sock.close()


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module", autouse=True)
def _rules_as_before() -> Iterator[None]:
    """Workers make an nft table where they may; it goes again unless it was there before."""
    command = ["nft", "list", "table", "inet", probe_rules.TABLE]
    try:
        had_them = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        had_them = True
    yield
    if not had_them:
        with contextlib.suppress(ActuatorError):
            probe_rules.remove()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "yaoki.runtime.check_worker", "--node", "lb1", "--run-dir", str(tmp_path)]
        processes.append(subprocess.Popen([*command, *options], stderr=subprocess.PIPE))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def main(start: Start, tmp_path: Path) -> Iterator[Main]:
    start()
    made = Main(tmp_path / "checks.sock")
    yield made
    made.close()


@contextlib.contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """A server that accepts and closes."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        stop = threading.Event()

        def serve() -> None:
            listener.settimeout(0.05)
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    listener.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        thread.join()


def check(port: int) -> CheckSpec:
    return CheckSpec(CheckId(IPv4Address("127.0.0.1"), TcpParams(port)), SCHEDULE, f"port {port}")


def test_verdicts_and_their_events_come_as_servers_live_and_die(main: Main) -> None:
    with listening() as port:
        main.tell(ConfigureChecks((check(port),)))
        rise = main.verdict(check(port), Health.UP)
        assert rise.finding.outcome is Outcome.PASSED
    fall = main.verdict(check(port), Health.DOWN)
    assert fall.finding.outcome is Outcome.REFUSED
    published = [report.event for report in main.reports if isinstance(report, Published)]
    assert [type(event.body) for event in published if event.id.source.startswith("lb1/checks.")] == [
        CheckRose,
        CheckFell,
    ]
    assert fall.because == published[-1].id
    with listening(port):
        main.verdict(check(port), Health.UP)


def test_a_status_report_shows_every_check(main: Main) -> None:
    with listening() as port:
        checks = (check(port), check(1))
        main.tell(ConfigureChecks(checks))
        main.verdict(check(port), Health.UP)
        main.verdict(check(1), Health.DOWN)
        report = main.status()
    assert [(status.check, status.health) for status in report.checks] == [
        (checks[0].id, Health.UP),
        (checks[1].id, Health.DOWN),
    ]
    for status in report.checks:
        assert status.last_at is not None
        assert report.at - status.last_at < timedelta(seconds=PATIENCE)


def test_a_node_process_that_comes_back_hears_old_verdicts_and_kept_events(main: Main, tmp_path: Path) -> None:
    with listening() as port:
        main.tell(ConfigureChecks((check(port),)))
        rise = main.verdict(check(port), Health.UP)
        main.close()
    time.sleep(0.8)  # the server dies while nobody listens
    again = Main(tmp_path / "checks.sock")
    again.tell(RepeatVerdicts())
    fall = again.verdict(check(port), Health.DOWN)
    assert fall.at > rise.at
    events = [report.event for report in again.reports if isinstance(report, Published)]
    assert fall.because in [event.id for event in events]
    again.close()


def test_a_worker_that_was_held_up_accuses_nobody(start: Start, tmp_path: Path) -> None:
    worker = start()
    main = Main(tmp_path / "checks.sock")
    with listening() as port:
        strict = Schedule(timedelta(milliseconds=20), timedelta(milliseconds=200), fall=1)
        spec = CheckSpec(check(port).id, strict, "strict")
        main.tell(ConfigureChecks((spec,)))
        main.verdict(spec, Health.UP)
        for _ in range(4):
            os.kill(worker.pid, signal.SIGSTOP)
            time.sleep(0.3)  # longer than a probe may take
            os.kill(worker.pid, signal.SIGCONT)
            time.sleep(0.1)
        assert main.status().checks[0].health is Health.UP
    main.close()
    falls = [r for r in main.reports if isinstance(r, VerdictChanged) and r.health is Health.DOWN]
    assert falls == []


def test_left_alone_it_goes_on_for_its_limit_and_then_ends(start: Start, tmp_path: Path) -> None:
    worker = start("--alone-limit", "2")
    main = Main(tmp_path / "checks.sock")
    time.sleep(2.5)
    assert worker.poll() is None  # not alone
    main.close()
    assert worker.wait(PATIENCE) == 0
    assert not (tmp_path / "checks.sock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_all_its_scripts(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    worker = start()
    main = Main(tmp_path / "checks.sock")
    mark = tmp_path / "script.pid"
    tmp_path.chmod(0o755)
    params = ScriptParams(("/bin/sh", "-c", f"echo $$ > {mark}; exec sleep 50"), user=_me())
    schedule = Schedule(timedelta(milliseconds=10), timedelta(seconds=60))
    main.tell(ConfigureChecks((CheckSpec(CheckId(IPv4Address("127.0.0.1"), params), schedule, "script"),)))
    end = time.monotonic() + PATIENCE
    while not (mark.exists() and mark.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    script = int(mark.read_text())
    worker.send_signal(number)
    assert worker.wait(PATIENCE) == 0
    while Path(f"/proc/{script}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{script}").exists()
    main.close()


def test_told_something_of_another_version_it_ends_and_says_why(start: Start, tmp_path: Path) -> None:
    worker = start()
    main = Main(tmp_path / "checks.sock")
    main.tell_raw(b'{"is":"FromTheFuture"}')
    assert worker.wait(PATIENCE) == EXIT_UNREADABLE
    assert worker.stderr is not None
    assert b"FromTheFuture" in worker.stderr.read()
    main.close()


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
