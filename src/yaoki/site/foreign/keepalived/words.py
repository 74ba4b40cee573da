"""One line of keepalived.conf as words: where its comment begins, and what its quotes and backslashes mean.

keepalived.conf(5) "Quoted strings": text between " or ' keeps its white space and joins what touches it; within quotes
a backslash writes control characters, octal and hexadecimal codes, or the character itself.
"""

import re
from dataclasses import dataclass

_COMMENT = "#!"
_QUOTES = "\"'"
_CONTROL = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OCTAL = re.compile(r"[0-7]{1,3}")
_HEXADECIMAL = re.compile(r"x([0-9A-Fa-f]{1,6})")
_LAST_CHARACTER = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Word:
    """A word; `quoted` if any of it stood in quotes, so that `"{"` opens no block."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Unended:
    """A quote that the line does not end; `column` counts from 0."""

    column: int


def without_comment(line: str) -> str:
    """The line up to its first # or ! outside quotes. An unended quote hides what follows it."""
    quote = ""
    index = 0
    while index < len(line):
        character = line[index]
        if character == "\\":
            index += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in _COMMENT:
            return line[:index]
        index += 1
    return line


def split_words(line: str) -> tuple[Word, ...] | Unended:
    """The words of a line without comment."""
    words: list[Word] = []
    text = ""
    quoted = False
    index = 0
    while index < len(line):
        character = line[index]
        if character.isspace():
            if text or quoted:
                words.append(Word(text, quoted))
            text, quoted = "", False
            index += 1
        elif character in _QUOTES:
            read = _within(line, index)
            if read is None:
                return Unended(index)
            text, quoted = text + read[0], True
            index = read[1]
        else:
            text += character
            index += 1
    if text or quoted:
        words.append(Word(text, quoted))
    return tuple(words)


def _within(line: str, start: int) -> tuple[str, int] | None:
    """What stands in the quotes that open at `start`, and the index after them; None if they stay open."""
    quote = line[start]
    text = ""
    index = start + 1
    while index < len(line):
        character = line[index]
        if character == quote:
            return text, index + 1
        if character == "\\" and index + 1 < len(line):
            meant, index = _escaped(line, index + 1)
            text += meant
        else:
            text += character
            index += 1
    return None


def _escaped(line: str, index: int) -> tuple[str, int]:
    """What the characters after a backslash mean, and the index after them."""
    character = line[index]
    if (octal := _OCTAL.match(line, index)) is not None:
        return chr(int(octal.group(), 8)), octal.end()
    if (code := _HEXADECIMAL.match(line, index)) is not None:
        number = int(code[1], 16)
        known = number <= _LAST_CHARACTER and not 0xD800 <= number <= 0xDFFF
        return chr(number) if known else "\ufffd", code.end()
    if character == "c" and index + 1 < len(line):
        return chr(ord(line[index + 1]) & 0x1F), index + 2
    return _CONTROL.get(character, character), index + 1
