"""Programs as they are run for a diagnosis: bounded, with our environment, and unable to steer the terminal."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.network import eventually
from yaoki.runtime.diagnosis import programs
from yaoki.runtime.diagnosis.programs import MAX_OUTPUT, Result, find, printable, run
from yaoki.runtime.diagnosis.table import DIAGNOSES, Program

pytestmark = pytest.mark.req("D-29")


def told(script: str, *, within_s: float = 20.0, as_root: bool = True) -> tuple[Result, str]:
    said: list[str] = []
    result = run([sys.executable, "-I", "-c", script], within_s=within_s, as_root=as_root, tell=said.append)
    return result, "".join(said)


def test_what_it_writes_is_passed_on_and_its_status_told() -> None:
    script = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    assert told(script) == (Result(True, "done"), "out\nerr\n")
    assert told("raise SystemExit(3)") == (Result(False, "exit status 3"), "")


def test_it_reads_nothing_and_gets_an_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_LIKE", "evil")
    monkeypatch.setenv("HOME", "/root")
    script = "import os, sys; print(sorted(os.environ), os.environ['HOME'], os.getcwd(), repr(sys.stdin.read()))"
    names = sorted(["HOME", "LC_ALL", "PATH", "TERM"])
    assert told(script)[1] == f"{names} /nonexistent / ''\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
def test_it_is_nobody_unless_the_table_says_otherwise() -> None:
    path = "/usr/bin/id"
    said: list[str] = []
    assert run([path, "-un"], within_s=20.0, as_root=False, tell=said.append).good
    assert run([path, "-G"], within_s=20.0, as_root=False, tell=said.append).good
    name, groups = "".join(said).splitlines()
    assert name == "nobody"
    assert len(groups.split()) == 1
    assert [each.name for each in DIAGNOSES if isinstance(each.make, Program) and each.make.as_root] == ["sockets"]


def test_its_time_is_up_and_its_children_go_with_it() -> None:
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    begun = time.monotonic()
    result, said = told(script, within_s=2.0)
    assert result == Result(False, "its time was up")
    eventually(lambda: not lives(int(said)), within=10, what="its child is gone")
    assert time.monotonic() - begun < 30


def lives(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_an_endless_output_is_cut() -> None:
    result, said = told("while True: print('x' * 100)")
    assert result == Result(False, f"cut at {MAX_OUTPUT} octets")
    assert len(said) == MAX_OUTPUT


def test_nothing_in_the_output_steers_the_terminal() -> None:
    assert (
        told(r"import os; os.write(1, b'\x1b]0;evil\x07 \xff\xc3\xa9\r\n\ta')")[1] == "\ufffd]0;evil\ufffd \ufffdé\n\ta"
    )
    assert printable("a\u202eb\x9b1m") == "a\ufffdb\ufffd1m"


def test_a_program_that_is_not_installed_is_named_with_its_package(tmp_path: Path) -> None:
    assert find(("ip",), (str(tmp_path),)) is None
    (tmp_path / "ip").write_text("")
    assert find(("ip",), (str(tmp_path),)) is None, "it cannot be run"
    missing = Program({"no-such-program": lambda _: [], "nor-this": lambda _: []}, "some-package")
    said = "no-such-program or nor-this is not installed on this machine (Debian's package some-package)"
    assert missing([], lambda _: None) == Result(False, said)


def test_programs_are_sought_in_the_systems_directories_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "ip"
    fake.write_text("#!/bin/sh\necho fake\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find(("ip",))
    assert found is not None
    assert found.parent in map(Path, programs.DIRECTORIES)
