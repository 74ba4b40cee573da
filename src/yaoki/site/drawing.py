"""One problem of a site file as text: the place, the line with a caret under it, the other end, the cure."""

import unicodedata

from yaoki.core.error import Location, Problem


def draw(problem: Problem) -> str:
    """Several lines without colour; the first is "file:line:column: severity: what [rule]"."""
    said = f"{problem.where}: {problem.severity}: {problem.what} [{problem.rule}]"
    lines = [printable(said), *_quote(problem.where)]
    if problem.other is not None:
        lines += [printable(f"  the other end is {problem.other}"), *_quote(problem.other)]
    if problem.cure:
        lines.append(printable(f"  cure: {problem.cure}"))
    return "\n".join(lines)


def printable(text: str) -> str:
    """A text of one line; a control character of a broken file must not reach the terminal."""
    return "".join(character if _is_shown(character) else "\ufffd" for character in text)


def _is_shown(character: str) -> bool:
    # Of all spaces Python calls U+0020 alone printable.
    return character.isprintable() or character == "\t" or unicodedata.category(character) == "Zs"


def _quote(place: Location) -> list[str]:
    """The line and a caret under its column. Tabs stay tabs in the caret's line, so that it stands where it should."""
    if not place.text:
        return []
    text = printable(place.text)
    before = text[: place.column - 1]
    indent = "".join("\t" if character == "\t" else " " * _cells(character) for character in before)
    return [f"    {text}", f"    {indent}^"]


def _cells(character: str) -> int:
    """Terminal cells of a character: two for East Asian wide and fullwidth forms."""
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
