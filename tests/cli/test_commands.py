"""Every line of the table of commands leads to a module of the agreed shape."""

import argparse

import pytest

from yaoki.cli.commands import COMMANDS, Command


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
