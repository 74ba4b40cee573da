"""Columns for people: as wide as their widest cell, colours not counted, wide characters counted twice."""

import re
import unicodedata
from collections.abc import Sequence

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of aligned columns; a column that is empty in every row is left out."""
    if not rows:
        return []
    used = [index for index in range(len(rows[0])) if any(row[index] for row in rows)]
    widths = {index: max(width(row[index]) for row in rows) for index in used}
    return [
        "  ".join(row[index] + " " * (widths[index] - width(row[index])) for index in used).rstrip() for row in rows
    ]


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in _COLOUR.sub("", text))
