"""One problem of a site file as text: the place, the line with a caret under it, the other end, the cure."""

import unicodedata

from yaoki.core.error import Location, Problem


def draw(problem: Problem) -> str:
    """Several lines without colour; the first is "file:line:column: severity: what [rule]"."""
    lines = [f"{problem.where}: {problem.severity}: {problem.what} [{problem.rule}]", *_quote(problem.where)]
    if problem.other is not None:
        lines += [f"  the other end is {problem.other}", *_quote(problem.other)]
    if problem.cure:
        lines.append(f"  cure: {problem.cure}")
    return "\n".join(lines)


def _quote(place: Location) -> list[str]:
    """The line and a caret under its column. Tabs stay tabs in the caret's line, so that it stands where it should."""
    if not place.text:
        return []
    # A control character of a broken file must not reach the terminal.
    text = "".join(character if character.isprintable() or character == "\t" else "\ufffd" for character in place.text)
    before = text[: place.column - 1]
    indent = "".join("\t" if character == "\t" else " " * _cells(character) for character in before)
    return [f"    {text}", f"    {indent}^"]


def _cells(character: str) -> int:
    """Terminal cells of a character: two for East Asian wide and fullwidth forms."""
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
