"""Where the nodes of a YAML text begin and end, and in which style they are written: what is needed to write into it.

The text is one that yaoki.site.strict_yaml has accepted. Offsets are those of characters; lines and columns count from
0.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(slots=True)
class Spot:
    """One node of the text.

    `line` and `column` are those of its first character, `end` is the offset behind its last one, `after` the number of
    the first line that holds nothing of it; comments and empty lines behind it are no part of it. `items`: of a
    mapping, its keys and values.
    """

    start: int
    line: int
    column: int
    end: int
    after: int
    flow: bool = False
    quoted: bool = False
    items: "dict[str, tuple[Spot, Spot]] | None" = field(default=None)

    @property
    def empty(self) -> bool:
        """Whether nothing is written where a value could be."""
        return self.items is None and self.start == self.end


def spots(text: str) -> Spot:
    """The root of a text, with all that is in it."""
    return _Walk(yaml.CLoader(text)).root()


_Untyped = Any
"""PyYAML's C parser and its events."""


class _Walk:
    """Recursion is bounded by the depth that the strict reader allows."""

    def __init__(self, parser: _Untyped) -> None:
        self._next = parser.get_event

    def root(self) -> Spot:
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        return self._node(event)

    def _node(self, event: _Untyped) -> Spot:
        start, end = event.start_mark, event.end_mark
        spot = Spot(start.index, start.line, start.column, end.index, end.line + (end.column > 0))
        if isinstance(event, yaml.ScalarEvent):
            spot.quoted = event.style == '"'
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            spot.flow = bool(event.flow_style)
            self._inside(spot, is_mapping=isinstance(event, yaml.MappingStartEvent))
        return spot

    def _inside(self, spot: Spot, *, is_mapping: bool) -> None:
        spot.items = {} if is_mapping else None
        event = self._next()
        while not isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            first = last = self._node(event)
            if spot.items is not None:
                last = self._node(self._next())
                spot.items[key] = (first, last)
            # A value that is not written is noticed where the next thing begins, too.
            last = first if last.empty else last
            spot.end, spot.after = max(spot.end, last.end), max(spot.after, last.after)
            event = self._next()
        if spot.flow:
            # In block style the end is only noticed where the next thing begins, behind comments.
            end: _Untyped = event.end_mark
            spot.end, spot.after = end.index, end.line + 1
