"""The entry point: finds the command, gives it its arguments, and turns errors into one sentence and an exit status."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence

from yaoki import __version__
from yaoki.cli.commands import COMMANDS, Command
from yaoki.cli.prefix import expand
from yaoki.core.error import ActuatorError, SiteError, UsageError
from yaoki.site.drawing import draw

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130

_EPILOGUE = """\
Commands may be abbreviated as long as they are unambiguous. `yaoki COMMAND --help` shows its options and examples.
Exit status: 0 done and nothing wrong; 1 something is wrong or has failed; 2 cannot be carried out as typed, or void.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _take_any_text()
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except SiteError as error:
        for problem in error.problems:
            print(draw(problem), file=sys.stderr)
        return FAILED
    except UsageError as error:
        print(f"yaoki: {error}", file=sys.stderr)
        return USAGE
    except ActuatorError as error:
        print(f"yaoki: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # The reader of our output (`| head`) has left; what we could still say has nobody to hear it.
        _drop_output()
        return FAILED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        print(f"yaoki: {error.filename or 'the output'} cannot be written: {error.strerror}", file=sys.stderr)
        _drop_output()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def _take_any_text() -> None:
    """Names of files may be no text, and names in a site file none of the terminal's: neither ends a command. Started
    without a stdout (`>&-`), it has nobody to tell."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it is there until the process ends
    elif isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still in the buffer has nowhere to go, at the end of the process neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    # -j may stand before the command as well as after it.
    leading_json = ["-j"] if words and words[0] in ("-j", "--json") else []
    words = words[len(leading_json) :]
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return OK if words else USAGE
    if words[0] in ("-V", "--version"):
        print(f"yaoki {__version__}")
        return OK
    if words[0].startswith("-"):
        raise UsageError(f'there is no option "{words[0]}" here; `yaoki --help` lists the commands')
    name = expand(words[0], _names(words[0]), what="command")
    command = next(command for command in COMMANDS if command.name == name)
    module = command.load()
    parser = _parser(command, module.__doc__ or command.help)
    module.configure(parser)
    try:
        args = _parsed(parser, [*leading_json, *words[1:]])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    return module.run(args)


def _parsed(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """Options may stand between the words, unless the words from one on are another command's."""
    if any(action.nargs in (argparse.REMAINDER, argparse.PARSER) for action in parser._get_positional_actions()):
        return parser.parse_args(words)
    return parser.parse_intermixed_args(words)


def _names(word: str) -> tuple[str, ...]:
    """The commands that an abbreviation may mean; hidden ones must be typed in full."""
    return tuple(command.name for command in COMMANDS if not command.hidden or command.name == word)


def _parser(command: Command, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"yaoki {command.name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # A command may want --json FILE for itself; -j is the same everywhere.
        conflict_handler="resolve",
    )
    parser.add_argument("-j", "--json", action="store_true", help="print JSON")
    return parser


def _overview() -> str:
    width = max((len(command.name) for command in COMMANDS), default=0)
    lines = [f"  {command.name:{width}}  {command.help}" for command in COMMANDS if not command.hidden]
    return "usage: yaoki [-j] COMMAND ...\n\n" + "\n".join(lines) + "\n\n" + _EPILOGUE.rstrip()
