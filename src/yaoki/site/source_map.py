"""From a path in the site ("vips", "web-vip", "vrid") to the place in the files where it was written."""

from dataclasses import dataclass

from yaoki.core.error import Location
from yaoki.site.document import Mapping, Node, Scalar, Sequence, location

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Looks paths up in the merged tree of all files; nothing is copied, so that loading costs nothing for it."""

    root: Node

    def at(self, *path: str | int) -> Location:
        """The place of a path: of the value where that is a single word, of the key where it is a block.

        A path that was not written (a default) gives the nearest thing around it that was.
        """
        node: Node = self.root
        place: Node = self.root
        for step in path:
            if isinstance(node, Mapping) and (entry := node.items.get(str(step))) is not None:
                node = entry[1]
                place = node if isinstance(node, Scalar) and node.text else entry[0]
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                node = place = node.items[step]
            else:
                break
        return location(place)

    def has(self, *path: str | int) -> bool:
        """Whether a path was written in the file (and is no default)."""
        node: Node = self.root
        for step in path:
            if isinstance(node, Mapping) and (entry := node.items.get(str(step))) is not None:
                node = entry[1]
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                return False
        return True
