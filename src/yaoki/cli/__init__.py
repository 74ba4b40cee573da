"""The command line: one file per command, joined in the explicit table of yaoki.cli.commands.

Conventions every command keeps: data goes to stdout and talk to stderr; `-j` prints one JSON value; no colour where
stdout is no terminal or NO_COLOR is set; exit status 0: done and nothing wrong, 1: something is wrong or has failed,
2: the command could not be carried out as typed, or its run is void.
"""

from yaoki.cli.main import main

__all__ = ["main"]
