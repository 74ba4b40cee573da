"""What commands print with: JSON, and colours for those who want them."""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TextIO

from yaoki.core.address import MacAddress
from yaoki.core.error import UsageError


def print_json(value: object) -> None:
    """Print one JSON value on stdout. Dataclasses become objects, durations seconds, anything else (an address)
    its text."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write("\n")


def talk(text: str) -> None:
    """Tell the person at the terminal something that is not data."""
    print(text, file=sys.stderr)


def refuse_unwritable(file: Path) -> None:
    """Before something is done that takes long and ends in a file. Raises UsageError; what can be known only by
    writing, such as a full disk, is not asked."""
    there = file.exists()
    if file.is_dir() or not (there or file.parent.is_dir()):
        raise UsageError(f"{file} cannot be written: it is a directory, or in none that exists")
    if not os.access(file if there else file.parent, os.W_OK):
        raise UsageError(f"{file} cannot be written: permission denied")


class Paint:
    """Colours on one stream; every method returns its text unchanged where colours are not wanted."""

    def __init__(self, stream: TextIO, *, environment: Mapping[str, str] = os.environ) -> None:
        self.on = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    def red(self, text: str) -> str:
        return self._wrap("31", text)

    def yellow(self, text: str) -> str:
        return self._wrap("33", text)

    def green(self, text: str) -> str:
        return self._wrap("32", text)

    def faint(self, text: str) -> str:
        return self._wrap("2", text)

    def bold(self, text: str) -> str:
        return self._wrap("1", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


def _plain(value: object) -> object:
    if isinstance(value, MacAddress):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    return str(value)
