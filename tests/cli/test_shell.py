"""`yaoki shell`: what is asked is recorded before it is made, and nothing is made that cannot be recorded."""

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from yaoki.cli import main
from yaoki.cli.node_client import RUN_DIR
from yaoki.cli.shell import PACE_S
from yaoki.cli.shell_record import Recorder, who
from yaoki.core.codec import Codec
from yaoki.core.error import UsageError
from yaoki.node.diagnosis_events import DiagnosisBegun, DiagnosisEnded, DiagnosisEvent, DiagnosisRefused
from yaoki.node.events import EVENT_KINDS
from yaoki.runtime.control import ControlServer, Result
from yaoki.runtime.diagnosis.reading import MAX_LINE

pytestmark = pytest.mark.req("D-29")


class Node:
    """Where a node would listen: it keeps what it is told."""

    def __init__(self, directory: Path) -> None:
        self.run_dir = directory
        self.told: list[DiagnosisEvent] = []
        self.told_at: list[float] = []
        self._listens = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._listens.wait(20)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = ControlServer(self.run_dir / "control.sock", answers={"record": self._record}, streams={})
        await server.listen()
        self._listens.set()
        await self._ended.wait()
        server.close()

    async def _record(self, request: Mapping[str, Any]) -> Result:
        self.told.append(Codec(EVENT_KINDS).value(request["told"], DiagnosisEvent))
        self.told_at.append(time.monotonic())
        return {}

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    monkeypatch.delenv("SSH_ORIGINAL_COMMAND", raising=False)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    found = Node(tmp_path)
    yield found
    found.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_one_diagnosis_is_made_and_told_of_before_and_after(
    node: Node, listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    port = listener.getsockname()[1]
    assert main(["shell", "connect", "127.0.0.1", str(port)]) == 0
    begun, ended = node.told
    assert begun == DiagnosisBegun(who(), f"connect 127.0.0.1 {port}")
    assert isinstance(ended, DiagnosisEnded)
    assert (ended.who, ended.command, ended.result) == (who(), f"connect 127.0.0.1 {port}", "1 of 1 answered")
    said = capsys.readouterr()
    assert said.out.startswith("127.0.0.1: connected (")
    assert said.err == f"connect 127.0.0.1 {port}: 1 of 1 answered\n"


def test_of_an_http_answer_the_status_is_told_and_the_content_is_not(
    node: Node, listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve() -> None:
        with listener.accept()[0] as sock:
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret")

    server = threading.Thread(target=serve)
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    assert main(["shell", "get", url]) == 0
    server.join()
    said = capsys.readouterr()
    assert said.out.startswith("127.0.0.1: HTTP 404 (")
    assert "secret" not in said.out + said.err
    assert [each.command for each in node.told if not isinstance(each, DiagnosisRefused)] == [f"get {url}"] * 2


def test_for_programs_one_value_is_printed(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-j", "shell", "get", "http://127.0.0.1:1/"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["asked"], told["good"], told["result"]) == ("get http://127.0.0.1:1/", False, "0 of 1 answered")
    assert "refused" in told["output"]
    assert len(node.told) == 2


@pytest.mark.parametrize(
    "words", [["ping", "-f"], ["ping", "192.0.2.1;id"], ["sh"], ["-c", "id"], ["dig", "+x", "$(id)"]]
)
def test_what_is_no_diagnosis_is_refused_and_recorded(
    node: Node, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shell", "--run-dir", str(node.run_dir), "--", *words]) == 2
    (told,) = node.told
    assert isinstance(told, DiagnosisRefused)
    assert told.who == who()
    assert f"yaoki: {told.why}" in capsys.readouterr().err


def test_lines_are_read_until_there_are_none(node: Node) -> None:
    lines = "addresses\n\nping 192.0.2.1 |\nhelp\nrm -rf /\nexit\naddresses\n"
    command = [sys.executable, "-m", "yaoki.cli", "shell"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert [type(each) for each in node.told] == [DiagnosisBegun, DiagnosisEnded, DiagnosisRefused, DiagnosisRefused]
    assert "127.0.0.1" in done.stdout
    assert "ping HOST [COUNT]" in done.stdout
    assert "'|' is not a count 1..20" in done.stderr


def test_a_forced_command_of_sshd_is_a_diagnosis_like_any(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.9 50000 192.0.2.11 22")
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "addresses; id")
    assert main(["shell"]) == 2
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "addresses")
    assert main(["shell"]) == 0
    assert [each.who for each in node.told] == [f"{who(environment={})} from 198.51.100.9"] * 3
    assert isinstance(node.told[0], DiagnosisRefused)
    assert "127.0.0.1" in capsys.readouterr().out


def test_who_it_is_cannot_be_made_up(tmp_path: Path) -> None:
    uid = tmp_path / "loginuid"
    uid.write_text("0")
    assert who(None, {"SSH_CONNECTION": "$(id) 1 2 3", "SUDO_USER": "alice"}, uid) == "root"
    assert who("alice", {"SSH_CONNECTION": "2001:db8::9 1 2 3"}, uid) == "alice (root) from 2001:db8::9"
    uid.write_text("4000000000")
    assert who(None, {}, uid) == "account 4000000000"
    assert who(None, {}, tmp_path / "none") == who(None, {"USER": "alice"}, tmp_path / "none")
    with pytest.raises(UsageError, match="--as takes a name"):
        who("alice\n", {}, uid)


def test_without_a_node_the_systems_log_is_told_and_without_both_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = argparse.Namespace(run_dir=tmp_path, node=None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        Recorder(args, system_log=tmp_path / "log").take(DiagnosisRefused("alice", "evil \x1b[2J\n"))
        assert log.recv(4096) == "<84>yaoki-shell: the shell refused what alice typed: evil \ufffd[2J".encode()
    with pytest.raises(UsageError, match=r"so nothing is run: no node answers at .*Connection refused"):
        Recorder(args, system_log=tmp_path / "log").take(DiagnosisBegun("alice", "addresses"))
    if not Path("/dev/log").exists():
        monkeypatch.setenv(RUN_DIR, str(tmp_path))
        assert main(["shell", "addresses"]) == 2
        assert capsys.readouterr().out == ""


def test_what_is_left_of_a_line_that_is_too_long_is_no_line_of_its_own(node: Node) -> None:
    command = [sys.executable, "-m", "yaoki.cli", "shell"]
    lines = f"ping{' ' * (MAX_LINE - 2)}addresses\n{'a ' * 3 * MAX_LINE}\nroutes 127.0.0.1\n{' ' * MAX_LINE}addresses"
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
    assert "UNKNOWN" not in done.stdout, "no addresses were shown"
    assert [type(each) for each in node.told] == [
        *(DiagnosisRefused, DiagnosisRefused, DiagnosisBegun, DiagnosisEnded, DiagnosisRefused)
    ]
    assert done.stderr.count(f"longer than {MAX_LINE} characters\n") == 3


def test_lines_that_are_piped_do_not_push_all_else_out_of_the_record(node: Node) -> None:
    command = [sys.executable, "-m", "yaoki.cli", "shell"]
    done = subprocess.run(command, input="x\n" * 6, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(node.told)) == (2, 6)
    assert node.told_at[-1] - node.told_at[0] >= 4 * PACE_S, "five pauses, with what it takes to tell the first"


def test_without_anything_to_read_from_nothing_is_asked() -> None:
    command = [sys.executable, "-m", "yaoki.cli", "shell"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("asked", [True, False])
def test_who_hangs_up_ends_the_diagnosis_and_that_is_recorded(node: Node, sent: signal.Signals, asked: bool) -> None:
    words = ["ping", "127.0.0.1", "20"]
    # Whoever runs the tests in the background has interrupts ignored.
    shell = [sys.executable, "-m", "yaoki.cli", "shell", *([] if asked else words)]
    command = ["env", "--default-signal=INT", *shell]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if asked:
            process.stdin.write(" ".join(words).encode() + b"\n")
            process.stdin.flush()
        process.stdout.readline()
        process.send_signal(sent)
        process.communicate(timeout=10)
    goes_on = asked and sent is signal.SIGINT
    assert process.returncode == (1 if goes_on else 128 + sent)
    begun, ended = node.told
    assert isinstance(begun, DiagnosisBegun)
    assert isinstance(ended, DiagnosisEnded)
    assert ended.result == "interrupted"


def test_bytes_that_are_no_text_are_refused_like_any_other(node: Node) -> None:
    command = [sys.executable, "-m", "yaoki.cli", "shell"]
    done = subprocess.run(command, input=b"ping \xff\xfe\n", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert [type(each) for each in node.told] == [DiagnosisRefused]
