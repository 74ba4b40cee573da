"""What every command shares: where its output cannot go, and what no terminal can show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

YAOKI = (sys.executable, "-m", "yaoki.cli")


@pytest.mark.parametrize("words", [("schema",), ("--help",)])
def test_a_full_disk_is_told_in_a_sentence(words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([*YAOKI, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "yaoki: the output cannot be written: No space left on device\n"


def test_a_reader_that_has_left_is_no_mistake() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        ended = subprocess.run([*YAOKI, "schema"], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_it_runs_without_an_output_and_says_what_the_terminal_cannot_show(tmp_path: Path) -> None:
    (tmp_path / "八.yaml").touch()
    command = [*YAOKI, "check", str(tmp_path / "八.yaml")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    shown = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "\\u516b.yaml:1:1: error: the file is empty" in shown.stdout
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (1, "")
