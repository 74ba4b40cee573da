"""Script probes: real programs, their account, and what becomes of all that they start."""

import os
import pwd
import time
from pathlib import Path

import pytest

from tests.runtime.probes.conftest import RunProbe
from yaoki.checks.check import Outcome, ScriptParams
from yaoki.runtime.probes.script import adopt_orphans

pytestmark = pytest.mark.req("B-10")

USER = pwd.getpwuid(os.geteuid()).pw_name
SHORT = 2.0
"""Long enough for a script to begin."""


@pytest.fixture(autouse=True, scope="module")
def _subreaper() -> None:
    adopt_orphans()


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    path = tmp_path / "pids"
    path.touch()
    return path


def shell(text: str, user: str = USER) -> ScriptParams:
    return ScriptParams(("/bin/sh", "-c", text), user)


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those of the processes that still live after a generous while."""
    end = time.monotonic() + 10
    while (alive := [pid for pid in pids if _lives(pid)]) and time.monotonic() < end:
        time.sleep(0.02)
    return alive


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("text", "outcome", "evidence"),
    [
        ("exit 0", Outcome.PASSED, "exit status 0"),
        ("echo lag 3 ms; echo more", Outcome.PASSED, "lag 3 ms"),
        ("echo replication stopped >&2; exit 2", Outcome.WRONG_ANSWER, "exit status 2: replication stopped"),
        ("kill -TERM $$", Outcome.WRONG_ANSWER, "killed by signal 15"),
        ("no-such-program-at-all", Outcome.NOT_RUN, "exit status 127"),
        ("exec >&- 2>&-; sleep 0.1; exit 3", Outcome.WRONG_ANSWER, "exit status 3"),
        ("head -c 1000000 /dev/zero; exit 0", Outcome.PASSED, "\0"),
        ("cat; exit 0", Outcome.PASSED, "exit status 0"),
    ],
)
def test_the_exit_status_decides_and_the_output_is_the_evidence(
    text: str, outcome: Outcome, evidence: str, run_probe: RunProbe
) -> None:
    finding = run_probe(shell(text))
    assert finding.outcome is outcome
    assert finding.evidence.startswith(evidence)


@pytest.mark.parametrize(
    ("params", "evidence"),
    [
        (ScriptParams(("/no/such/program",), USER), "/no/such/program: No such file or directory"),
        (ScriptParams(("/etc/passwd",), USER), "/etc/passwd: Permission denied"),
        (ScriptParams(("/bin/true",), "nobody-of-that-name"), "no account 'nobody-of-that-name'"),
    ],
)
def test_what_cannot_be_run_is_our_own_failure(params: ScriptParams, evidence: str, run_probe: RunProbe) -> None:
    finding = run_probe(params)
    assert (finding.outcome, finding.evidence) == (Outcome.NOT_RUN, evidence)


def test_the_script_finds_its_target_and_none_of_our_environment(
    monkeypatch: pytest.MonkeyPatch, run_probe: RunProbe
) -> None:
    monkeypatch.setenv("SECRET", "x")
    finding = run_probe(shell('echo "$YAOKI_TARGET $YAOKI_TIMEOUT_MS ${SECRET-none} $PWD"'))
    assert finding.evidence == "127.0.0.1 5000 none /"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_script_runs_as_its_user_without_our_groups(run_probe: RunProbe) -> None:
    finding = run_probe(shell('id -un; test "$(id -G)" = "$(id -G nobody)"', "nobody"))
    assert (finding.outcome, finding.evidence) == (Outcome.PASSED, "nobody")


def test_a_script_over_time_is_killed_with_its_children(pid_file: Path, run_probe: RunProbe) -> None:
    text = f"sleep 100 & echo $! >> {pid_file}; echo $$ >> {pid_file}; wait"
    finding = run_probe(shell(text), timeout=SHORT)
    assert (finding.outcome, finding.evidence) == (Outcome.TIMED_OUT, "no end of the script within 2000 ms")
    pids = [int(line) for line in pid_file.read_text().split()]
    assert len(pids) == 2
    assert wait_until_gone(pids) == []


@pytest.mark.parametrize(
    "text",
    [
        "setsid sleep 100 & sleep 100",  # leaves the process group, parent alive
        "(setsid sh -c 'sleep 100 & sleep 100' &); sleep 100",  # leaves it as an orphan, with a child
        "trap '' TERM HUP; (trap '' TERM HUP; setsid sleep 100 &) ; sleep 100",
        "(setsid sleep 100 &); exit 0",  # left behind by a script that passes
    ],
)
def test_what_flees_from_the_process_group_is_killed_too(text: str, pid_file: Path, run_probe: RunProbe) -> None:
    run_probe(shell(f"echo $$ > {pid_file}; {text}"), timeout=SHORT)
    session = pid_file.read_text().strip()
    left = [pid for pid in _processes_with("sleep 100", since_pid=int(session)) if wait_until_gone([pid])]
    assert left == []


def test_output_held_open_by_an_orphan_does_not_delay_the_verdict(run_probe: RunProbe) -> None:
    finding = run_probe(shell("(sleep 100 &); echo done"), timeout=20)
    assert (finding.outcome, finding.evidence) == (Outcome.PASSED, "done")


def _processes_with(command: str, *, since_pid: int) -> list[int]:
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and int(directory.name) >= since_pid:
            try:
                line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if line == command:
                found.append(int(directory.name))
    return found
