"""`yaoki verify` where it cannot be carried out; what it finds is in tests/lb/proof and tests/linux."""

import os
from pathlib import Path

import pytest

from yaoki.cli import main

LESSON = Path(__file__).parents[2] / "examples" / "dsr-lesson"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web", "--site", str(LESSON / "direct.yaml")], "run it on a node that may own the VIP: this machine has no"),
        (["web", "--site", str(LESSON / "direct.yaml"), "--node", "web1"], 'there is no node "web1"'),
        (["mail", "--site", str(LESSON / "direct.yaml")], 'there is no service "mail"'),
        (["web", "--site", str(LESSON / "nat.yaml"), "--node", "lb1"], "no server of web is of direct return"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="it asks for root first")
def test_what_cannot_be_carried_out(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *words]) == 2
    assert said in capsys.readouterr().err
