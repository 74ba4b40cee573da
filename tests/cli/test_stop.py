"""Stopping a node that ends by itself just then."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.control_node import answering
from yaoki.cli.main import main
from yaoki.runtime.requests import Life


@pytest.mark.req("Z-06")
def test_a_node_that_ended_just_before_it_was_told_to_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with answering(tmp_path, life=Life("lb1", "1", 1, ended.pid), stop={}) as asked:
        assert main(["stop", "--run-dir", str(tmp_path)]) == 2
    assert asked == ["life"]
    assert "the node has ended before it was told to stop" in capsys.readouterr().err
