"""Every line of the table of commands leads to a module of the agreed shape."""

import argparse
from pathlib import Path

import pytest

from yaoki.cli import main
from yaoki.cli.commands import COMMANDS, Command
from yaoki.cli.node_client import RUN_DIR, run_dir_of
from yaoki.core.error import UsageError


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_can_be_configured_and_shows_an_example(command: Command) -> None:
    module = command.load()
    assert module.__doc__
    assert f"yaoki {command.name}" in module.__doc__, "the help text of a command shows at least one example"
    module.configure(argparse.ArgumentParser())
    assert callable(module.run)


def test_names_are_unique() -> None:
    names = [command.name for command in COMMANDS]
    assert len(names) == len(set(names))


def test_without_a_node_a_command_says_how_to_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_DIR, raising=False)
    args = argparse.Namespace(run_dir=None, node=None)
    with pytest.raises(UsageError) as refused:
        run_dir_of(args, instead="; or compare two files", root=tmp_path)
    assert "start one with `yaoki node --site FILE --node NAME`" in str(refused.value)
    assert "ask one of a lab: `yaoki lab exec SITE NODE yaoki ...`; or compare two files" in str(refused.value)
    for name in ("lb1", "lb2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "control.sock").touch()
    with pytest.raises(UsageError, match="choose with --node: lb1, lb2"):
        run_dir_of(args, root=tmp_path)


@pytest.mark.parametrize("words", [["help", "check"], ["check", "--help"], ["help", "che"]])
def test_help_on_one_command_can_be_asked_for_either_way(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("usage: yaoki check ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "--from", "a", "b", "--if", "lb1"], "--from compares two files"),
        (["plan", "--from", "a", "b", "--move", "vip"], "--from compares two files"),
        (["events", "-n", "-5"], "--last is 0 or more"),
    ],
)
def test_what_would_be_passed_over_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_word_that_is_missing_is_named_with_all_that_it_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show"]) == 2
    assert "required: vip|service|connections|check|neighbour" in capsys.readouterr().err
