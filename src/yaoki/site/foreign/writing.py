"""A site file as text: objects of sections, each with what has to be said above it as a comment.

Invariant: what is written is strict YAML (yaoki.site.strict_yaml) of the same values, whatever the texts hold.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from yaoki.core.address import IPAddress, IPNetwork
from yaoki.site.units import duration_text

_WIDTH = 116
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*|[0-9]+(?:us|ms|s|m|h|d)|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?")
_FIRST_ODD = "\ud800"
"""From here on characters are written as their codes: surrogates, private ones, marks of byte order."""
_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of keys, in their order."""

    entries: tuple[tuple[str, "Value"], ...]


Value = str | int | bool | timedelta | Enum | IPAddress | IPNetwork | Block | tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One named object of a section; `comments` stand above it."""

    name: str
    value: Block
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the file; without entries it is left out."""

    name: str
    entries: tuple[Entry, ...]


def site_text(name: str, sections: Iterable[Section], *, head: Iterable[str] = ()) -> str:
    """The whole file."""
    lines = [*_comments(head, ""), "version: 1", f"site: {scalar(name)}"]
    for section in sections:
        if section.entries:
            lines += ["", f"{section.name}:"]
            for entry in section.entries:
                lines += _entry(entry)
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as one word, in quotes where it could be read as something else."""
    if _PLAIN.fullmatch(text) is not None and text.lower() not in _NOT_PLAIN:
        return text
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    """A character as it stands within double quotes."""
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and character < _FIRST_ODD:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _entry(entry: Entry) -> list[str]:
    lines = _comments(entry.comments, "  ")
    whole = f"  {scalar(entry.name)}: {_flow(entry.value)}"
    if len(whole) <= _WIDTH and len(entry.value.entries) <= 3:
        return [*lines, whole]
    lines.append(f"  {scalar(entry.name)}:")
    lines += [f"    {key}: {_flow(value)}" for key, value in entry.value.entries]
    return lines


def _flow(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return scalar(str(value.value))
        case int():
            return str(value)
        case str():
            return scalar(value)
        case timedelta():
            return duration_text(value)
        case Block():
            return "{" + ", ".join(f"{scalar(key)}: {_flow(inner)}" for key, inner in value.entries) + "}"
        case tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return scalar(str(value))


def _comments(texts: Iterable[str], indent: str) -> list[str]:
    """Texts as comments, without anything that could end a line early."""
    return [f"{indent}# {''.join(c if c.isprintable() else ' ' for c in text)}" for text in texts]
